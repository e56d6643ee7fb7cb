#include "diffusion/langevin.h"

#include <cmath>
#include <utility>

#include "base/error.h"
#include "graph/builder.h"

namespace ito {
namespace {

// Columns of the table.
struct LangevinTable {
  enum Column : size_t { kTime, kOnScore, kNoise };
};

// States of the adjusted chain.
struct AdjustedChain {
  enum State : size_t { kScore, kLogDensity, kAccepted };
};

Status check(const LangevinOptions& options) {
  if (!(options.step_size > 0) || !std::isfinite(options.step_size))
    return invalid_argument("step_size is {}, expected a positive number", options.step_size);
  if (options.steps < 1) return invalid_argument("{} steps, expected at least 1", options.steps);
  if (!std::isfinite(options.time))
    return invalid_argument("time is {}, expected a finite number", options.time);
  return {};
}

Method one_row_chain(const std::string& name, const LangevinOptions& options) {
  Method chain;
  chain.name = name;
  chain.steps = options.steps;
  chain.columns = {"time", "on_score", "noise"};
  chain.table = {options.time, options.step_size / 2,
                 options.noise ? std::sqrt(options.step_size) : 0};
  chain.draws = options.noise ? 1 : 0;
  return chain;
}

// |x_i|² of every image, f32 [n].
Tensor squared_norms(Tensor x) {
  const int64_t n = x.dim(0);
  return sum(square(reshape(x, {n, x.shape().numel() / n})), {1});
}

// f(x) [n] and its gradient.
std::pair<Tensor, Tensor> density_and_score(const EnergyFunction& log_density, Tensor x, Tensor t) {
  const Tensor f = log_density(x, t);
  return {f, grad(sum_all(f), {x})[0]};
}

MethodResult adjusted_step(const MethodStep& in, const EnergyFunction& log_density) {
  using enum LangevinTable::Column;
  using enum AdjustedChain::State;
  const Tensor t = in.for_images(kTime);
  const Tensor score = in.states[kScore], before = in.states[kLogDensity], z = in.noise[0];
  const Tensor half = in.row[kOnScore], root = in.row[kNoise];
  const Tensor proposal = in.x + half * score + root * z;
  const auto [after, new_score] = density_and_score(log_density, proposal, t);
  // ln q(x'|x) = -|z|²/2, and ln q(x|x') with the noise that would lead back, times √η: both but
  // for the same constant.
  const Tensor back = (in.x - proposal - half * new_score) / root;
  const Tensor log_ratio = after - before + 0.5 * (squared_norms(z) - squared_norms(back));
  const Tensor accept = less(log(in.uniform), log_ratio);  // false if the ratio is not a number

  const int rank = in.x.rank();
  const Tensor accept_x = broadcast_to(per_image(accept, rank), in.x.shape());
  MethodResult result;
  result.x = select(accept_x, proposal, in.x);
  result.watched = {score};
  result.states = {select(accept_x, new_score, score), select(accept, after, before),
                   in.states[kAccepted] + cast(accept, DType::kF32)};
  return result;
}

}  // namespace

Result<Method> langevin(ScoreFunction score, const LangevinOptions& options) {
  ITO_TRY(check(options));
  Method chain = one_row_chain(options.noise ? "langevin" : "gradient ascent", options);
  chain.build = [score = std::move(score)](const MethodStep& in) {
    using enum LangevinTable::Column;
    const Tensor s = score(in.x, in.for_images(kTime));
    const Tensor mean = in.x + in.row[kOnScore] * s;
    const Tensor x = in.noise.empty()
                         ? mean
                         : in.settle(in.x, mean + in.row[kNoise] * in.noise[0], in.row[kOnScore]);
    return MethodResult{.x = x, .watched = {s}, .states = {}, .outputs = {{"mean", mean}}};
  };
  return chain;
}

Result<Method> metropolis_langevin(EnergyFunction log_density, const LangevinOptions& options) {
  ITO_TRY(check(options));
  if (!options.noise)
    return invalid_argument("a Metropolis-adjusted chain without noise, expected noise");
  Method chain = one_row_chain("metropolis-adjusted langevin", options);
  chain.uniform = true;
  chain.states = {{"score", false}, {"log_density", true}, {"accepted", true}};
  chain.start = [log_density, time = options.time](Tensor x) -> std::vector<Tensor> {
    const Tensor t = full(x.graph(), {x.dim(0)}, time);
    const auto [density, score] = density_and_score(log_density, x, t);
    return {score, density, full(x.graph(), {x.dim(0)}, 0)};
  };
  chain.build = [log_density = std::move(log_density)](const MethodStep& in) {
    return adjusted_step(in, log_density);
  };
  return chain;
}

}  // namespace ito
