// TorchGenerator: the random numbers of PyTorch's CPU generator for a given seed (mt19937), so that
// a run can start from, and be compared with, a PyTorch run. Integers and uniforms are exact;
// normals of 16 or more values differ by at most 2e-6, because PyTorch computes them with
// vectorised float32 logarithms and sines.
// Not the library's own randomness, which is counter-based (base/philox.h).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace ito {

class TorchGenerator {
 public:
  // torch.Generator().manual_seed(seed); the seed is taken modulo 2^32.
  explicit TorchGenerator(uint64_t seed);

  // The next raw word of the Mersenne twister MT19937 (Matsumoto & Nishimura 1998).
  uint32_t next_word();

  // torch.rand: (word & 0xffffff) · 2^-24, in [0, 1).
  void rand(std::span<float> values);
  // Tensor.uniform_(low, high).
  void uniform(std::span<float> values, double low, double high);
  // torch.randint(0, high): word mod high. high in [1, 2^32).
  void randint(std::span<int64_t> values, int64_t high);
  // torch.randperm(values.size()), of fewer than 2^32 / 20 numbers.
  void randperm(std::span<int64_t> values);
  // torch.randn of values.size() numbers in one call; how many are drawn by one call matters, as in
  // PyTorch: below 16 the second normal of the last pair is kept for the next call.
  void randn(std::span<float> values);
  // The default initialisation of torch's Conv and Linear weights and biases: U(±1/√fan_in).
  void default_init(std::span<float> values, int64_t fan_in);

 private:
  float next_uniform();
  double next_uniform53();
  void refill();

  static constexpr int kWords = 624;
  std::array<uint32_t, kWords> state_;
  int used_ = kWords;
  std::optional<double> cached_normal_;
};

}  // namespace ito
