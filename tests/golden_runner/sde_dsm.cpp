// Golden family sde, *_dsm: continuous denoising score matching with the analytic score of
// Gaussian data.
#include <cmath>
#include <vector>

#include "base/error.h"
#include "diffusion/score_matching.h"
#include "graph/builder.h"
#include "tests/golden_runner/families.h"
#include "tests/golden_runner/program_run.h"
#include "tests/golden_runner/sde_case.h"

namespace ito::golden {

Result<Outcome> run_dsm(vk::Device& device, const Case& golden) {
  ITO_ASSIGN(const Sde sde, sde_of(golden));
  ITO_ASSIGN(const double mu, number(golden.json, "mu"));
  ITO_ASSIGN(const double s, number(golden.json, "s"));
  Program program;
  HostValues values;
  const auto read = [&](const std::string& name) -> Result<Tensor> {
    ITO_ASSIGN(const Array array, golden.array(name));
    values[name] = to_value(array);
    return input(*program.graph, name, array.shape);
  };
  ITO_ASSIGN(const Tensor x0, read("x0"));
  ITO_ASSIGN(const Tensor t, read("t"));
  ITO_ASSIGN(const Tensor z, read("z"));
  if (x0.rank() != 2 || z.shape() != x0.shape() || t.shape() != Shape{x0.dim(0)})
    return corrupt("x0, z and t do not fit together");
  const size_t d = static_cast<size_t>(x0.dim(1));
  const GaussianMixture data{.weights = {1},
                             .means = {std::vector<double>(d, mu)},
                             .variances = {std::vector<double>(d, s * s)}};
  Comparison comparison;
  const ScoreFunction exact = mixture_score(data, sde);
  const ScoreFunction observed = [&](Tensor x, Tensor time) {
    const Tensor score = exact(x, time);
    program.output("x_t", x);
    program.output("score", score);
    return score;
  };
  const auto loss = [&](ScoreWeighting weighting, bool mean, const ScoreFunction& score) {
    return continuous_dsm_loss(x0, t, z, sde, score, {.weighting = weighting, .reduce_mean = mean});
  };
  const ScoreLoss mean = loss(ScoreWeighting::kStd2, true, observed);
  const ScoreLoss likelihood_mean = loss(ScoreWeighting::kLikelihood, true, exact);
  program.output("loss_per_sample_mean", mean.per_image);
  program.output("loss_per_sample_lw_mean", likelihood_mean.per_image);
  const std::vector<std::pair<const char*, Tensor>> losses = {
      {"loss_reduce_mean", mean.loss},
      {"loss_half_sum", loss(ScoreWeighting::kStd2, false, exact).loss},
      {"loss_likelihood_weighting_reduce_mean", likelihood_mean.loss},
      {"loss_likelihood_weighting_half_sum", loss(ScoreWeighting::kLikelihood, false, exact).loss}};
  for (const auto& [name, tensor] : losses) program.output(name, tensor);

  ITO_ASSIGN(const HostValues results, run_on_device(device, program, values));
  for (const char* name : {"x_t", "score", "loss_per_sample_mean", "loss_per_sample_lw_mean"}) {
    ITO_ASSIGN(const Array expected, golden.array(name));
    comparison.relative(name, to_array(result_of(results, name)), expected, 1e-5);
  }
  for (const auto& [name, tensor] : losses) {
    ITO_ASSIGN(const double expected, number(golden.json, name));
    const double found = result_of(results, name).data[0];
    comparison.measured(name, std::abs(found - expected) / std::abs(expected), 1e-5);
  }
  return comparison.outcome();
}

}  // namespace ito::golden
