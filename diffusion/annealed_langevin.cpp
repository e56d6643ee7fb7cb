#include "diffusion/annealed_langevin.h"

#include <cmath>
#include <utility>

#include "base/error.h"
#include "diffusion/noise_ladder.h"
#include "graph/builder.h"

namespace ito {
namespace {

// Columns of the table.
struct AnnealedTable {
  enum Column : size_t { kTime, kOnScore, kNoise };
};

Status check(const std::vector<double>& sigmas, const std::vector<double>& times,
             const AnnealedLangevinOptions& options) {
  ITO_TRY(check_ladder(sigmas));
  if (times.size() != sigmas.size())
    return invalid_argument("{} times for {} levels of the noise ladder", times.size(),
                            sigmas.size());
  if (!(options.epsilon > 0) || !std::isfinite(options.epsilon))
    return invalid_argument("epsilon is {}, expected a positive number", options.epsilon);
  if (options.steps_per_level < 1)
    return invalid_argument("steps_per_level is {}, expected at least 1", options.steps_per_level);
  return {};
}

}  // namespace

Result<Method> annealed_langevin(const std::vector<double>& sigmas,
                                 const std::vector<double>& times, ScoreFunction score,
                                 const AnnealedLangevinOptions& options) {
  ITO_TRY(check(sigmas, times, options));
  Method chain;
  chain.name = "annealed langevin";
  chain.columns = {"time", "on_score", "noise"};
  const double last = sigmas.back();
  for (size_t i = 0; i < sigmas.size(); ++i) {
    const double alpha = options.epsilon * sigmas[i] * sigmas[i] / (last * last);
    const double on_score = options.form == AnnealedForm::kNcsn ? alpha / 2 : alpha;
    for (int step = 0; step < options.steps_per_level; ++step)
      for (double value : {times[i], on_score, std::sqrt(2 * on_score)})
        chain.table.push_back(value);
  }
  if (options.denoise)
    for (double value : {times.back(), last * last, 0.0}) chain.table.push_back(value);
  chain.steps = static_cast<int>(chain.table.size() / chain.columns.size());
  chain.build = [score = std::move(score)](const MethodStep& in) {
    using enum AnnealedTable::Column;
    const Tensor s = score(in.x, in.for_images(kTime));
    const Tensor mean = in.x + in.row[kOnScore] * s;
    const Tensor x = mean + in.row[kNoise] * in.noise[0];
    const Tensor size = square(in.row[kNoise]) * 0.5;  // 0 in the denoising step
    return MethodResult{
        .x = in.settle(in.x, x, size), .watched = {s}, .states = {}, .outputs = {{"mean", mean}}};
  };
  return chain;
}

}  // namespace ito
