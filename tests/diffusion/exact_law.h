// The exact law of a discretised sampler on a mixture of two isotropic Gaussians of one variance in
// the plane. Along the line through the means and across it such a mixture is a product of
// one-dimensional densities, and so it stays under maps by its score and isotropic noise. Each axis
// is carried as weights on a grid, so that the theory's own value of every moment, bias of the
// discretisation included, is known to far less than the standard errors of 100,000 chains.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "diffusion/gaussian_mixture.h"
#include "tests/diffusion/method_device.h"

namespace ito::test {

// The score of a mixture in one dimension, noised to a x_0 + s ε.
class AxisScore {
 public:
  explicit AxisScore(GaussianMixture axis) : axis_(std::move(axis)) {}

  double operator()(double x, double a, double s) const {
    std::array<double, 4> log_share{}, pull{};
    double largest = -1e300, total = 0, sum = 0;
    for (size_t k = 0; k < axis_.weights.size(); ++k) {
      const double variance = a * a * axis_.variances[k][0] + s * s;
      pull[k] = (a * axis_.means[k][0] - x) / variance;
      log_share[k] =
          std::log(axis_.weights[k] / std::sqrt(variance)) - pull[k] * pull[k] * variance / 2;
      largest = std::max(largest, log_share[k]);
    }
    for (size_t k = 0; k < axis_.weights.size(); ++k) {
      const double share = std::exp(log_share[k] - largest);
      total += share;
      sum += share * pull[k];
    }
    return sum / total;
  }

 private:
  GaussianMixture axis_;
};

// The law of one number: weights on the points of a grid. Mass that falls between points is shared
// among six of them by Lagrange interpolation, which keeps moments to the fifth exactly and other
// smooth expectations to the sixth order of the spacing.
class Law {
 public:
  // A mixture in one dimension. The grid covers 8 deviations of it, and of the widest law
  // that a coarse sampler of the tests goes through, N(0, 2.5²).
  explicit Law(const GaussianMixture& start)
      : half_(static_cast<ptrdiff_t>(reach_of(start) / kSpacing)),
        weights_(2 * static_cast<size_t>(half_) + 1) {
    for (size_t i = 0; i < weights_.size(); ++i)
      for (size_t k = 0; k < start.weights.size(); ++k) {
        const double deviation = std::sqrt(start.variances[k][0]);
        const double z = (point(i) - start.means[k][0]) / deviation;
        weights_[i] += start.weights[k] * kSpacing / deviation * normal_density(z);
      }
  }

  // x becomes f(x).
  template <typename Function>
  void move(Function f) {
    std::vector<double> next(weights_.size());
    for_points([&](double x, double weight) { deposit(next, f(x), weight); });
    weights_ = std::move(next);
  }

  // x becomes x + deviation z: the normal as a trapezoid sum over the grid, or if it is too narrow
  // for that over points of its own, a deviation apart; exact to 1e-8.
  void add_noise(double deviation) {
    if (deviation == 0) return;
    std::vector<double> next(weights_.size());
    if (deviation > 1.2 * kSpacing)
      convolve(next, deviation);
    else
      for (int k = -6; k <= 6; ++k)
        for_points([&](double x, double weight) {
          deposit(next, x + deviation * k, weight * normal_density(k));
        });
    weights_ = std::move(next);
  }

  // f(x, weight) for every point that has some.
  template <typename Function>
  void for_points(Function f) const {
    for (size_t i = 0; i < weights_.size(); ++i)
      if (std::fabs(weights_[i]) > kNothing) f(point(i), weights_[i]);
  }
  template <typename Function>
  double expect(Function f) const {
    double sum = 0;
    for_points([&](double x, double weight) { sum += weight * f(x); });
    return sum;
  }
  // The grid, ascending, for maps by a table: index_of(point) is a point's place in it.
  std::vector<double> points() const {
    std::vector<double> all;
    for (size_t i = 0; i < weights_.size(); ++i) all.push_back(point(i));
    return all;
  }
  size_t index_of(double x) const { return static_cast<size_t>(std::lround(x / kSpacing) + half_); }
  double mean() const {
    return expect([](double x) { return x; });
  }
  double variance() const {
    const double m = mean();
    return expect([m](double x) { return (x - m) * (x - m); });
  }

 private:
  static constexpr double kSpacing = 0.05;
  static constexpr double kNothing = 1e-14;  // weights that are left out

  static double reach_of(const GaussianMixture& start) {
    double reach = 20;
    for (size_t k = 0; k < start.weights.size(); ++k)
      reach = std::max(reach, std::fabs(start.means[k][0]) + 8 * std::sqrt(start.variances[k][0]));
    return reach;
  }
  double point(size_t i) const { return kSpacing * static_cast<double>(ptrdiff_t(i) - half_); }

  static double normal_density(double z) {
    return std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi);
  }

  void convolve(std::vector<double>& into, double deviation) const {
    const auto reach = static_cast<ptrdiff_t>(7 * deviation / kSpacing);
    std::vector<double> kernel;
    for (ptrdiff_t k = -reach; k <= reach; ++k)
      kernel.push_back(kSpacing / deviation *
                       normal_density(static_cast<double>(k) * kSpacing / deviation));
    const auto n = static_cast<ptrdiff_t>(weights_.size());
    for (ptrdiff_t i = 0; i < n; ++i) {
      const double weight = weights_[static_cast<size_t>(i)];
      if (std::fabs(weight) <= kNothing) continue;
      for (ptrdiff_t j = std::max(i - reach, ptrdiff_t{0}); j <= std::min(i + reach, n - 1); ++j)
        into[static_cast<size_t>(j)] += weight * kernel[static_cast<size_t>(j - i + reach)];
    }
  }

  void deposit(std::vector<double>& into, double x, double weight) const {
    const double at = x / kSpacing + static_cast<double>(half_);
    const ptrdiff_t most = 2 * half_ - 3;
    const ptrdiff_t below = std::clamp(static_cast<ptrdiff_t>(std::floor(at)), ptrdiff_t{2}, most);
    const double t = at - static_cast<double>(below);
    // Π_{k≠i} (t - k)/(i - k) over k = -2 .. 3.
    const double a = t + 2, b = t + 1, c = t, d = t - 1, e = t - 2, f = t - 3;
    double* out = into.data() + below - 2;
    out[0] += weight * b * c * d * e * f / -120;
    out[1] += weight * a * c * d * e * f / 24;
    out[2] += weight * a * b * d * e * f / -12;
    out[3] += weight * a * b * c * e * f / 12;
    out[4] += weight * a * b * c * d * f / -24;
    out[5] += weight * a * b * c * d * e / 120;
  }

  ptrdiff_t half_ = 0;
  std::vector<double> weights_;
};

// Two independent axes of the plane, the first along the unit vector `direction`.
struct PlaneData {
  GaussianMixture along, across;  // in one dimension each; variances equal, across has one mode
  std::array<double, 2> direction = {1, 0};

  // Both as one mixture in the plane. The modes must have one variance unless direction is an axis.
  GaussianMixture mixture() const {
    GaussianMixture all{along.weights, {}, {}};
    for (size_t k = 0; k < along.weights.size(); ++k) {
      all.means.push_back({direction[0] * along.means[k][0] - direction[1] * across.means[0][0],
                           direction[1] * along.means[k][0] + direction[0] * across.means[0][0]});
      all.variances.push_back({along.variances[k][0], across.variances[0][0]});
    }
    return all;
  }
};

inline PlaneData equal_modes() {
  return {.along = {{0.3, 0.7}, {{-1.0}, {0.8}}, {{0.3}, {0.3}}},
          .across = {{1.0}, {{0.2}}, {{0.3}}},
          .direction = {0.8, 0.6}};
}

// The moments that are compared: along and across the line of the means, and the weight of the
// mode to the right, which is the mean of its posterior probability given a point of the data.
struct PlaneMoments {
  double along = 0, across = 0, variance_along = 0, variance_across = 0, weight = 0;

  std::array<double, 5> values() const {
    return {along, across, variance_along, variance_across, weight};
  }
  // Their standard errors with n samples, the variances' those of Gaussians.
  std::array<double, 5> errors(double n) const {
    return {std::sqrt(variance_along / n), std::sqrt(variance_across / n),
            variance_along * std::sqrt(2 / n), variance_across * std::sqrt(2 / n),
            std::sqrt(weight * (1 - weight) / n)};
  }
};

// The posterior probability of the second of two modes at u.
inline double second_mode_posterior(const GaussianMixture& modes, double u) {
  const auto log_share = [&](size_t k) {
    const double e = u - modes.means[k][0], v = modes.variances[k][0];
    return std::log(modes.weights[k]) - e * e / (2 * v) - std::log(v) / 2;
  };
  return modes.weights.size() < 2 ? 0 : 1 / (1 + std::exp(log_share(0) - log_share(1)));
}

class PlaneLaw {
 public:
  // The data's law noised to a x_0 + s ε, or started at N(0, deviation²).
  static PlaneLaw noised_data(const PlaneData& data, double a, double s) {
    return {data, Law(noised_axis(data.along, a, s)), Law(noised_axis(data.across, a, s))};
  }
  static PlaneLaw noise(const PlaneData& data, double deviation) {
    const GaussianMixture start{{1.0}, {{0.0}}, {{deviation * deviation}}};
    return {data, Law(start), Law(start)};
  }

  // x becomes f(x, score), score an AxisScore.
  template <typename Function>
  void move(Function f) {
    along_.move([&](double x) { return f(x, score_along_); });
    across_.move([&](double x) { return f(x, score_across_); });
  }
  void add_noise(double deviation) {
    along_.add_noise(deviation);
    across_.add_noise(deviation);
  }

  // E|s|.
  double mean_score_norm(double a, double s) const {
    std::vector<std::pair<double, double>> across;  // s², weight
    across_.for_points([&](double x, double weight) {
      across.emplace_back(std::pow(score_across_(x, a, s), 2), weight);
    });
    return along_.expect([&](double x) {
      const double square = std::pow(score_along_(x, a, s), 2);
      double sum = 0;
      for (const auto& [other, weight] : across) sum += weight * std::sqrt(square + other);
      return sum;
    });
  }

  PlaneMoments moments() const {
    return {
        .along = along_.mean(),
        .across = across_.mean(),
        .variance_along = along_.variance(),
        .variance_across = across_.variance(),
        .weight = along_.expect([&](double u) { return second_mode_posterior(data_.along, u); })};
  }
  const PlaneData& data() const { return data_; }

 private:
  PlaneLaw(PlaneData data, Law along, Law across)
      : data_(std::move(data)),
        along_(std::move(along)),
        across_(std::move(across)),
        score_along_(data_.along),
        score_across_(data_.across) {}

  static GaussianMixture noised_axis(GaussianMixture axis, double a, double s) {
    for (size_t k = 0; k < axis.weights.size(); ++k) {
      axis.means[k][0] *= a;
      axis.variances[k][0] = a * a * axis.variances[k][0] + s * s;
    }
    return axis;
  }

  PlaneData data_;
  Law along_, across_;
  AxisScore score_along_, score_across_;
};

// Mean, covariance and weight of the samples [chains, 2], each within 4 standard errors of the law.
inline void expect_law(const std::vector<float>& x, const PlaneLaw& law) {
  const PlaneMoments m = law.moments();
  const auto [c, s] = law.data().direction;
  const std::array<double, 2> mean = {c * m.along - s * m.across, s * m.along + c * m.across};
  const std::array<std::array<double, 2>, 2> covariance = {
      {{c * c * m.variance_along + s * s * m.variance_across,
        c * s * (m.variance_along - m.variance_across)},
       {c * s * (m.variance_along - m.variance_across),
        s * s * m.variance_along + c * c * m.variance_across}}};
  for (size_t i = 0; i < 2; ++i) {
    SCOPED_TRACE("axis " + std::to_string(i));
    EXPECT_WITHIN_4_SE(estimate(x, 2, [&](const float* p) { return p[i]; }), mean[i]);
    for (size_t j = 0; j <= i; ++j)
      EXPECT_WITHIN_4_SE(
          estimate(x, 2, [&](const float* p) { return (p[i] - mean[i]) * (p[j] - mean[j]); }),
          covariance[i][j]);
  }
  if (law.data().along.weights.size() < 2) return;
  EXPECT_WITHIN_4_SE(estimate(x, 2,
                              [&](const float* p) {
                                return second_mode_posterior(law.data().along, c * p[0] + s * p[1]);
                              }),
                     m.weight);
}

}  // namespace ito::test
