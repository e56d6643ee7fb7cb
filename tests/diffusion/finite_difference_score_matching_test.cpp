#include "diffusion/finite_difference_score_matching.h"

#include <cmath>
#include <numbers>

#include "tests/diffusion/evaluate.h"

namespace ito {
namespace {

using test::evaluate;
using Values = std::vector<double>;

const Values kPoints = {0.3, -0.2, 1.4, 0.6, -0.9, 0.1, 2.0, -1.5, 0.0, 0.8};
const Values kSlices = {1, 1,  -1, 1, 0.5, -2,   1.5, 0.25, 1, -1,
                        1, -1, 1,  1, 2,   0.75, -1,  0.5,  1, 1};

// Both objectives at five points in the plane, two slices each.
struct Compared {
  Values sliced, differences;
};
Compared compared(const ScoreFunction& score, double h) {
  Graph graph;
  const Tensor x = constant(graph, {5, 2}, kPoints), t = full(graph, {5}, 0.25);
  const Tensor v = constant(graph, {2, 5, 2}, kSlices);
  const auto values =
      evaluate({sliced_score_matching(x, t, v, /*variance_reduced=*/false, score).per_image,
                finite_difference_score_matching(x, t, v, full(graph, {5}, h), score).per_image});
  return {values[0].data, values[1].data};
}

// The derivatives of the one are autodiff's, those of the other differences.
TEST(FiniteDifferenceScoreMatching, ComesToTheSlicedFormAsTheSquareOfTheStep) {
  const ScoreFunction score = [](Tensor x, Tensor t) {
    const Tensor a = slice_axis(x, 1, 0, 1), b = slice_axis(x, 1, 1, 2);
    return concat({tanh(a * 0.7 - b) - a, sin(a) * 0.5 - b * 0.6 + reshape(t, {x.dim(0), 1})}, 1);
  };
  const Compared far = compared(score, 0.02), near = compared(score, 0.01);
  for (size_t i = 0; i < 5; ++i) {
    const double at_two = far.differences[i] - far.sliced[i];
    const double at_one = near.differences[i] - near.sliced[i];
    EXPECT_LT(std::abs(at_one), 1e-3);
    EXPECT_GT(std::abs(at_one), 1e-7) << "this score is not affine";
    EXPECT_NEAR(at_two / at_one, 4, 0.02);  // the next term is h² of this one
  }
}

TEST(FiniteDifferenceScoreMatching, IsTheSlicedFormOfAnAffineScoreWhateverTheStep) {
  const ScoreFunction score = [](Tensor x, Tensor) {
    return matmul(x, constant(x.graph(), {2, 2}, {-2, 0.25, 1, -0.5})) + 0.3;
  };
  for (const double h : {0.01, 0.5, 3.0}) {
    const Compared both = compared(score, h);
    for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(both.differences[i], both.sliced[i], 1e-11);
  }
}

// s = -x³: (s(x+h) - s(x-h))/(2h) = -3x² - h², and the mean of both is -x³ - 3xh².
double cubic(double x, double h) {
  const double middle = x * x * x + 3 * x * h * h;
  return -3 * x * x - h * h + 0.5 * middle * middle;
}
Tensor cubic_score(Tensor x, Tensor) { return -(x * square(x)); }

TEST(FiniteDifferenceScoreMatching, OfACubicScoreIsItsClosedForm) {
  Graph graph;
  const Values points = {-1.5, 0.2, 2}, steps = {0.1, 0.5, 1};
  const auto values =
      evaluate({finite_difference_score_matching(constant(graph, {3, 1}, points),
                                                 full(graph, {3}, 0), full(graph, {1, 3, 1}, -1),
                                                 constant(graph, {3}, steps), cubic_score)
                    .per_image});
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(values[0].data[i], cubic(points[i], steps[i]), 1e-11);
}

// Data N(μ, LLᵀ) by the trapezoid rule; the slices are all signs that there are, up to their own.
// Of s = W(x - μ) + b the mean is quadratic, so that a point without slope is the minimum:
// W = -(LLᵀ)⁻¹, b = 0, at a step as long as the data are wide.
TEST(FiniteDifferenceScoreMatching, HasTheScoreOfGaussianDataAsItsMinimum) {
  constexpr int kCount = 41;
  constexpr double kReach = 8, kL[3] = {0.8, 0.5, 1.1}, kMean[2] = {0.4, -0.3};
  const double h = 2 * kReach / (kCount - 1);
  const auto normal = [](double u) {
    return std::exp(-u * u / 2) / std::sqrt(2 * std::numbers::pi);
  };
  Values points, weights, slices;
  for (int i = 0; i < kCount; ++i)
    for (int j = 0; j < kCount; ++j) {
      const double u = -kReach + h * i, w = -kReach + h * j;
      points.insert(points.end(), {kMean[0] + kL[0] * u, kMean[1] + kL[1] * u + kL[2] * w});
      weights.push_back(h * h * normal(u) * normal(w));
    }
  const auto n = static_cast<int64_t>(weights.size());
  for (const double sign : {1.0, -1.0})
    for (int64_t i = 0; i < n; ++i) slices.insert(slices.end(), {1, sign});
  const double a = kL[0] * kL[0], b = kL[0] * kL[1], c = kL[1] * kL[1] + kL[2] * kL[2];
  const double det = a * c - b * b;
  const auto slope = [&](const Values& w, const Values& bias) {
    Graph graph;
    const Tensor weight = constant(graph, {2, 2}, w), shift = constant(graph, {1, 2}, bias);
    const ScoreFunction score = [&](Tensor x, Tensor) {
      return matmul(x - constant(graph, {1, 2}, {kMean[0], kMean[1]}), weight) + shift;
    };
    const Tensor per = finite_difference_score_matching(
                           constant(graph, {n, 2}, points), full(graph, {n}, 0),
                           constant(graph, {2, n, 2}, slices), full(graph, {n}, 0.9), score)
                           .per_image;
    const Tensor loss = sum_all(per * constant(graph, {n}, weights));
    const auto values = evaluate(grad(loss, {weight, shift}));
    Values all = values[0].data;
    all.insert(all.end(), values[1].data.begin(), values[1].data.end());
    double largest = 0;
    for (const double value : all) largest = std::max(largest, std::abs(value));
    return largest;
  };
  const Values truth = {-c / det, b / det, b / det, -a / det};
  EXPECT_LT(slope(truth, {0, 0}), 1e-9);
  EXPECT_GT(slope({truth[0] + 0.1, truth[1], truth[2], truth[3]}, {0, 0}), 1e-2);
  EXPECT_GT(slope(truth, {0, 0.1}), 1e-2);
}

// λ(t) times the objective at x_t, with a step of so many deviations of the noise.
TEST(FiniteDifferenceScoreMatching, OfNoisedDataStepsByTheNoise) {
  const Values images = {0.7, -0.4, 1.2}, times = {0.1, 0.5, 0.9}, noises = {-0.3, 0.8, 1.5};
  for (const Sde::Kind kind : {Sde::Kind::kVe, Sde::Kind::kVp, Sde::Kind::kSubVp}) {
    const Sde sde{.kind = kind, .sigma_min = 0.1, .sigma_max = 2};
    Graph graph;
    const Tensor t = constant(graph, {3}, times);
    const auto values =
        evaluate({noised_finite_difference_score_matching(
                      constant(graph, {3, 1}, images), t, constant(graph, {3, 1}, noises),
                      full(graph, {1, 3, 1}, 1), sde, cubic_score)
                      .per_image,
                  sde.mean(t), sde.std(t)});
    for (size_t i = 0; i < 3; ++i) {
      const double std = values[2].data[i], x = values[1].data[i] * images[i] + std * noises[i];
      EXPECT_NEAR(values[0].data[i], std * std * cubic(x, kFiniteDifferenceStep * std), 1e-9)
          << sde_name(kind);
    }
  }
}

}  // namespace
}  // namespace ito
