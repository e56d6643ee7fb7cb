#include "diffusion/variational_bound.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "diffusion/choices.h"
#include "diffusion/score.h"
#include "graph/builder.h"

namespace ito {
namespace {

struct DecoderCdfRow {
  Name name;
  DecoderCdf cdf;
};
constexpr DecoderCdfRow kCdfs[] = {
    {{"tanh", "an approximation, as published numbers have it", "Page 1977", ""},
     DecoderCdf::kTanh},
    {{"erf", "exactly", "Ho et al. 2020, eq. 13", ""}, DecoderCdf::kErf},
};

constexpr double kHalfBin = 1.0 / 255;
constexpr double kLeastProbability = 1e-12;
constexpr double kEdge = 0.999;  // beyond it a value is the first or the last byte

// Φ by the logistic function: ½(1 + tanh y) = sigmoid(2y), which keeps its digits for y << 0.
Tensor tanh_cdf(Tensor u) {
  return sigmoid((u + u * square(u) * 0.044715) * (2 * std::sqrt(2 / std::numbers::pi)));
}

// erfc(z), z >= 0, with a relative error of 1.2e-7 however small it is (Press et al., Numerical
// Recipes, section 6.2).
Tensor erfc_of_positive(Tensor z) {
  constexpr double kCoefficients[] = {0.17087277,  -0.82215223, 1.48851587, -1.13520398, 0.27886807,
                                      -0.18628806, 0.09678418,  0.37409196, 1.00002368};
  const Tensor t = 1.0 / (z * 0.5 + 1.0);
  Tensor sum = full(z.graph(), z.shape(), kCoefficients[0]);
  for (size_t i = 1; i < std::size(kCoefficients); ++i) sum = sum * t + kCoefficients[i];
  return t * exp(sum * t - square(z) - 1.26551223);
}

Tensor erf_cdf(Tensor u) {
  const Tensor tail = erfc_of_positive(abs(u) * (1 / std::numbers::sqrt2)) * 0.5;
  return select(less(u, full(u.graph(), u.shape(), 0)), tail, 1.0 - tail);
}

Tensor at_least(Tensor x, double low) { return maximum(x, full(x.graph(), x.shape(), low)); }

Tensor mean_per_image(Tensor x) {
  std::vector<int64_t> axes;
  for (int axis = 1; axis < x.rank(); ++axis) axes.push_back(axis);
  return mean(x, axes);
}

// ln of the variance of the reverse step at t where it is fixed, and its ends where it is a range.
struct LogVariances {
  double posterior, low, high;
};
LogVariances log_variances(const NoiseSchedule& schedule, int t) {
  const Posterior here = posterior(schedule, t, t - 1);
  // At t = 0 the posterior has no variance; the next one stands in for it.
  const double small =
      t > 0 || schedule.num_timesteps() == 1 ? here.variance : posterior(schedule, 1, 0).variance;
  const double posterior_variance = std::log(std::max(small, kMinVariance));
  return {.posterior = posterior_variance, .low = posterior_variance, .high = std::log(here.beta)};
}

double fixed_log_variance(const LogVariances& logs, VarianceType type, int t) {
  return is_large(type) && t > 0 ? logs.high : logs.posterior;
}

// The prediction and, where the variance is learned, the channels that say it.
std::pair<Tensor, Tensor> split(Tensor output, bool learned) {
  if (!learned) return {output, Tensor()};
  const int axis = output.rank() - 1;
  const int64_t channels = output.dim(axis);
  CHECK(channels % 2 == 0, "a learned variance needs an even number of output channels");
  return {slice_axis(output, axis, 0, channels / 2),
          slice_axis(output, axis, channels / 2, channels)};
}

Tensor model_log_variance(VarianceType type, Tensor fixed, Tensor low, Tensor high, Tensor v) {
  if (!is_learned(type)) return fixed;
  if (!is_range(type)) return log(at_least(v, kMinVariance));
  const Tensor share = (v + 1.0) * 0.5;
  return share * high + (1.0 - share) * low;
}

}  // namespace

std::vector<Name> decoder_cdf_choices() { return names_of(kCdfs); }

Result<DecoderCdf> decoder_cdf_from_name(const std::string& name) {
  ITO_ASSIGN(const DecoderCdfRow* row,
             row_called(std::span<const DecoderCdfRow>(kCdfs), name, "--cdf"));
  return row->cdf;
}

Tensor discretised_gaussian_log_likelihood(Tensor x, Tensor mean, Tensor log_std, DecoderCdf cdf) {
  Graph& graph = x.graph();
  const auto distribution = [&](Tensor u) {
    return cdf == DecoderCdf::kTanh ? tanh_cdf(u) : erf_cdf(u);
  };
  const Tensor inverse = exp(-log_std);
  const Tensor centred = x - mean;
  // The density is symmetric: seen from below the mean both ends of a bin are small numbers, whose
  // difference keeps its digits.
  const Tensor below = -abs(centred);
  const Tensor inside =
      distribution((below + kHalfBin) * inverse) - distribution((below - kHalfBin) * inverse);
  const Tensor first = distribution((centred + kHalfBin) * inverse);
  const Tensor last = distribution((kHalfBin - centred) * inverse);
  const Tensor is_first = less(x, full(graph, x.shape(), -kEdge));
  const Tensor is_last = less(full(graph, x.shape(), kEdge), x);
  return log(at_least(select(is_first, first, select(is_last, last, inside)), kLeastProbability));
}

BoundTerms bound_terms(Tensor x0, const TrainingDraw& draw, const NoiseSchedule& schedule,
                       const Denoiser& denoiser, const BoundOptions& options) {
  Graph& graph = x0.graph();
  const int64_t n = x0.dim(0), T = schedule.num_timesteps();
  constexpr int64_t kColumns = 8;
  std::vector<double> table;
  for (int t = 0; t < schedule.num_timesteps(); ++t) {
    const double product = schedule.alpha_bar(t);
    const Posterior q = posterior(schedule, t, t - 1);
    const LogVariances logs = log_variances(schedule, t);
    const double fixed =
        is_learned(options.variance) ? 0 : fixed_log_variance(logs, options.variance, t);
    table.insert(table.end(), {std::sqrt(product), std::sqrt(1 - product), q.on_x, q.on_x0,
                               logs.posterior, fixed, logs.low, logs.high});
  }
  const Tensor rows = gather(constant(graph, {T, kColumns}, std::move(table)), draw.timestep);
  const auto column = [&](int64_t i) {
    return per_image(reshape(slice_axis(rows, 1, i, i + 1), {n}), x0.rank());
  };
  const Tensor a = column(0), s = column(1), on_x = column(2), on_x0 = column(3);
  const Tensor posterior_log = column(4);

  const Tensor x_t = add_noise(x0, draw.noise, a, s);
  const auto [prediction, v] =
      split(denoiser(x_t, cast(draw.timestep, DType::kF32)), is_learned(options.variance));
  CHECK(prediction.shape() == x0.shape(), "bound: the denoiser gives " +
                                              prediction.shape().to_string() + ", expected " +
                                              x0.shape().to_string());
  const Tensor of_mean = options.detach_mean ? stop_gradient(prediction) : prediction;
  Tensor x0_hat = predicted_x0(options.prediction, x_t, of_mean, a, s);
  if (options.clip) x0_hat = clamp(x0_hat, -options.clip_range, options.clip_range);
  const Tensor log_variance = broadcast_to(
      model_log_variance(options.variance, column(5), column(6), column(7), v), x0.shape());

  // The means differ by on_x0 (x_0 - x̂_0), formed before anything large is added to either.
  const Tensor error = x0 - x0_hat;
  const Tensor shift = square(on_x0 * error) * exp(-log_variance);
  const Tensor kl =
      (log_variance - posterior_log + exp(posterior_log - log_variance) + shift - 1.0) * 0.5;
  const Tensor decoder = -discretised_gaussian_log_likelihood(x0, on_x0 * x0_hat + on_x * x_t,
                                                              log_variance * 0.5, options.cdf);
  const Tensor is_last =
      per_image(equal(draw.timestep, full(graph, {n}, 0, DType::kU32)), x0.rank());
  const Tensor nats = select(broadcast_to(is_last, x0.shape()), decoder, kl);
  const Tensor target = prediction_target(options.prediction, x0, draw.noise, a, s);
  return {.bits = mean_per_image(nats) * std::numbers::log2e,
          .x0_error = mean_per_image(square(error)),
          .squared_error = mean_per_image(square(target - prediction))};
}

Tensor bound_prior(Tensor x0, const NoiseSchedule& schedule) {
  const double alpha_bar = schedule.alpha_bar(schedule.num_timesteps() - 1);
  // ½(ᾱ x² + (1-ᾱ) - 1 - ln(1-ᾱ)); ᾱ is far below what 1 - ᾱ resolves.
  const double rest = -0.5 * (std::log1p(-alpha_bar) + alpha_bar);
  return (mean_per_image(square(x0)) * (0.5 * alpha_bar) + rest) * std::numbers::log2e;
}

BoundLoss hybrid_loss(Tensor x0, const TrainingDraw& draw, const NoiseSchedule& schedule,
                      const Denoiser& denoiser, BoundOptions options, double lambda) {
  CHECK(is_learned(options.variance), "the hybrid loss is of a learned variance");
  options.detach_mean = true;
  options.clip = false;
  const BoundTerms terms = bound_terms(x0, draw, schedule, denoiser, options);
  const Tensor per = terms.squared_error + terms.bits * lambda;
  return {.loss = mean_all(per), .per_image = per};
}

BoundLoss bound_loss(Tensor x0, const TrainingDraw& draw, const NoiseSchedule& schedule,
                     const Denoiser& denoiser, const BoundOptions& options) {
  const BoundTerms terms = bound_terms(x0, draw, schedule, denoiser, options);
  const Tensor per = terms.bits * static_cast<double>(schedule.num_timesteps());
  return {.loss = mean_all(per), .per_image = per};
}

}  // namespace ito
