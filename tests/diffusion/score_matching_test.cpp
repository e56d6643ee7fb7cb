#include "diffusion/score_matching.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "graph/builder.h"
#include "graph/interpret.h"

namespace ito {
namespace {

using Values = std::vector<double>;

std::vector<HostValue> evaluate(const std::vector<Tensor>& tensors) {
  auto values = interpret(tensors, {});
  EXPECT_TRUE(values.ok()) << (values.ok() ? "" : values.error().message);
  return std::move(values).value();
}

// Integrals of smooth decaying functions by the trapezoid rule, which converges faster than any
// power of the step: points and a weight that includes the step.
struct Quadrature {
  Values x, weight;
};
Quadrature standard_normal_quadrature(int count, double reach) {
  Quadrature q;
  const double h = 2 * reach / (count - 1);
  for (int i = 0; i < count; ++i) {
    const double x = -reach + h * i;
    q.x.push_back(x);
    q.weight.push_back(h * std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi));
  }
  return q;
}

double weighted_sum(const Values& values, const Values& weights) {
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) sum += values[i] * weights[i];
  return sum;
}

// Data x = (0.4 + 0.8 u, -0.3 + 1.3 v), u and v standard normal: a grid of points with weights.
const GaussianMixture kGaussian{{1.0}, {{0.4, -0.3}}, {{0.64, 1.69}}};
struct Plane {
  Values x, weight;
  int64_t n = 0;
};
Plane gaussian_plane() {
  const Quadrature q = standard_normal_quadrature(41, 8);
  Plane plane;
  for (size_t i = 0; i < q.x.size(); ++i)
    for (size_t j = 0; j < q.x.size(); ++j) {
      plane.x.insert(plane.x.end(), {0.4 + 0.8 * q.x[i], -0.3 + 1.3 * q.x[j]});
      plane.weight.push_back(q.weight[i] * q.weight[j]);
      ++plane.n;
    }
  return plane;
}

ScoreFunction exact(const GaussianMixture& mixture) {
  return [mixture](Tensor x, Tensor t) {
    return (mixture_posterior(mixture, x, full(x.graph(), t.shape(), 1),
                              full(x.graph(), t.shape(), 1e-6))
                .epsilon) /
           -1e-6;
  };
}

// A score of nothing in particular, with a Jacobian that is neither symmetric nor constant.
Tensor some_score(Tensor x, Tensor t) {
  const Tensor a = slice_axis(x, 1, 0, 1), b = slice_axis(x, 1, 1, 2);
  return concat({tanh(a * 0.7 - b) - a, sin(a) * 0.5 - b * 0.6 + reshape(t, {x.dim(0), 1})}, 1);
}

TEST(ScoreMatching, ImplicitFormIsTheFisherDivergenceLessAConstant) {
  const Plane plane = gaussian_plane();
  Graph graph;
  const Tensor x = constant(graph, {plane.n, 2}, plane.x);
  const Tensor t = full(graph, {plane.n}, 0.25);
  const ScoreFunction truth = exact(kGaussian);
  const auto zero = [](Tensor at, Tensor) { return full(at.graph(), at.shape(), 0); };
  const auto values = evaluate({implicit_score_matching(x, t, some_score).per_image,
                                fisher_divergence(x, t, some_score, truth).per_image,
                                fisher_divergence(x, t, zero, truth).per_image});
  const double implicit = weighted_sum(values[0].data, plane.weight);
  const double fisher = weighted_sum(values[1].data, plane.weight);
  const double constant_term = weighted_sum(values[2].data, plane.weight);
  EXPECT_NEAR(constant_term, 0.5 * (1 / 0.64 + 1 / 1.69), 1e-6);
  EXPECT_GT(fisher, 0.1);
  EXPECT_NEAR(implicit + constant_term, fisher, 1e-6);
}

// E over x0 and z of the denoising loss is the Fisher divergence from the smoothed density plus
// D/(2σ²) - ½E|s*|², whatever the score (Vincent 2011, section 4.2).
TEST(ScoreMatching, DenoisingFormIsTheSmoothedFisherDivergencePlusAConstant) {
  const double sigma = 0.6;
  const GaussianMixture data{{0.3, 0.7}, {{-1.2}, {0.8}}, {{0.09}, {0.25}}};
  GaussianMixture smooth = data;
  for (Values& variance : smooth.variances) variance[0] += sigma * sigma;
  const Quadrature q = standard_normal_quadrature(81, 8);
  Values x0, z, weight, y, y_weight;
  for (size_t k = 0; k < 2; ++k)
    for (size_t i = 0; i < q.x.size(); ++i) {
      const double w = data.weights[k] * q.weight[i];
      y.push_back(smooth.means[k][0] + std::sqrt(smooth.variances[k][0]) * q.x[i]);
      y_weight.push_back(w);
      for (size_t j = 0; j < q.x.size(); ++j) {
        x0.push_back(data.means[k][0] + std::sqrt(data.variances[k][0]) * q.x[i]);
        z.push_back(q.x[j]);
        weight.push_back(w * q.weight[j]);
      }
    }
  Graph graph;
  const auto score = [](Tensor x, Tensor) { return sin(x) - x * 0.8; };
  const auto zero = [](Tensor x, Tensor) { return full(x.graph(), x.shape(), 0); };
  const int64_t n = static_cast<int64_t>(x0.size()), m = static_cast<int64_t>(y.size());
  const Tensor at = constant(graph, {m, 1}, y), time = full(graph, {m}, 0);
  const auto values =
      evaluate({denoising_score_matching(constant(graph, {n, 1}, x0), full(graph, {n}, 0),
                                         constant(graph, {n, 1}, z), sigma, score)
                    .per_image,
                ladder_score_matching(constant(graph, {n, 1}, x0), full(graph, {n}, 0),
                                      constant(graph, {n, 1}, z), full(graph, {n}, sigma), score)
                    .per_image,
                fisher_divergence(at, time, score, exact(smooth)).per_image,
                fisher_divergence(at, time, zero, exact(smooth)).per_image});
  const double denoising = weighted_sum(values[0].data, weight);
  const double ladder = weighted_sum(values[1].data, weight);
  const double fisher = weighted_sum(values[2].data, y_weight);
  const double rest = 0.5 / (sigma * sigma) - weighted_sum(values[3].data, y_weight);
  EXPECT_GT(fisher, 0.05);
  EXPECT_NEAR(denoising, fisher + rest, 1e-6);
  EXPECT_NEAR(ladder, sigma * sigma * denoising, 1e-9);
}

// With projections along ±√2 times the axes, E vvᵀ = I exactly, so that the mean over them is the
// implicit form for the variance-reduced loss, and for the plain one too.
TEST(ScoreMatching, SlicesThatAverageToTheIdentityGiveTheImplicitForm) {
  Graph graph;
  const int64_t n = 5;
  const Values points = {0.3, -0.2, 1.4, 0.6, -0.9, 0.1, 2.0, -1.5, 0.0, 0.8};
  const Tensor x = constant(graph, {n, 2}, points), t = full(graph, {n}, 0.1);
  Values v;
  const double root = std::sqrt(2.0);
  for (const auto& [a, b] : {std::pair{root, 0.0}, {0.0, root}})
    for (int64_t i = 0; i < n; ++i) v.insert(v.end(), {a, b});
  const Tensor projections = constant(graph, {2, n, 2}, v);
  const auto values =
      evaluate({implicit_score_matching(x, t, some_score).per_image,
                sliced_score_matching(x, t, projections, false, some_score).per_image,
                sliced_score_matching(x, t, projections, true, some_score).per_image});
  for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
    EXPECT_NEAR(values[1].data[i], values[0].data[i], 1e-12);
    EXPECT_NEAR(values[2].data[i], values[0].data[i], 1e-12);
  }
}

// One slice v of data with covariance I at the exact score -x: the plain form's gradient vanishes
// whatever v, as vᵀ∂s v and ½(vᵀs)² pull against each other along v alone, and the variance-reduced
// form's is vvᵀ - I, whose mean over v vanishes. So the noise of few slices dies out as training of
// the first comes to its end, and stays in the second.
TEST(ScoreMatching, OneSliceLeavesNoiseInTheReducedFormOnly) {
  Graph graph;
  const double r = std::sqrt(2.0);
  const Tensor x = constant(graph, {4, 2}, {r, 0, -r, 0, 0, r, 0, -r}), t = full(graph, {4}, 0);
  const Tensor weight = constant(graph, {2, 2}, {-1, 0, 0, -1});
  const auto score = [&](Tensor at, Tensor) { return matmul(at, weight); };
  const Tensor v = constant(graph, {1, 4, 2}, {1, 1, 1, 1, 1, 1, 1, 1});
  const auto gradient = [&](bool reduced) {
    return grad(sliced_score_matching(x, t, v, reduced, score).loss, {weight})[0];
  };
  const auto values = evaluate({gradient(false), gradient(true)});
  const Values reduced = {0, 1, 1, 0};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(values[0].data[i], 0, 1e-12) << i;
    EXPECT_NEAR(values[1].data[i], reduced[i], 1e-12) << i;
  }
}

TEST(ScoreMatching, ImplicitFormOfALinearScoreIsItsTrace) {
  Graph graph;
  const Values points = {0.5, -1, 2, 3};
  const auto score = [](Tensor x, Tensor) {
    return matmul(x, constant(x.graph(), {2, 2}, {-2, 0.25, 1, -0.5}));
  };
  const auto values =
      evaluate({implicit_score_matching(constant(graph, {2, 2}, points), full(graph, {2}, 0), score)
                    .per_image});
  for (size_t i = 0; i < 2; ++i) {
    const double a = points[2 * i], b = points[2 * i + 1];
    const double s0 = -2 * a + b, s1 = 0.25 * a - 0.5 * b;
    EXPECT_NEAR(values[0].data[i], -2.5 + 0.5 * (s0 * s0 + s1 * s1), 1e-12);
  }
}

TEST(ScoreMatching, EnergiesGoThroughTheirGradients) {
  Graph graph;
  const Tensor x = constant(graph, {3, 2}, {0.5, -1, 2, 3, -0.25, 0.75}), t = full(graph, {3}, 0);
  // ∇(-x⁴/4 - x²y²/2) summed over both elements: s = -(x³ + xy², y x²), trace -(3x² + y² + x²).
  const auto energy = [](Tensor at, Tensor) {
    const Tensor a = slice_axis(at, 1, 0, 1), b = slice_axis(at, 1, 1, 2);
    return sum(square(square(a)) * -0.25 - square(a * b) * 0.5, {1});
  };
  const auto values = evaluate({implicit_score_matching(x, t, energy_score(energy)).per_image});
  const Values points = {0.5, -1, 2, 3, -0.25, 0.75};
  for (size_t i = 0; i < 3; ++i) {
    const double a = points[2 * i], b = points[2 * i + 1];
    const double s0 = -(a * a * a + a * b * b), s1 = -b * a * a;
    EXPECT_NEAR(values[0].data[i], -(4 * a * a + b * b) + 0.5 * (s0 * s0 + s1 * s1), 1e-12);
  }
}

constexpr Sde::Kind kKinds[] = {Sde::Kind::kVe, Sde::Kind::kVp, Sde::Kind::kSubVp, Sde::Kind::kEdm};

// Under both distributions of t the expectation of the likelihood-weighted loss is the same:
// midpoint sums over their quantiles. The times themselves stay within their interval and grow.
TEST(ContinuousLoss, ImportanceSamplingKeepsTheExpectation) {
  constexpr int64_t kPoints = 40000;
  Values quantiles;
  for (int64_t i = 0; i < kPoints; ++i)
    quantiles.push_back((static_cast<double>(i) + 0.5) / kPoints);
  for (const Sde::Kind kind : kKinds) {
    SCOPED_TRACE(sde_name(kind));
    const Sde sde{.kind = kind};
    Graph graph;
    const Tensor u = constant(graph, {kPoints}, quantiles);
    const Tensor x0 = full(graph, {kPoints, 1}, 0.7), z = full(graph, {kPoints, 1}, -0.4);
    std::vector<Tensor> wanted;
    for (const TimeSampling sampling : {TimeSampling::kUniform, TimeSampling::kImportance}) {
      const ContinuousLoss options{.weighting = ScoreWeighting::kLikelihood,
                                   .sampling = sampling,
                                   .start = kind == Sde::Kind::kEdm ? 1 : 0.05};
      const Tensor t = time_quantile(sde, u, options);
      wanted.push_back(t);
      wanted.push_back(
          continuous_dsm_loss(x0, t, z, sde, mixture_score({{1}, {{0.2}}, {{0.5}}}, sde), options)
              .loss);
    }
    const auto values = evaluate(wanted);
    EXPECT_NEAR(values[3].data[0] / values[1].data[0], 1, 1e-5);
    for (size_t times : {0, 2}) {
      const Values& t = values[times].data;
      EXPECT_GE(t.front(), kind == Sde::Kind::kEdm ? 1 : 0.05);
      EXPECT_LE(t.back(), sde.end());
      for (size_t i = 1; i < t.size(); ++i) ASSERT_GT(t[i], t[i - 1]);
    }
  }
}

// Likelihood weighting with importance sampling has std² weighting's loss up to one constant.
TEST(ContinuousLoss, ImportanceSamplingWeighsByAConstant) {
  for (const Sde::Kind kind : kKinds) {
    const Sde sde{.kind = kind};
    Graph graph;
    const Tensor t = constant(graph, {3}, {0.1, 0.4, 0.9});
    const Tensor x0 = constant(graph, {3, 1}, {0.7, 0.1, -2}), z = full(graph, {3, 1}, -0.4);
    const ScoreFunction score = [](Tensor x, Tensor) { return x * -0.5; };
    const auto values = evaluate({continuous_dsm_loss(x0, t, z, sde, score).per_image,
                                  continuous_dsm_loss(x0, t, z, sde, score,
                                                      {.weighting = ScoreWeighting::kLikelihood,
                                                       .sampling = TimeSampling::kImportance})
                                      .per_image});
    for (size_t i = 1; i < 3; ++i)
      EXPECT_NEAR(values[1].data[i] / values[0].data[i], values[1].data[0] / values[0].data[0],
                  1e-9);
  }
}

TEST(ContinuousLoss, OptionsThatDoNotFitAreNamed) {
  const Sde vp{.kind = Sde::Kind::kVp};
  EXPECT_TRUE(check_continuous_loss({}, vp).ok());
  EXPECT_NE(check_continuous_loss({.start = 1}, vp).error().message.find("start is 1"),
            std::string::npos);
  EXPECT_FALSE(check_continuous_loss({.start = -0.5}, vp).ok());
  EXPECT_FALSE(check_continuous_loss({.sampling = TimeSampling::kImportance}, vp).ok());
}

struct Draws {
  Tensor key, image, step;
};
Draws draws(Graph& graph, int64_t n, int64_t first = 0) {
  Values images;
  for (int64_t i = 0; i < n; ++i) images.push_back(static_cast<double>(first + i));
  return {constant(graph, {2}, {3, 5}, DType::kU32), constant(graph, {n}, images, DType::kU32),
          scalar(graph, 11, DType::kU32)};
}

TEST(ScoreDraws, ProjectionsHaveTheIdentityAsSecondMoment) {
  constexpr int64_t n = 4000, m = 3;
  Graph graph;
  const auto [key, image, step] = draws(graph, n);
  for (const Projection kind : {Projection::kGaussian, Projection::kRademacher}) {
    const auto values = evaluate({draw_projections(kind, m, {n, 2}, key, image, step)});
    ASSERT_EQ(values[0].shape, (Shape{m, n, 2}));
    double xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < values[0].data.size(); i += 2) {
      const double a = values[0].data[i], b = values[0].data[i + 1];
      if (kind == Projection::kRademacher) {
        ASSERT_TRUE(std::abs(a) == 1 && std::abs(b) == 1);
      }
      xx += a * a, yy += b * b, xy += a * b;
    }
    constexpr double count = n * m;
    EXPECT_NEAR(xx / count, 1, 4 * std::sqrt(2 / count));
    EXPECT_NEAR(yy / count, 1, 4 * std::sqrt(2 / count));
    EXPECT_NEAR(xy / count, 0, 4 / std::sqrt(count));
  }
}

TEST(ScoreDraws, ASplitBatchDrawsTheSame) {
  Graph graph;
  const auto whole = draws(graph, 6), part = draws(graph, 2, 4);
  const Sde sde{.kind = Sde::Kind::kVp};
  const std::vector<double> ladder = {3, 2, 1};
  const auto all = [&](const Draws& d, int64_t n) {
    const LadderDraw level = draw_ladder(ladder, d.key, d.image, d.step);
    return std::vector<Tensor>{
        draw_times(sde, d.key, d.image, d.step), level.sigma,
        reshape(draw_score_noise({n, 3}, d.key, d.image, d.step), {n, 3}),
        permute(draw_projections(Projection::kRademacher, 2, {n, 3}, d.key, d.image, d.step),
                {1, 0, 2})};
  };
  const auto a = evaluate(all(whole, 6)), b = evaluate(all(part, 2));
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_TRUE(std::equal(b[i].data.begin(), b[i].data.end(),
                           a[i].data.end() - static_cast<ptrdiff_t>(b[i].data.size())))
        << i;
  for (double sigma : a[1].data) EXPECT_TRUE(sigma == 1 || sigma == 2 || sigma == 3);
}

}  // namespace
}  // namespace ito
