#include "diffusion/edm_sampler.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "base/error.h"
#include "diffusion/edm.h"
#include "graph/builder.h"

namespace ito {
namespace {

// Columns of the table. The first evaluation of a step, at t̂, starts from x raised to t̂; the
// second, at t_{i+1}, corrects the step made. d = -t s is dx/dt (eq. 3, 4).
struct EdmTable {
  enum Column : size_t {
    kStepIndex,
    kTime,   // where the score is evaluated
    kChurn,  // deviation of the noise added before, √(t̂² - t²) S_noise
    kFirst,  // 1 for the first evaluation
    kOnNew,  // (t_{i+1} - t̂) times the weight of this evaluation's slope
    kOnOld,  // the same for the first evaluation's slope
  };
};

MethodResult build_step(const MethodStep& in, const ScoreFunction& score) {
  using enum EdmTable::Column;
  const Tensor old_base = in.states[0], old_slope = in.states[1];
  const Tensor x = in.noise.empty() ? in.x : in.x + in.row[kChurn] * in.noise[0];
  const Tensor s = score(x, in.for_images(kTime));
  const Tensor slope = -in.row[kTime] * s;
  const Tensor first = less(scalar(x.graph(), 0.5), in.row[kFirst]);
  const Tensor base = select(broadcast_to(first, x.shape()), x, old_base);
  const Tensor next = base + in.row[kOnNew] * slope + in.row[kOnOld] * old_slope;
  return {.x = next, .watched = {s}, .states = {base, slope}, .outputs = {}};
}

Status check(const Sde& sde, const EdmSamplerOptions& options) {
  ITO_TRY(check_sde(sde));
  if (!sde.time_is_std())
    return unsupported("EDM's sampler on {}, expected edm", sde_name(sde.kind));
  if (!(options.s_churn >= 0) || !std::isfinite(options.s_churn))
    return invalid_argument("s_churn is {}, expected a number not below 0", options.s_churn);
  if (!(options.s_min >= 0) || !(options.s_min <= options.s_max))
    return invalid_argument("s_min is {} and s_max {}, expected 0 <= s_min <= s_max", options.s_min,
                            options.s_max);
  if (!(options.s_noise >= 0) || !std::isfinite(options.s_noise))
    return invalid_argument("s_noise is {}, expected a number not below 0", options.s_noise);
  return {};
}

}  // namespace

Result<Method> edm_sampler(const Sde& sde, ScoreFunction score, const EdmSamplerOptions& options) {
  ITO_TRY(check(sde, options));
  ITO_ASSIGN(const std::vector<double> times,
             edm_time_steps(sde.sigma_min, sde.sigma_max, options.rho, options.steps));
  Method chain;
  chain.name = options.heun ? "edm heun" : "edm euler";
  chain.columns = {"step", "time", "churn", "first", "on_new", "on_old"};
  const double largest = std::min(options.s_churn / options.steps, std::numbers::sqrt2 - 1);
  for (int i = 0; i < options.steps; ++i) {
    const double t = times[static_cast<size_t>(i)], next = times[static_cast<size_t>(i) + 1];
    const double gamma = options.s_min <= t && t <= options.s_max ? largest : 0;
    const double raised = t + gamma * t, length = next - raised;
    const double churn = std::sqrt(raised * raised - t * t) * options.s_noise;
    for (double value : {double(i), raised, churn, 1.0, length, 0.0}) chain.table.push_back(value);
    if (options.heun && next > 0)
      for (double value : {double(i), next, 0.0, 0.0, length / 2, length / 2})
        chain.table.push_back(value);
  }
  chain.steps = static_cast<int>(chain.table.size() / chain.columns.size());
  chain.draws = options.s_churn > 0 ? 1 : 0;
  chain.states = {{"base", false}, {"slope", false}};
  chain.build = [score = std::move(score)](const MethodStep& in) { return build_step(in, score); };
  return chain;
}

}  // namespace ito
