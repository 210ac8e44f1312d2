// A bare loop over ncnn: `bare_ncnn PARAM BIN OUTPUT THREADS WARMUP RUNS WIDTH HEIGHT CHANNELS`
// prints the median latency in nanoseconds. The yardstick of native_agent.py, with the library of
// the agent.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "benchmark.h"
#include "net.h"

// The library is built to be profiled; here nobody asks it.
namespace ncnn {
double get_current_time() { return 0; }
void sleep(unsigned long long) {}
void benchmark(const Layer*, double, double) {}
void benchmark(const Layer*, const Mat&, Mat&, double, double) {}
}  // namespace ncnn

int main(int count, char** arguments) {
  if (count != 10) return 2;
  const auto number = [&](int index) { return std::atoi(arguments[index]); };
  ncnn::Net net;
  net.opt.num_threads = number(4);
  net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = false;
  net.opt.use_bf16_packed = net.opt.use_bf16_storage = false;
  if (net.load_param(arguments[1]) != 0 || net.load_model(arguments[2]) != 0) return 1;
  ncnn::Mat image(number(7), number(8), number(9));
  unsigned state = 1;  // any values do, as long as they are not denormal
  for (size_t index = 0; index < image.total(); ++index) {
    state = state * 1103515245u + 12345u;
    static_cast<float*>(image.data)[index] = static_cast<float>(state >> 16) / 32768.0f - 1.0f;
  }
  std::vector<long long> times;
  for (int run = 0; run < number(5) + number(6); ++run) {
    const auto begin = std::chrono::steady_clock::now();
    {
      ncnn::Extractor extractor = net.create_extractor();
      extractor.input("in0", image);
      ncnn::Mat output;
      if (extractor.extract(arguments[3], output) != 0) return 1;
    }
    const auto taken = std::chrono::steady_clock::now() - begin;
    if (run >= number(5)) times.push_back(taken.count());
  }
  std::sort(times.begin(), times.end());
  std::printf("%lld\n", times[times.size() / 2]);
}
