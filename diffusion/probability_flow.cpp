#include "diffusion/probability_flow.h"

#include <cmath>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "graph/builder.h"

namespace ito {
namespace {

// ᾱ below this is all noise; float32 tables have no digits of it left.
constexpr double kLeastSignal = 1e-12;

// minus the log-SNR of timesteps 0, 1, ..., ascending.
Result<std::vector<double>> noise_levels(const NoiseSchedule& schedule) {
  std::vector<double> levels;
  for (int t = 0; t < schedule.num_timesteps(); ++t) {
    const double alpha_bar = schedule.alpha_bar(t);
    if (alpha_bar <= kLeastSignal) break;
    levels.push_back(std::log((1 - alpha_bar) / alpha_bar));
    if (levels.size() > 1 && !(levels.back() > levels[levels.size() - 2]))
      return invalid_argument(
          "noise schedule: alpha_bar is {} at timestep {}, expected less than at the one before",
          alpha_bar, t);
  }
  if (levels.size() < 2)
    return invalid_argument("noise schedule: {} timesteps have any signal, expected two or more",
                            levels.size());
  return levels;
}

// The timestep at level τ: each interval adds the part of it that lies below τ.
Tensor timestep_at(const std::vector<double>& levels, Tensor tau) {
  Graph& graph = tau.graph();
  const int64_t n = tau.dim(0), intervals = static_cast<int64_t>(levels.size()) - 1;
  std::vector<double> from(levels.begin(), levels.end() - 1), rate;
  for (size_t i = 0; i + 1 < levels.size(); ++i) rate.push_back(1 / (levels[i + 1] - levels[i]));
  const Tensor part = (reshape(tau, {n, 1}) - constant(graph, {1, intervals}, std::move(from))) *
                      constant(graph, {1, intervals}, std::move(rate));
  return sum(clamp(part, 0, 1), {1});
}

}  // namespace

Tensor ProbabilityFlow::velocity(Tensor x, Tensor t, Tensor score) const {
  const ReverseDrift<Tensor> linear = drift(t);
  return per_image(linear.on_x, x.rank()) * x + per_image(linear.on_score, x.rank()) * score;
}

ProbabilityFlow probability_flow(const Sde& sde, ScoreFunction score) {
  return {.score = std::move(score),
          .drift = [sde](Tensor t) { return probability_flow_drift(sde, t); },
          .start = sde.start(),
          .end = sde.end(),
          .prior_std = sde.prior_std()};
}

Result<ProbabilityFlow> probability_flow(const NoiseSchedule& schedule, Prediction prediction,
                                         Denoiser denoiser) {
  ITO_ASSIGN(const std::vector<double> levels, noise_levels(schedule));
  ProbabilityFlow flow;
  flow.start = levels.front();
  flow.end = levels.back();
  flow.drift = [](Tensor tau) {
    const Tensor minus_half_beta = sigmoid(tau) * -0.5;
    return ReverseDrift<Tensor>{.on_x = minus_half_beta, .on_score = minus_half_beta};
  };
  flow.score = [levels, prediction, denoiser = std::move(denoiser)](Tensor x, Tensor tau) {
    Tensor output = denoiser(x, timestep_at(levels, tau));
    if (output.dim(-1) == 2 * x.dim(-1)) output = slice_axis(output, -1, 0, x.dim(-1));
    CHECK(output.shape() == x.shape(), "probability flow: the denoiser gives " +
                                           output.shape().to_string() + ", expected " +
                                           x.shape().to_string());
    const Tensor a = per_image(sqrt(sigmoid(-tau)), x.rank());
    const Tensor s = per_image(sqrt(sigmoid(tau)), x.rank());
    return predicted_score(prediction, x, output, a, s);
  };
  return flow;
}

OdeSystem flow_system(const ProbabilityFlow& flow, const Shape& shape) {
  return {.name = "flow",
          .components = {{.name = kFlowComponent, .shape = shape}},
          .f = [flow](Tensor t, const std::vector<Tensor>& y) {
            return std::vector<Tensor>{flow.velocity(y[0], t)};
          }};
}

}  // namespace ito
