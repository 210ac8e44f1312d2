#include "npz.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "errors.h"
#include "files.h"

namespace groundspeed {
namespace {

constexpr std::uint32_t kLocalHeader = 0x04034b50, kEntry = 0x02014b50, kEnd = 0x06054b50;
constexpr std::uint32_t kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
constexpr std::uint16_t kStored = 0, kZip64 = 1, kUtf8Names = 1 << 11, kJanuary1980 = 0x21;
constexpr std::uint32_t kIn64 = 0xFFFFFFFF;  // the true number is in the ZIP64 field
constexpr std::size_t kLocalSize = 30, kEntrySize = 46, kEndSize = 22, kLocatorSize = 20;
constexpr std::string_view kMagic = "\x93NUMPY", kSuffix = ".npy";

// A file is not what its name says; the message completes "it ...".
struct Damaged : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::string_view slice(std::string_view bytes, std::uint64_t at, std::uint64_t size) {
  if (at > bytes.size() || size > bytes.size() - at) throw Damaged("was cut short");
  return bytes.substr(at, size);
}

// A little-endian number.
template <typename T>
T number(std::string_view bytes, std::uint64_t at) {
  T value = 0;
  const std::string_view digits = slice(bytes, at, sizeof(T));
  for (std::size_t index = sizeof(T); index-- > 0;) {
    value = static_cast<T>(value << 8 | static_cast<unsigned char>(digits[index]));
  }
  return value;
}

template <typename T>
void append(std::string& out, T value) {
  for (std::size_t index = 0; index < sizeof(T); ++index) {
    out += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * index));
  }
}

std::uint32_t crc32(std::string_view bytes) {
  static const std::array<std::uint32_t, 256> kTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
      std::uint32_t rest = byte;
      for (int bit = 0; bit < 8; ++bit) rest = (rest & 1) != 0 ? rest >> 1 ^ 0xEDB88320 : rest >> 1;
      table[byte] = rest;
    }
    return table;
  }();
  std::uint32_t sum = 0xFFFFFFFF;
  for (const char byte : bytes) {
    sum = kTable[(sum ^ static_cast<unsigned char>(byte)) & 0xFF] ^ sum >> 8;
  }
  return ~sum;
}

// ---- .npy ---------------------------------------------------------------------------------------

// Element types as .npy files write them, little-endian.
const std::map<std::string, std::string>& descriptions() {
  static const std::map<std::string, std::string> kKnown = {
      {"|b1", "bool"},   {"|i1", "int8"},    {"|u1", "uint8"},   {"<i2", "int16"},
      {"<u2", "uint16"}, {"<f2", "float16"}, {"<f4", "float32"}, {"<i4", "int32"},
      {"<u4", "uint32"}, {"<i8", "int64"},   {"<u8", "uint64"},  {"<f8", "float64"}};
  return kKnown;
}

// The text behind 'key': in a header, which is a Python dict in its printed form.
std::string_view behind(std::string_view header, const std::string& key) {
  const std::size_t at = header.find("'" + key + "':");
  if (at == std::string_view::npos)
    throw Damaged("holds an array whose header lacks '" + key + "'");
  const std::size_t begin = header.find_first_not_of(' ', at + key.size() + 3);
  return header.substr(std::min(begin, header.size()));
}

Shape parse_shape(std::string_view text) {
  const std::size_t end = text.find(')');
  if (text.empty() || text[0] != '(' || end == std::string_view::npos) {
    throw Damaged("holds an array without a shape");
  }
  Shape shape;
  std::uint64_t elements = 1;
  std::size_t at = 1;
  while ((at = text.find_first_of("0123456789", at)) < end) {
    std::uint64_t size = 0;
    for (; text[at] >= '0' && text[at] <= '9'; ++at) {
      size = size * 10 + static_cast<std::uint64_t>(text[at] - '0');
      if (size > INT32_MAX) throw Damaged("holds an array with an impossible shape");
    }
    elements *= size;
    if (elements > INT32_MAX) throw Damaged("holds an array with an impossible shape");
    shape.push_back(static_cast<std::int64_t>(size));
  }
  return shape;
}

// Column-major to row-major. numpy stores a transposed array as it lies in memory.
std::vector<unsigned char> row_major(std::string_view bytes, const Shape& shape, std::size_t item) {
  std::vector<unsigned char> ordered(bytes.size());
  Shape index(shape.size(), 0);
  for (std::size_t to = 0; to < bytes.size(); to += item) {
    std::int64_t from = 0;
    for (std::size_t axis = shape.size(); axis-- > 0;) from = from * shape[axis] + index[axis];
    std::copy_n(bytes.begin() + from * static_cast<std::int64_t>(item), item, ordered.begin() + to);
    for (std::size_t axis = shape.size(); axis-- > 0 && ++index[axis] == shape[axis];) {
      index[axis] = 0;
    }
  }
  return ordered;
}

Array parse_npy(std::string_view file) {
  if (slice(file, 0, kMagic.size()) != kMagic) throw Damaged("holds a file that is no array");
  const bool long_header = number<std::uint8_t>(file, 6) >= 2;
  const std::size_t begin = long_header ? 12 : 10;
  const std::uint64_t size =
      long_header ? number<std::uint32_t>(file, 8) : number<std::uint16_t>(file, 8);
  const std::string_view header = slice(file, begin, size);

  Array array;
  const std::string_view quoted = behind(header, "descr");
  const bool plain = quoted.size() >= 5 && quoted[4] == '\'';
  const auto known = descriptions().find(std::string(plain ? quoted.substr(1, 3) : ""));
  if (known == descriptions().end()) {
    throw Damaged("holds an array of a type that no network takes");
  }
  array.dtype = known->second;
  array.shape = parse_shape(behind(header, "shape"));
  const std::size_t item = item_size(array.dtype);
  const std::string_view content =
      slice(file, begin + size, static_cast<std::uint64_t>(count(array.shape)) * item);
  if (behind(header, "fortran_order").substr(0, 4) == "True") {
    array.bytes = row_major(content, array.shape, item);
  } else {
    array.bytes.assign(content.begin(), content.end());
  }
  return array;
}

std::string npy(const Array& array) {
  std::string descr;
  for (const auto& [written, dtype] : descriptions()) {
    if (dtype == array.dtype) descr = written;
  }
  std::string shape = text(array.shape);
  // A tuple of one has a comma behind it in Python.
  shape = "(" + shape.substr(1, shape.size() - 2) + (array.shape.size() == 1 ? ",)" : ")");
  std::string header =
      "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }";
  // numpy aligns the data to 64 bytes: 10 before the header, and a newline at its end.
  header.append((64 - (10 + header.size() + 1) % 64) % 64, ' ');
  header += '\n';

  std::string file(kMagic);
  append<std::uint16_t>(file, 1);  // version 1.0
  append(file, static_cast<std::uint16_t>(header.size()));
  file += header;
  file.append(array.bytes.begin(), array.bytes.end());
  return file;
}

// ---- ZIP ----------------------------------------------------------------------------------------

struct Directory {
  std::uint64_t entries, at;
};

Directory find_directory(std::string_view archive) {
  if (archive.size() < kEndSize) throw Damaged("was cut short");
  // A comment of up to 64 KiB may follow the last record; numpy writes none.
  std::size_t end = archive.size() - kEndSize;
  while (number<std::uint32_t>(archive, end) != kEnd) {
    if (end == 0 || archive.size() - end > 0x10000 + kEndSize) throw Damaged("has no directory");
    --end;
  }
  if (end >= kLocatorSize && number<std::uint32_t>(archive, end - kLocatorSize) == kLocator64) {
    const auto at = number<std::uint64_t>(archive, end - kLocatorSize + 8);
    if (number<std::uint32_t>(archive, at) != kEnd64) throw Damaged("has no directory");
    return {number<std::uint64_t>(archive, at + 32), number<std::uint64_t>(archive, at + 48)};
  }
  return {number<std::uint16_t>(archive, end + 10), number<std::uint32_t>(archive, end + 16)};
}

// Where the numbers of an entry that do not fit into 32 bits are: in the ZIP64 field, in order.
class Wide {
 public:
  explicit Wide(std::string_view extra) {
    for (std::size_t at = 0; at + 4 <= extra.size();) {
      const auto size = number<std::uint16_t>(extra, at + 2);
      if (number<std::uint16_t>(extra, at) == kZip64) field_ = slice(extra, at + 4, size);
      at += 4 + size;
    }
  }

  std::uint64_t value(std::uint32_t narrow) {
    if (narrow != kIn64) return narrow;
    const auto wide = number<std::uint64_t>(field_, at_);
    at_ += 8;
    return wide;
  }

 private:
  std::string_view field_;
  std::uint64_t at_ = 0;
};

std::vector<NamedArray> parse_npz(std::string_view archive) {
  const auto [entries, first] = find_directory(archive);
  std::vector<NamedArray> arrays;
  std::uint64_t at = first;
  for (std::uint64_t entry = 0; entry < entries; ++entry) {
    if (number<std::uint32_t>(archive, at) != kEntry) throw Damaged("has a broken directory");
    if (number<std::uint16_t>(archive, at + 10) != kStored) {
      throw Damaged("is compressed, which this agent does not read");
    }
    const auto sum = number<std::uint32_t>(archive, at + 16);
    const auto name_size = number<std::uint16_t>(archive, at + 28);
    const auto extra_size = number<std::uint16_t>(archive, at + 30);
    const auto comment_size = number<std::uint16_t>(archive, at + 32);
    std::string_view name = slice(archive, at + kEntrySize, name_size);
    Wide wide(slice(archive, at + kEntrySize + name_size, extra_size));
    const std::uint64_t size = wide.value(number<std::uint32_t>(archive, at + 24));
    wide.value(number<std::uint32_t>(archive, at + 20));  // the stored size, which is the same
    const std::uint64_t header = wide.value(number<std::uint32_t>(archive, at + 42));
    if (number<std::uint32_t>(archive, header) != kLocalHeader) throw Damaged("lost a file");
    const std::uint64_t begin = header + kLocalSize + number<std::uint16_t>(archive, header + 26) +
                                number<std::uint16_t>(archive, header + 28);
    const std::string_view content = slice(archive, begin, size);
    if (crc32(content) != sum) throw Damaged("holds an array whose checksum is wrong");
    if (name.size() > kSuffix.size() && name.substr(name.size() - kSuffix.size()) == kSuffix) {
      name.remove_suffix(kSuffix.size());
    }
    arrays.push_back({std::string(name), parse_npy(content)});
    at += kEntrySize + name_size + extra_size + comment_size;
  }
  return arrays;
}

// The fields that a local header and a directory entry have in common.
std::string common_fields(std::string_view content, std::size_t name_size) {
  std::string fields;
  append<std::uint16_t>(fields, 20);  // a reader of version 2.0 suffices
  append(fields, kUtf8Names);
  append(fields, kStored);
  append<std::uint16_t>(fields, 0);  // midnight
  append(fields, kJanuary1980);      // equal arrays make equal files
  append(fields, crc32(content));
  append(fields, static_cast<std::uint32_t>(content.size()));
  append(fields, static_cast<std::uint32_t>(content.size()));
  append(fields, static_cast<std::uint16_t>(name_size));
  append<std::uint16_t>(fields, 0);  // no extra field
  return fields;
}

}  // namespace

std::vector<NamedArray> read_npz(const std::string& path) {
  const std::optional<std::string> archive = read_file(path);
  if (!archive) {
    throw InputError("the inputs " + path + " are missing; name an .npz file that exists");
  }
  try {
    return parse_npz(*archive);
  } catch (const Damaged& damage) {
    throw InputError(path + " is no .npz file of plain arrays (it " + damage.what() +
                     "); write it with numpy.savez");
  }
}

void write_npz(const std::string& path, const std::vector<NamedArray>& arrays) {
  std::string archive, directory;
  for (const NamedArray& array : arrays) {
    const std::string name = array.name + std::string(kSuffix), content = npy(array.array);
    const std::string fields = common_fields(content, name.size());
    append(directory, kEntry);
    append<std::uint16_t>(directory, 20);  // written by version 2.0
    directory += fields;
    directory.append(10, '\0');  // no comment, first disk, no attributes
    append(directory, static_cast<std::uint32_t>(archive.size()));
    directory += name;
    append(archive, kLocalHeader);
    archive += fields + name + content;
  }
  if (archive.size() + directory.size() >= kIn64) {
    throw LaunchError("the outputs take 4 GiB or more, which this agent cannot save");
  }
  const auto begin = static_cast<std::uint32_t>(archive.size());
  archive += directory;
  append(archive, kEnd);
  append<std::uint32_t>(archive, 0);  // this is the only disk
  append(archive, static_cast<std::uint16_t>(arrays.size()));
  append(archive, static_cast<std::uint16_t>(arrays.size()));
  append(archive, static_cast<std::uint32_t>(directory.size()));
  append(archive, begin);
  append<std::uint16_t>(archive, 0);  // no comment
  write_atomically(path, archive);
}

}  // namespace groundspeed
