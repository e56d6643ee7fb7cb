#include "diffusion/torch_rng.h"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "base/check.h"

namespace ito {

TorchGenerator::TorchGenerator(uint64_t seed) {
  state_[0] = static_cast<uint32_t>(seed);
  for (uint32_t i = 1; i < kWords; ++i)
    state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
}

void TorchGenerator::refill() {
  constexpr int kShift = 397;
  for (int i = 0; i < kWords; ++i) {
    const auto at = [this](int k) -> uint32_t& { return state_[static_cast<size_t>(k % kWords)]; };
    const uint32_t joined = (at(i) & 0x80000000u) | (at(i + 1) & 0x7fffffffu);
    at(i) = at(i + kShift) ^ (joined >> 1) ^ ((joined & 1u) ? 0x9908b0dfu : 0u);
  }
  used_ = 0;
}

uint32_t TorchGenerator::next_word() {
  if (used_ == kWords) refill();
  uint32_t y = state_[static_cast<size_t>(used_++)];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

float TorchGenerator::next_uniform() {
  return static_cast<float>(next_word() & 0xffffffu) * 0x1p-24f;
}

double TorchGenerator::next_uniform53() {
  const uint64_t high = next_word();
  const uint64_t word = (high << 32) | next_word();
  return static_cast<double>(word & ((uint64_t{1} << 53) - 1)) * 0x1p-53;
}

void TorchGenerator::rand(std::span<float> values) {
  for (float& value : values) value = next_uniform();
}

void TorchGenerator::uniform(std::span<float> values, double low, double high) {
  const float from = static_cast<float>(low);
  const float width = static_cast<float>(high) - from;
  for (float& value : values) {
    const float scaled = next_uniform() * width;
    value = scaled + from;
  }
}

void TorchGenerator::randint(std::span<int64_t> values, int64_t high) {
  CHECK(high >= 1 && high < (int64_t{1} << 32), "randint: high must be in [1, 2^32)");
  for (int64_t& value : values) value = static_cast<int64_t>(next_word()) % high;
}

void TorchGenerator::randperm(std::span<int64_t> values) {
  CHECK(values.size() < (uint64_t{1} << 32) / 20, "randperm: too many numbers");
  std::iota(values.begin(), values.end(), int64_t{0});
  for (size_t i = 0; i + 1 < values.size(); ++i)
    std::swap(values[i], values[i + next_word() % (values.size() - i)]);
}

void TorchGenerator::randn(std::span<float> values) {
  const size_t n = values.size();
  if (n < 16) {
    for (float& value : values) {
      if (cached_normal_) {
        value = static_cast<float>(*cached_normal_);
        cached_normal_.reset();
        continue;
      }
      const double turn = next_uniform53();
      const double radius = std::sqrt(-2 * std::log1p(-next_uniform53()));
      value = static_cast<float>(radius * std::cos(2 * std::numbers::pi * turn));
      cached_normal_ = radius * std::sin(2 * std::numbers::pi * turn);
    }
    return;
  }
  // Blocks of 16: uniforms 0..7 give radii, 8..15 angles. The last 16 are drawn anew when they do
  // not fill a block.
  const auto box_muller = [](std::span<float> block) {
    for (size_t j = 0; j < 8; ++j) {
      const double u1 = 1 - static_cast<double>(block[j]);
      const double angle = 2 * std::numbers::pi * static_cast<double>(block[j + 8]);
      const double radius = std::sqrt(-2 * std::log(u1));
      block[j] = static_cast<float>(radius * std::cos(angle));
      block[j + 8] = static_cast<float>(radius * std::sin(angle));
    }
  };
  rand(values);
  for (size_t i = 0; i + 16 <= n; i += 16) box_muller(values.subspan(i, 16));
  if (n % 16 != 0) {
    const std::span<float> last = values.last(16);
    rand(last);
    box_muller(last);
  }
}

void TorchGenerator::default_init(std::span<float> values, int64_t fan_in) {
  CHECK(fan_in > 0, "default_init: fan_in must be positive");
  const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
  uniform(values, -bound, bound);
}

}  // namespace ito
