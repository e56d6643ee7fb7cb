#include "diffusion/loss.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/registry.h"
#include "diffusion/choices.h"
#include "diffusion/posterior.h"
#include "diffusion/streams.h"
#include "graph/builder.h"

namespace ito {
namespace {

struct LossWeightRow {
  Name name;
  LossWeight weight;
};
constexpr LossWeightRow kWeights[] = {
    {{"none", "every timestep alike", "Ho et al. 2020, eq. 14", ""}, LossWeight::kNone},
    {{"min_snr", "SNR up to a bound", "Hang et al. 2023", ""}, LossWeight::kMinSnr},
    {{"p2", "less where there is little noise", "Choi et al. 2022", ""}, LossWeight::kP2},
    {{"elbo", "as the variational bound has it", "Ho et al. 2020, eq. 12", ""}, LossWeight::kElbo},
};

// w(t) for the squared error of x_0, from which the others follow without dividing by SNR = 0.
double weight_of_x0_error(const NoiseSchedule& schedule, int t, const LossOptions& options) {
  const double snr = schedule.snr(t);
  switch (options.weight) {
    case LossWeight::kNone:
      break;
    case LossWeight::kMinSnr:
      return std::min(snr, options.min_snr_gamma);
    case LossWeight::kP2:
      return snr / std::pow(options.p2_k + snr, options.p2_gamma);
    case LossWeight::kElbo: {
      // β²/(2σ²α(1-ᾱ)) · ᾱ/(1-ᾱ), with ᾱ_t/α_t written ᾱ_{t-1}.
      const double beta = schedule.betas[static_cast<size_t>(t)];
      const double rest = 1 - schedule.alpha_bar(t);
      double variance = beta;
      if (options.elbo_small_variance) {
        const int s = std::max(t, 1);
        variance = posterior(schedule, s, s - 1).variance;
      }
      return beta * beta * schedule.alpha_bar(t - 1) / (2 * variance * rest * rest);
    }
  }
  CHECK(false, "an unweighted loss has no weight per kind of error");
}

double weight_of(const NoiseSchedule& schedule, int t, const LossOptions& options) {
  if (options.weight == LossWeight::kNone) return 1;
  const double w = weight_of_x0_error(schedule, t, options);
  const double snr = schedule.snr(t);
  return weight_of_error(options.prediction, w, snr, schedule.alpha_bar(t));
}

}  // namespace

std::vector<Name> loss_weight_choices() { return names_of(kWeights); }

Result<LossWeight> loss_weight_from_name(const std::string& name) {
  ITO_ASSIGN(const LossWeightRow* row,
             row_called(std::span<const LossWeightRow>(kWeights), name, "--loss-weight"));
  return row->weight;
}

std::vector<double> loss_weights(const NoiseSchedule& schedule, const LossOptions& options) {
  std::vector<double> weights;
  for (int t = 0; t < schedule.num_timesteps(); ++t)
    weights.push_back(weight_of(schedule, t, options));
  return weights;
}

TrainingDraw draw_training(const Shape& shape, Tensor key, Tensor image, Tensor step,
                           const NoiseSchedule& schedule) {
  return {.timestep = random_index(key, image, step, kStreamTrainTimestep,
                                   static_cast<uint32_t>(schedule.num_timesteps())),
          .noise = random_normal(shape, key, image, step, kStreamTrainNoise)};
}

TrainingLoss denoising_loss(Tensor x0, const TrainingDraw& draw, const NoiseSchedule& schedule,
                            const Denoiser& denoiser, const LossOptions& options) {
  Graph& graph = x0.graph();
  const int64_t n = x0.dim(0);
  const int64_t T = schedule.num_timesteps();
  // a, s and w of each image's t, from one table.
  const std::vector<double> weights = loss_weights(schedule, options);
  std::vector<double> table;
  for (int t = 0; t < schedule.num_timesteps(); ++t) {
    const double alpha_bar = schedule.alpha_bar(t);
    table.insert(table.end(),
                 {std::sqrt(alpha_bar), std::sqrt(1 - alpha_bar), weights[static_cast<size_t>(t)]});
  }
  const Tensor rows = gather(constant(graph, {T, 3}, std::move(table)), draw.timestep);
  std::vector<int64_t> per_image(static_cast<size_t>(x0.rank()), 1);
  per_image[0] = n;
  const auto column = [&](int64_t i) { return slice_axis(rows, 1, i, i + 1); };
  const Tensor a = reshape(column(0), Shape(per_image));
  const Tensor s = reshape(column(1), Shape(per_image));
  const Tensor w = reshape(column(2), {n});

  const Tensor x_t = add_noise(x0, draw.noise, a, s);
  const Tensor target = prediction_target(options.prediction, x0, draw.noise, a, s);
  const Tensor output = denoiser(x_t, cast(draw.timestep, DType::kF32));
  CHECK(output.shape() == x0.shape(), "loss: the denoiser gives " + output.shape().to_string() +
                                          ", expected " + x0.shape().to_string());
  std::vector<int64_t> axes;
  for (int axis = 1; axis < x0.rank(); ++axis) axes.push_back(axis);
  const Tensor difference = output - target;
  Tensor per =
      mean(options.error ? options.error(difference, draw.timestep) : square(difference), axes);
  if (options.weight != LossWeight::kNone) per = w * per;
  return {.loss = mean_all(per), .per_image = per, .x_t = x_t, .target = target};
}

}  // namespace ito
