#include "diffusion/consistency.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "diffusion/divergence.h"
#include "diffusion/score.h"
#include "diffusion/streams.h"
#include "graph/builder.h"

namespace ito {
namespace {

constexpr double kTimeScale = 1000;        // diffusers' factor on ln(σ)/4
constexpr double kHuberPerRoot = 0.00054;  // c over √D, section 3.3
constexpr int kMostPairs = 65536;

Tensor sum_of_squares(Tensor sigma, double sigma_data) {
  return square(sigma) + sigma_data * sigma_data;
}

// The numbers of pairs that occur, and the step at which each begins.
struct Stage {
  int pairs;
  int64_t start;
};
int64_t stage_length(const ConsistencySchedule& s) {
  const auto doublings =
      static_cast<int64_t>(std::floor(std::log2(static_cast<double>(s.last) / s.first)));
  return std::max<int64_t>(1, s.steps / (doublings + 1));
}
std::vector<Stage> stages(const ConsistencySchedule& s) {
  std::vector<Stage> all = {{.pairs = s.first, .start = 0}};
  while (all.back().pairs < s.last) {
    all.push_back(
        {.pairs = static_cast<int>(std::min<int64_t>(int64_t{2} * all.back().pairs, s.last)),
         .start = all.back().start + stage_length(s)});
  }
  return all;
}

}  // namespace

double ConsistencyScaling::c_skip(double sigma) const {
  const double rise = sigma - sigma_min;
  return sigma_data * sigma_data / (rise * rise + sigma_data * sigma_data);
}
double ConsistencyScaling::c_out(double sigma) const {
  return sigma_data * (sigma - sigma_min) / std::sqrt(sigma * sigma + sigma_data * sigma_data);
}
double ConsistencyScaling::c_in(double sigma) const {
  return 1 / std::sqrt(sigma * sigma + sigma_data * sigma_data);
}
double ConsistencyScaling::c_noise(double sigma) const { return kTimeScale * std::log(sigma) / 4; }

ConsistencyFunction consistency_function(Denoiser network, const ConsistencyScaling& scaling) {
  return [network = std::move(network), scaling](Tensor x, Tensor sigma) {
    const double variance = scaling.sigma_data * scaling.sigma_data;
    const Tensor rise = sigma - scaling.sigma_min;
    const Tensor skip = variance / (square(rise) + variance);
    const Tensor scale = rsqrt(sum_of_squares(sigma, scaling.sigma_data));
    const Tensor out = rise * scale * scaling.sigma_data;
    const auto each = [&](Tensor values) { return per_image(values, x.rank()); };
    return each(skip) * x + each(out) * network(each(scale) * x, log(sigma) * (kTimeScale / 4));
  };
}

Status check_consistency_schedule(const ConsistencySchedule& s) {
  if (!(s.sigma_min > 0 && s.sigma_min < s.sigma_max) || !std::isfinite(s.sigma_max))
    return invalid_argument("sigma_min is {} and sigma_max {}, expected 0 < sigma_min < sigma_max",
                            s.sigma_min, s.sigma_max);
  if (!(s.rho > 0) || !std::isfinite(s.rho))
    return invalid_argument("rho is {}, expected a number above 0", s.rho);
  if (s.first < 1 || s.last < s.first || s.last > kMostPairs)
    return invalid_argument("the noise levels are {} to {}, expected 1 to {}, in that order",
                            s.first, s.last, kMostPairs);
  if (s.steps < 1) return invalid_argument("steps is {}, expected at least 1", s.steps);
  if (!std::isfinite(s.p_mean) || !(s.p_std > 0) || !std::isfinite(s.p_std))
    return invalid_argument("p_mean is {} and p_std {}, expected numbers, the latter above 0",
                            s.p_mean, s.p_std);
  return {};
}

std::vector<double> consistency_levels(const ConsistencySchedule& schedule, int pairs) {
  const double low = std::pow(schedule.sigma_min, 1 / schedule.rho);
  const double high = std::pow(schedule.sigma_max, 1 / schedule.rho);
  std::vector<double> levels;
  for (int i = 0; i <= pairs; ++i)
    levels.push_back(std::pow(low + (high - low) * i / pairs, schedule.rho));
  levels.front() = schedule.sigma_min;
  levels.back() = schedule.sigma_max;
  return levels;
}

std::vector<double> consistency_probabilities(const ConsistencySchedule& schedule, int pairs) {
  std::vector<double> cumulative;
  for (const double sigma : consistency_levels(schedule, pairs))
    cumulative.push_back(
        std::erf((std::log(sigma) - schedule.p_mean) / (std::numbers::sqrt2 * schedule.p_std)));
  std::vector<double> probabilities;
  for (size_t i = 0; i + 1 < cumulative.size(); ++i)
    probabilities.push_back((cumulative[i + 1] - cumulative[i]) /
                            (cumulative.back() - cumulative.front()));
  return probabilities;
}

ConsistencyDraw draw_consistency(const Shape& shape, Tensor key, Tensor image, Tensor step,
                                 const ConsistencySchedule& schedule) {
  Graph& graph = key.graph();
  const int64_t n = shape[0];
  const std::vector<Stage> all = stages(schedule);
  const int64_t count = static_cast<int64_t>(all.size());
  // One table for each: where stages begin; per stage the distribution function of its pairs,
  // padded with 2, which no uniform number reaches; and all levels one after the other.
  const int64_t widest = all.back().pairs;
  std::vector<double> starts, cumulative, levels, offsets;
  for (const Stage& stage : all) {
    starts.push_back(static_cast<double>(stage.start));
    offsets.push_back(static_cast<double>(levels.size()));
    const std::vector<double> own = consistency_levels(schedule, stage.pairs);
    levels.insert(levels.end(), own.begin(), own.end());
    const std::vector<double> p = consistency_probabilities(schedule, stage.pairs);
    double sum = 0;
    for (int64_t i = 0; i + 1 < widest; ++i) {
      const bool inside = i + 1 < static_cast<int64_t>(p.size());
      if (inside) sum += p[static_cast<size_t>(i)];
      cumulative.push_back(inside ? sum : 2);
    }
  }
  const Tensor late =
      less(broadcast_to(step, {count}), constant(graph, {count}, std::move(starts), DType::kU32));
  const Tensor begun = select(late, full(graph, {count}, 0), full(graph, {count}, 1));
  const Tensor stage = broadcast_to(cast(sum_all(begun) - 1.0, DType::kU32), {n});

  Tensor pair = full(graph, {n}, 0);
  if (widest > 1) {
    const Tensor u = random_uniform({n}, key, image, step, kStreamTrainTimestep);
    const Tensor rows = gather(constant(graph, {count, widest - 1}, std::move(cumulative)), stage);
    const Tensor passed = less(rows, broadcast_to(reshape(u, {n, 1}), rows.shape()));
    pair = sum(select(passed, full(graph, rows.shape(), 1), full(graph, rows.shape(), 0)), {1});
  }
  const int64_t total = static_cast<int64_t>(levels.size());
  const Tensor table = constant(graph, {total, 1}, std::move(levels));
  const Tensor offset = gather(constant(graph, {count, 1}, std::move(offsets)), stage);
  const Tensor low = reshape(offset, {n}) + pair;
  const auto level = [&](Tensor index) {
    return reshape(gather(table, cast(index, DType::kU32)), {n});
  };
  return {.low = level(low),
          .high = level(low + 1.0),
          .noise = random_normal(shape, key, image, step, kStreamTrainNoise)};
}

TrainingLoss consistency_loss(Tensor y, const ConsistencyDraw& draw, const ConsistencyFunction& f,
                              const ConsistencyFunction& target) {
  const auto at = [&](Tensor sigma) { return y + per_image(sigma, y.rank()) * draw.noise; };
  const Tensor x = at(draw.high);
  const Tensor wanted = stop_gradient(target(at(draw.low), draw.low));
  const double dimensions = static_cast<double>(y.shape().numel() / y.dim(0));
  const double c = kHuberPerRoot * std::sqrt(dimensions);
  const Tensor squares = sum_per_image(square(f(x, draw.high) - wanted));
  // √(q + c²) - c without cancellation.
  const Tensor distance = squares / (sqrt(squares + c * c) + c);
  const Tensor per = distance / (draw.high - draw.low);
  return {.loss = mean_all(per), .per_image = per, .x_t = x, .target = wanted};
}

}  // namespace ito
