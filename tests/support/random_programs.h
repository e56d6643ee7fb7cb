// Random programs for comparing the device with the interpreter: one op at a time (make_op_case),
// or a small graph of many (make_graph_case). Everything is a function of the seed.
#pragma once

#include <map>
#include <random>
#include <string>
#include <vector>

#include "graph/builder.h"
#include "graph/program.h"
#include "tests/support/run_program.h"

namespace ito::test {

// The values that an input is filled with.
enum class Fill {
  kNormal,    // N(0, 1)
  kPositive,  // [0.1, 5)
  kAway,      // magnitude in [0.2, 3), either sign
  kFew,       // small integers, so that ties occur; for every dtype
  kWords,     // any 32 bits; integers only
  kTruth,     // 0 or 1
};

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  int64_t integer(int64_t low, int64_t high) {  // both included
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }
  bool chance(double p) { return real(0, 1) < p; }
  double real(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(engine_);
  }
  double normal() { return std::normal_distribution<double>()(engine_); }
  template <typename T>
  const T& of(const std::vector<T>& choices) {
    return choices[static_cast<size_t>(integer(0, static_cast<int64_t>(choices.size()) - 1))];
  }
  // 1, primes, and sizes beside powers of two.
  int64_t extent();
  // Extents as above, at most `most` elements.
  Shape shape(int rank, int64_t most = 4000);

 private:
  std::mt19937_64 engine_;
};

// A program under construction with its inputs, and how far device and oracle may differ in each
// result: max|a-b| / max|b|.
class RandomCase {
 public:
  explicit RandomCase(uint64_t seed) : random(seed) {}

  Tensor input(Shape shape, DType dtype = DType::kF32, Fill fill = Fill::kNormal);
  // A result; its name is made of `name` and a number.
  void output(const std::string& name, Tensor value, double limit);
  // A state that takes `value` after each run.
  void update(Tensor state, Tensor value, double limit);

  Random random;
  Program program;
  HostValues inputs;
  std::map<std::string, double> limits;
};

// A few uses of one op on its own: odd sizes, extents of 1, broadcasting, every dtype that it
// takes.
RandomCase make_op_case(Op op, uint64_t seed);

// A graph of `nodes` mixed ops with several results and, sometimes, donated states.
RandomCase make_graph_case(uint64_t seed, int nodes);

// Runs the program on the device and the interpreter; the empty string, or what differs first.
std::string compare_with_interpreter(vk::Device& device, const RandomCase& test,
                                     const CompileOptions& options = {},
                                     const DeviceCaps* caps = nullptr);

}  // namespace ito::test
