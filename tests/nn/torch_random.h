// PyTorch's CPU generator (MT19937) and its default initialisation of layers, so that tests can
// rebuild networks that PyTorch seeded and compare with numbers it computed. Only for tests.
#pragma once

#include <cmath>
#include <numbers>
#include <random>
#include <vector>

#include "nn/parameters.h"
#include "tests/nn/pack_parameters.h"

namespace ito {

class TorchRandom {
 public:
  explicit TorchRandom(uint32_t seed) : engine_(seed) {}

  // uniform_() in float: 24 bits of one word.
  float uniform() { return static_cast<float>(engine_() & 0xffffff) * 0x1p-24f; }

  // randn() of n >= 16 values: all uniforms first, then Box-Muller on blocks of 16; a remainder
  // redraws the last 16.
  std::vector<float> normal(size_t n) {
    std::vector<float> x(n);
    for (float& value : x) value = uniform();
    size_t i = 0;
    for (; i + 16 <= n; i += 16) box_muller(&x[i]);
    if (i < n) {
      for (size_t j = n - 16; j < n; ++j) x[j] = uniform();
      box_muller(&x[n - 16]);
    }
    return x;
  }

 private:
  static void box_muller(float* block) {
    for (int j = 0; j < 8; ++j) {
      const float u1 = 1 - block[j];
      const float u2 = block[j + 8];
      const float radius = std::sqrt(-2 * std::log(u1));
      const float angle = 2 * std::numbers::pi_v<float> * u2;
      block[j] = radius * std::cos(angle);
      block[j + 8] = radius * std::sin(angle);
    }
  }

  std::mt19937 engine_;
};

// Flat weights of a network whose parameters are declared in PyTorch's order of construction.
inline std::vector<float> torch_parameters(const ParameterSet& set, TorchRandom& random) {
  ForeignTensors tensors;
  for (const Parameter& parameter : set.parameters()) {
    const size_t n = static_cast<size_t>(parameter.numel());
    std::vector<float> data(n, parameter.spec.init == Init::kOnes ? 1.0f : 0.0f);
    if (parameter.spec.init == Init::kUniform) {
      const float bound = 1 / std::sqrt(static_cast<float>(parameter.spec.fan_in));
      for (float& value : data) value = random.uniform() * 2 * bound - bound;
    } else if (parameter.spec.init == Init::kNormal) {
      data = random.normal(n);
    }
    tensors[parameter.name] = {parameter.spec.foreign_shape, std::move(data)};
  }
  return pack_parameters(set, tensors).value();
}

// [n,c,h,w] → [n,h,w,c].
inline std::vector<double> channels_last(const std::vector<float>& x, int64_t n, int64_t c,
                                         int64_t h, int64_t w) {
  std::vector<double> y(x.size());
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < c; ++k) {
      for (int64_t p = 0; p < h * w; ++p) {
        y[static_cast<size_t>((i * h * w + p) * c + k)] =
            x[static_cast<size_t>((i * c + k) * h * w + p)];
      }
    }
  }
  return y;
}

}  // namespace ito
