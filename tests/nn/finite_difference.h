// Compares a gradient built by autodiff with central differences on the interpreter (double
// precision). Only for tests of nn.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "program_runner.h"

namespace ito {

// `gradient` claims to be d(loss)/d(input `name`). Checked along `directions` random directions:
// step 1e-5 leaves errors of about 1e-10 relative (truncation h^2, rounding 1e-16 / h).
inline void expect_gradient(Tensor loss, Tensor gradient, const std::string& name,
                            const HostValues& inputs, int directions = 2, double tolerance = 1e-7) {
  const HostValue value = evaluate(gradient, inputs);
  const HostValue& start = inputs.at(name);
  ASSERT_EQ(value.shape, start.shape);
  std::mt19937 random(5);
  std::normal_distribution<double> normal;
  constexpr double h = 1e-5;
  for (int i = 0; i < directions; ++i) {
    std::vector<double> direction(start.data.size());
    double length = 0;
    for (double& d : direction) d = normal(random), length += d * d;
    for (double& d : direction) d /= std::sqrt(length);
    HostValues plus = inputs, minus = inputs;
    double analytic = 0;
    for (size_t j = 0; j < direction.size(); ++j) {
      plus[name].data[j] += h * direction[j];
      minus[name].data[j] -= h * direction[j];
      analytic += value.data[j] * direction[j];
    }
    const double numeric = (evaluate(loss, plus).data[0] - evaluate(loss, minus).data[0]) / (2 * h);
    EXPECT_NEAR(analytic, numeric, tolerance * std::max(1.0, std::abs(numeric))) << name;
    EXPECT_NE(analytic, 0) << name;
  }
}

}  // namespace ito
