// The exact law of chains on data whose every axis is normal and independent of the others, with
// their exact network: each step is then an affine map of x and the states, which is read off the
// step's program on the interpreter, in double, and carries means and covariances along without
// drawing anything. Not for methods whose step is no affine map (norms of a Langevin corrector,
// limits of x_0) nor for noise that the network draws for itself.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "diffusion/method.h"
#include "tests/diffusion/method_loop.h"

namespace ito::test {

// Of x on one axis.
struct AxisMoments {
  double mean = 0;
  double variance = 1;
};

// One axis' mean and covariance of (x, states).
class JointLaw {
 public:
  JointLaw(size_t size, AxisMoments x)
      : mean_(size, 0.0), covariance_(size, std::vector<double>(size, 0.0)) {
    mean_[0] = x.mean;
    covariance_[0][0] = x.variance;
  }
  AxisMoments x() const { return {.mean = mean_[0], .variance = covariance_[0][0]}; }

  // y = origin + Σ_k columns[k] (x, states)_k + Σ noise[k] z_k.
  void move(const std::vector<double>& origin, const std::vector<std::vector<double>>& columns,
            const std::vector<std::vector<double>>& noise) {
    const size_t size = mean_.size();
    const std::vector<double> mean = mean_;
    const auto covariance = covariance_;
    for (size_t i = 0; i < size; ++i) {
      mean_[i] = origin[i];
      for (size_t k = 0; k < size; ++k) mean_[i] += columns[k][i] * mean[k];
      for (size_t j = 0; j < size; ++j) {
        double sum = 0;
        for (const std::vector<double>& draw : noise) sum += draw[i] * draw[j];
        for (size_t k = 0; k < size; ++k)
          for (size_t l = 0; l < size; ++l) sum += columns[k][i] * covariance[k][l] * columns[l][j];
        covariance_[i][j] = sum;
      }
    }
  }

 private:
  std::vector<double> mean_;
  std::vector<std::vector<double>> covariance_;
};

// x after all steps of the method, from independent axes of the given moments.
inline std::vector<AxisMoments> affine_law(const Method& method,
                                           const std::vector<AxisMoments>& start) {
  const size_t axes = start.size(), size = 1 + method.states.size();
  const size_t draws = static_cast<size_t>(method.draws), points = 1 + size + draws;
  const Shape shape{static_cast<int64_t>(points), static_cast<int64_t>(axes)};
  const Program program = method_program(method, {.shape = shape, .noise_input = true});
  std::vector<JointLaw> laws;
  for (const AxisMoments& axis : start) laws.emplace_back(size, axis);
  const auto component = [&](size_t i) {
    return i == 0 ? std::string(sampling_ports::kX.name)
                  : sampling_ports::kHistory[method.states[i - 1].name].name;
  };
  EXPECT_FALSE(method.start);
  for (int step = 0; step < method.steps; ++step) {
    // Point 0 is the origin; the others move one component or one draw each.
    Externals externals = method_start(method, shape);
    externals[sampling_ports::kStep.name] = scalar_value(step);
    const auto set = [&](const std::string& name, size_t point) {
      for (size_t j = 0; j < axes; ++j) externals[name].data[point * axes + j] = 1;
    };
    for (size_t i = 0; i < size; ++i) set(component(i), 1 + i);
    for (size_t k = 0; k < draws; ++k)
      set(method_ports::kNoise[static_cast<int>(k)].name, 1 + size + k);
    replay(program, externals);
    for (size_t j = 0; j < axes; ++j) {
      const auto at = [&](size_t point) {
        std::vector<double> values;
        for (size_t i = 0; i < size; ++i)
          values.push_back(externals[component(i)].data[point * axes + j]);
        return values;
      };
      const std::vector<double> origin = at(0);
      std::vector<std::vector<double>> columns, noise;
      for (size_t point = 1; point < points; ++point) {
        std::vector<double> difference = at(point);
        for (size_t i = 0; i < size; ++i) difference[i] -= origin[i];
        (point <= size ? columns : noise).push_back(difference);
      }
      laws[j].move(origin, columns, noise);
    }
  }
  std::vector<AxisMoments> moments;
  for (const JointLaw& law : laws) moments.push_back(law.x());
  return moments;
}

}  // namespace ito::test
