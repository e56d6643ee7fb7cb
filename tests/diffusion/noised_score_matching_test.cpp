#include "diffusion/noised_score_matching.h"

#include <cmath>
#include <numbers>

#include "tests/diffusion/evaluate.h"

namespace ito {
namespace {

using test::evaluate;
using Values = std::vector<double>;

// Integrated by parts over the noise, E std² (tr ∂s + ½|s|²) = ½ E(|std s + z|² - |z|²) for every
// score s and every law of the data: what denoising score matching has, at half its scale, less ½.
TEST(NoisedScoreMatching, HasTheDenoisingLossLessAConstantAsExpectation) {
  constexpr int kCount = 81;
  constexpr double kReach = 9;
  const double h = 2 * kReach / (kCount - 1);
  Values x0, z, t, weight;
  for (const double data : {-0.8, 0.3, 1.1})
    for (const double time : {0.1, 0.6})
      for (int i = 0; i < kCount; ++i) {
        const double u = -kReach + h * i;
        x0.push_back(data);
        t.push_back(time);
        z.push_back(u);
        weight.push_back(h * std::exp(-u * u / 2) / std::sqrt(2 * std::numbers::pi) / 6);
      }
  const int64_t n = static_cast<int64_t>(x0.size());
  const ScoreFunction score = [](Tensor x, Tensor time) {
    return sin(x) * 0.7 - x * per_image(time, 2);
  };
  for (const Sde::Kind kind : {Sde::Kind::kVe, Sde::Kind::kVp, Sde::Kind::kSubVp}) {
    const Sde sde{.kind = kind, .sigma_min = 0.1, .sigma_max = 4};
    Graph graph;
    const Tensor images = constant(graph, {n, 1}, x0), times = constant(graph, {n}, t);
    const Tensor noise = constant(graph, {n, 1}, z), signs = full(graph, {1, n, 1}, -1);
    std::vector<Tensor> wanted = {
        continuous_dsm_loss(images, times, noise, sde, score, {.reduce_mean = true}).per_image};
    for (const ScoreEstimator estimator : {ScoreEstimator::kImplicit, ScoreEstimator::kSliced,
                                           ScoreEstimator::kSlicedVarianceReduced})
      wanted.push_back(
          noised_score_matching(estimator, images, times, noise, signs, sde, score).per_image);
    const auto values = evaluate(wanted);
    const auto mean = [&](size_t k) {
      double sum = 0;
      for (size_t i = 0; i < weight.size(); ++i) sum += values[k].data[i] * weight[i];
      return sum;
    };
    // In one dimension a sign is every projection there is.
    for (size_t k = 1; k < 4; ++k)
      EXPECT_NEAR(mean(k), 0.5 * mean(0) - 0.5, 1e-6) << sde_name(kind);
  }
}

}  // namespace
}  // namespace ito
