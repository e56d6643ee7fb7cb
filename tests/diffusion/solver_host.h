// A solver's rows followed on the host in double, on numbers in place of images, with an estimate
// of x_0 in place of a network: what orders of convergence and exact laws are measured with, no
// device and no graph. The estimate is given x at the row's level; what the network would have had
// to say follows from the row's own form, so that a solver's prediction type does not matter here.
// Not for churn and for limits of x_0.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "diffusion/solver.h"

namespace ito::test {

// E[x_0 | x] or whatever the network stands for, at row.mean and row.std.
using Estimate = std::function<double(double x, const SolverRow& row)>;

// x and the solver's states.
struct HostState {
  double x = 0;
  std::vector<double> states;
};

inline double affine_value(const Affine& a, double x0, double epsilon, const HostState& now,
                           double z) {
  double value = a.x0 * x0 + a.epsilon * epsilon + a.x * now.x + a.z * z;
  for (size_t i = 0; i < now.states.size(); ++i) value += a.states[i] * now.states[i];
  return value;
}

inline HostState host_step(const Solver& solver, size_t index, const Estimate& estimate,
                           const HostState& now, double z) {
  const SolverRow& row = solver.rows[index];
  EXPECT_EQ(row.churn, 0);
  const double x0 = estimate(now.x, row);
  const double output = (x0 / row.x0.scale - row.x0.on_x * now.x) / row.x0.on_output;
  const double epsilon = row.epsilon(now.x, solver.epsilon_from_x0 ? x0 : output);
  HostState next{.x = affine_value(row.x, x0, epsilon, now, z), .states = {}};
  for (const Affine& state : row.states)
    next.states.push_back(affine_value(state, x0, epsilon, now, z));
  return next;
}

// Data N(mean, variance) in one dimension: all that a sampler should do to it is known.
struct GaussianData {
  double mean = 0.5;
  double variance = 0.5;

  // The deviation of a x_0 + s ε.
  double deviation(double a, double s) const { return std::sqrt(a * a * variance + s * s); }
  // E[x_0 | a x_0 + s ε = x].
  double posterior_mean(double x, double a, double s) const {
    return mean + a * variance * (x - a * mean) / (a * a * variance + s * s);
  }
  Estimate denoiser() const {
    return [*this](double x, const SolverRow& row) { return posterior_mean(x, row.mean, row.std); };
  }
  // Where the probability flow that passes (from.mean, from.std) at x is at another level: (x - a
  // mean)/deviation does not change along it.
  double flow(double x, const SolverRow& from, const SolverRow& to) const {
    return to.mean * mean +
           (x - from.mean * mean) * deviation(to.mean, to.std) / deviation(from.mean, from.std);
  }
};

// x before the solver's last row, from `x` before the first.
inline double follow_to_last_row(const Solver& solver, const Estimate& estimate, double x) {
  HostState now{.x = x, .states = std::vector<double>(solver.states.size(), 0.0)};
  for (size_t i = 0; i + 1 < solver.rows.size(); ++i) now = host_step(solver, i, estimate, now, 0);
  return now.x;
}

// Mean and covariance of x and the states before row `rows`, from x with the given mean and
// variance, of an estimate that is affine in x: each step is then an affine map.
struct HostLaw {
  std::vector<double> mean;
  std::vector<std::vector<double>> covariance;
};
inline HostLaw law_before(const Solver& solver, const Estimate& estimate, double mean,
                          double variance, size_t rows) {
  const size_t d = 1 + solver.states.size();
  HostLaw law{.mean = std::vector<double>(d, 0.0),
              .covariance = std::vector<std::vector<double>>(d, std::vector<double>(d, 0.0))};
  law.mean[0] = mean;
  law.covariance[0][0] = variance;
  const auto mapped = [&](size_t row, const std::vector<double>& from, double z) {
    const HostState next =
        host_step(solver, row, estimate, {from[0], {from.begin() + 1, from.end()}}, z);
    std::vector<double> values = {next.x};
    values.insert(values.end(), next.states.begin(), next.states.end());
    return values;
  };
  for (size_t row = 0; row < rows; ++row) {
    // The map's columns: its differences from its value at zero.
    const std::vector<double> zero(d, 0.0), origin = mapped(row, zero, 0);
    std::vector<std::vector<double>> columns;
    for (size_t i = 0; i < d; ++i) {
      std::vector<double> unit = zero;
      unit[i] = 1;
      columns.push_back(mapped(row, unit, 0));
    }
    std::vector<double> noise = mapped(row, zero, 1);
    for (size_t i = 0; i < d; ++i) {
      noise[i] -= origin[i];
      for (std::vector<double>& column : columns) column[i] -= origin[i];
    }
    HostLaw next = law;
    for (size_t i = 0; i < d; ++i) {
      next.mean[i] = origin[i];
      for (size_t k = 0; k < d; ++k) next.mean[i] += columns[k][i] * law.mean[k];
      for (size_t j = 0; j < d; ++j) {
        next.covariance[i][j] = noise[i] * noise[j];
        for (size_t k = 0; k < d; ++k)
          for (size_t l = 0; l < d; ++l)
            next.covariance[i][j] += columns[k][i] * law.covariance[k][l] * columns[l][j];
      }
    }
    law = next;
  }
  return law;
}

}  // namespace ito::test
