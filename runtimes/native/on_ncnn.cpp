// ncnn on the CPU, linked into this agent; see runtimes/on_ncnn.py.
//
// ncnn is built with NCNN_BENCHMARK, so that it calls ncnn::benchmark() around each layer. All that
// its own benchmark.cpp defines is defined here, so that the linker never takes that file out of
// the archive: instead of printing, times are kept, in nanoseconds.
#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "benchmark.h"
#include "errors.h"
#include "feeds.h"
#include "layer.h"
#include "mat.h"
#include "ncnn_param.h"
#include "net.h"
#include "session.h"
#include "timing.h"

namespace {

// Layers of one inference and what they took; null while nothing is recorded.
using Record = std::vector<std::pair<const ncnn::Layer*, std::int64_t>>;
Record* g_record = nullptr;

void keep(const ncnn::Layer* layer, double begin_ms, double end_ms) {
  if (g_record != nullptr) {
    g_record->emplace_back(layer, static_cast<std::int64_t>((end_ms - begin_ms) * 1e6));
  }
}

}  // namespace

namespace ncnn {

// Milliseconds. ncnn asks before and after each layer; nothing is read where nobody will know.
double get_current_time() {
  return g_record == nullptr ? 0 : static_cast<double>(groundspeed::clock_ns()) / 1e6;
}

void sleep(unsigned long long) {}  // declared by ncnn, and called by nothing that is linked here

void benchmark(const Layer* layer, double start, double end) { keep(layer, start, end); }

void benchmark(const Layer* layer, const Mat&, Mat&, double start, double end) {
  keep(layer, start, end);
}

}  // namespace ncnn

namespace groundspeed {
namespace {

// The shape that ncnn gives a sample, which has no batch dimension.
ncnn::Mat mat_of(const Shape& shape) {
  std::vector<int> sizes(shape.begin() + 1, shape.end());
  switch (sizes.size()) {
    case 1:
      return ncnn::Mat(sizes[0]);
    case 2:
      return ncnn::Mat(sizes[1], sizes[0]);
    case 3:
      return ncnn::Mat(sizes[2], sizes[1], sizes[0]);
    case 4:
      return ncnn::Mat(sizes[3], sizes[2], sizes[1], sizes[0]);
    default:
      throw InputError("ncnn has no blobs of shape " + text(shape) +
                       "; it knows 1 to 4 dimensions");
  }
}

Shape shape_of(const ncnn::Mat& mat) {
  switch (mat.dims) {
    case 1:
      return {1, mat.w};
    case 2:
      return {1, mat.h, mat.w};
    case 3:
      return {1, mat.c, mat.h, mat.w};
    default:
      return {1, mat.c, mat.d, mat.h, mat.w};
  }
}

// Channels lie apart in a Mat, each padded at its end: this is what one holds of them.
std::size_t channel_bytes(const ncnn::Mat& mat) {
  return static_cast<std::size_t>(mat.w) * mat.h * mat.d * mat.elemsize;
}

ncnn::Mat to_mat(const Array& array) {
  ncnn::Mat mat = mat_of(array.shape);
  const std::vector<float> floats = as_floats(array);
  const std::size_t size = channel_bytes(mat);
  for (int channel = 0; channel < mat.c; ++channel) {
    std::memcpy(mat.channel(channel).data, floats.data() + channel * size / sizeof(float), size);
  }
  return mat;
}

Array to_array(const ncnn::Mat& mat) {
  static const std::map<std::size_t, const char*> kTypes = {
      {1, "int8"}, {2, "float16"}, {4, "float32"}};
  Array array{kTypes.at(mat.elemsize), shape_of(mat), {}};
  for (int channel = 0; channel < mat.c; ++channel) {
    const auto* begin = static_cast<const unsigned char*>(mat.channel(channel).data);
    array.bytes.insert(array.bytes.end(), begin, begin + channel_bytes(mat));
  }
  return array;
}

TensorSpec written_spec(const NcnnLayer& layer, const std::string& param) {
  TensorSpec spec{layer.tops[0], {1}, "float32"};
  // Input's parameters 0, 1, 2 are width, height, channels; missing ones are 0.
  for (const int key : {2, 1, 0}) {
    if (layer.integer(key) > 0) spec.shape.push_back(layer.integer(key));
  }
  if (spec.shape.size() == 1) {
    throw InputError(
        param + " does not say the shape of its input '" + spec.name +
        "'; measure the artifact that 'groundspeed export' makes, whose manifest does");
  }
  return spec;
}

std::vector<TensorSpec> input_specs(const std::vector<NcnnLayer>& layers, const Job& job,
                                    const std::string& param) {
  std::vector<TensorSpec> found;
  for (const NcnnLayer& layer : layers) {
    if (layer.type != "Input" || layer.tops.empty()) continue;
    const auto known =
        std::find_if(job.specs.begin(), job.specs.end(),
                     [&](const TensorSpec& spec) { return spec.name == layer.tops[0]; });
    found.push_back(known != job.specs.end() ? *known : written_spec(layer, param));
    if (found.back().shape.empty() || found.back().shape[0] != 1) {
      throw InputError("ncnn computes one sample at a time; the input '" + found.back().name +
                       "' must have a batch of 1, so export with --input-shape 1,...");
    }
  }
  return found;
}

class NcnnSession : public Session {
 public:
  explicit NcnnSession(const Job& job) {
    const std::string param = file_of(job.files, "param"), bin = file_of(job.files, "bin");
    layers_ = parse_param(content_of(param), param);
    refuse_unknown(param);
    net_.opt.use_fp16_packed = net_.opt.use_fp16_storage = net_.opt.use_fp16_arithmetic =
        job.options.precision == "fp16";
    net_.opt.use_bf16_packed = net_.opt.use_bf16_storage = false;
    net_.opt.use_int8_inference = true;
    net_.opt.use_vulkan_compute = false;
    net_.opt.num_threads = static_cast<int>(job.options.threads);
    if (net_.load_param(param.c_str()) != 0 || net_.load_model(bin.c_str()) != 0) {
      throw ArtifactError("ncnn cannot load " + param + " with " + bin +
                          ": the two do not belong together, or one was cut short; export them "
                          "again");
    }
    inputs_ = input_specs(layers_, job, param);
    find_outputs();
  }

  const std::vector<TensorSpec>& inputs() const override { return inputs_; }

  void bind(const std::vector<NamedArray>& feeds) override {
    blobs_.clear();
    for (const auto& [name, array] : feeds) blobs_.emplace_back(blob(name), to_mat(array));
  }

  void infer() override {
    ncnn::Extractor extractor = started();
    for (const int output : outputs_) {
      ncnn::Mat value;
      if (extractor.extract(output, value) != 0) fail(output);
    }
  }

  std::vector<NamedArray> run() override {
    std::vector<NamedArray> values;
    ncnn::Extractor extractor = started();
    for (const int output : outputs_) {
      ncnn::Mat value;
      if (extractor.extract(output, value) != 0) fail(output);
      values.push_back({net_.blobs()[output].name, to_array(value)});
    }
    return values;
  }

  OpProfile profile(std::int64_t runs) override {
    std::vector<Record> records;
    const auto recorded = [&] {
      g_record = &records.emplace_back();
      g_record->reserve(layers_.size());
      infer();
      g_record = nullptr;
    };
    const Times times = interleaved([this] { infer(); }, recorded, runs);
    OpProfile profile;
    profile.profiled_ns = times.profiled_ns;
    profile.plain_ns = times.plain_ns;
    DataFlow flow;
    for (std::size_t index = 0; index < layers_.size(); ++index) {
      const NcnnLayer& layer = layers_[index];
      if (layer.type == "Input") continue;
      profile.ops.push_back({layer.name, layer.type, layer.tops, false,
                             flow.next(layer.bottoms, layer.tops)});
      Durations& durations = profile.times_ns.emplace_back();
      for (const std::size_t run : times.counted) {
        durations.push_back(duration(records[run], net_.layers()[index]));
      }
    }
    return profile;
  }

 private:
  void refuse_unknown(const std::string& param) const {
    std::set<std::string> unknown;
    for (const NcnnLayer& layer : layers_) {
      if (ncnn::layer_to_index(layer.type.c_str()) < 0) unknown.insert(layer.type);
      const std::unique_ptr<ncnn::Layer> made(ncnn::create_layer(layer.type.c_str()));
      if (made == nullptr) unknown.insert(layer.type);  // known by name, and not built in
    }
    std::string names;
    for (const std::string& type : unknown) names += (names.empty() ? "" : ", ") + type;
    if (!names.empty()) {
      throw ArtifactError("ncnn has no layer " + names + ", which " + param + " asks for");
    }
  }

  // Outputs are what no layer takes.
  void find_outputs() {
    std::set<std::string> consumed;
    for (const NcnnLayer& layer : layers_) {
      consumed.insert(layer.bottoms.begin(), layer.bottoms.end());
    }
    for (const NcnnLayer& layer : layers_) {
      for (const std::string& top : layer.tops) {
        if (layer.type != "Input" && consumed.count(top) == 0) outputs_.push_back(blob(top));
      }
    }
  }

  int blob(const std::string& name) const {
    const auto& blobs = net_.blobs();
    const auto found = std::find_if(blobs.begin(), blobs.end(),
                                    [&](const ncnn::Blob& blob) { return blob.name == name; });
    if (found == blobs.end()) throw LaunchError("ncnn lost the blob '" + name + "'");
    return static_cast<int>(found - blobs.begin());
  }

  ncnn::Extractor started() const {
    ncnn::Extractor extractor = net_.create_extractor();
    for (const auto& [index, value] : blobs_) extractor.input(index, value);
    return extractor;
  }

  [[noreturn]] void fail(int output) const {
    throw LaunchError("ncnn could not compute the blob '" + net_.blobs()[output].name + "'");
  }

  static std::int64_t duration(const Record& record, const ncnn::Layer* layer) {
    for (const auto& [recorded, taken] : record) {
      if (recorded == layer) return taken;
    }
    throw LaunchError("ncnn computed other layers from run to run; profile it again");
  }

  ncnn::Net net_;
  std::vector<NcnnLayer> layers_;
  std::vector<TensorSpec> inputs_;
  std::vector<int> outputs_;
  std::vector<std::pair<int, ncnn::Mat>> blobs_;
};

class Ncnn : public Engine {
 public:
  // What the library was compiled as is the version of the package that it comes from.
  std::string version() const override { return NCNN_VERSION_STRING; }
  std::string build() const override {
    return std::string(NCNN_VERSION_STRING) + ", native, " + GROUNDSPEED_COMPILER;
  }
  std::unique_ptr<Session> open(const Job& job) override {
    return std::make_unique<NcnnSession>(job);
  }
};

}  // namespace

const char* const kRuntime = "ncnn";

std::unique_ptr<Engine> load_engine() { return std::make_unique<Ncnn>(); }

}  // namespace groundspeed
