#include "diffusion/ddpm.h"

#include <cmath>

#include "base/check.h"
#include "diffusion/discrete_step.h"
#include "diffusion/parameterization.h"
#include "diffusion/posterior.h"
#include "graph/builder.h"

namespace ito {
namespace {

// Columns of the coefficient table.
enum Column : size_t {
  kX0OnX,
  kX0OnOutput,
  kX0Scale,
  kMeanOnX,
  kMeanOnX0,
  kNoise,       // fixed variance: its standard deviation; learned: 1. 0 where no noise is taken
  kLogVarLow,   // learned_range only
  kLogVarHigh,  // learned_range only
};

StepResult build_step(const StepInputs& in, VarianceType variance, const X0Limit& limit) {
  const auto& c = in.coefficients;
  const auto [output, predicted_variance] = split_output(in.output, is_learned(variance));
  Tensor x0 = (c[kX0OnX] * in.x + c[kX0OnOutput] * output) * c[kX0Scale];
  x0 = limit_x0(x0, limit);
  Tensor x = c[kMeanOnX0] * x0 + c[kMeanOnX] * in.x;
  if (in.noise) {
    Tensor noise = c[kNoise] * in.noise;
    if (variance == VarianceType::kLearned) {
      noise = sqrt(predicted_variance) * noise;
    } else if (variance == VarianceType::kLearnedRange) {
      const Tensor v = (predicted_variance + 1) * 0.5;
      noise = exp((v * c[kLogVarHigh] + (1 - v) * c[kLogVarLow]) * 0.5) * noise;
    }
    x = x + noise;
  }
  return {.x = x, .x0 = x0, .history = {}};
}

}  // namespace

Result<Sampler> ddpm_sampler(const SchedulerConfig& config, const TimestepChoice& choice,
                             Arithmetic arithmetic) {
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(config, arithmetic));
  ITO_ASSIGN(const std::vector<int> timesteps, choose_timesteps(config, choice));
  ITO_ASSIGN(const Prediction prediction, prediction_from_name(config.prediction_type));
  ITO_ASSIGN(const VarianceType variance, variance_type_from_name(config.variance_type));
  ITO_ASSIGN(const X0Limit limit, x0_limit(config));

  Sampler sampler;
  sampler.name = "ddpm";
  sampler.columns = {"x0_on_x", "x0_on_output", "x0_scale", "mean_on_x", "mean_on_x0", "noise"};
  if (variance == VarianceType::kLearnedRange) {
    sampler.columns.push_back("log_variance_low");
    sampler.columns.push_back("log_variance_high");
  }
  sampler.output_multiple = is_learned(variance) ? 2 : 1;
  for (size_t i = 0; i < timesteps.size(); ++i) {
    const int t = timesteps[i];
    const int previous = i + 1 < timesteps.size() ? timesteps[i + 1] : -1;
    const NoiseLevel level = noise_level(schedule, schedule.alpha_bar(t));
    ITO_TRY(check_convertible(prediction, level, t));
    const LinearForm x0 = x0_form(prediction, level.a, level.s);
    const Posterior step = posterior(schedule, t, previous);
    const bool noisy = t > 0;
    const double deviation =
        is_learned(variance) ? 1 : reverse_std(schedule, variance, t, previous);
    sampler.timesteps.push_back(t);
    sampler.noise_used.push_back(noisy);
    append_row(sampler,
               {x0.on_x, x0.on_output, x0.scale, step.on_x, step.on_x0, noisy ? deviation : 0});
    if (variance == VarianceType::kLearnedRange) {
      const LogVarianceRange range = log_variance_range(schedule, t, previous);
      append_row(sampler, {range.low, range.high});
    }
  }
  sampler.build = [variance, limit](const StepInputs& in) {
    return build_step(in, variance, limit);
  };
  return sampler;
}

}  // namespace ito
