#include "api/control.h"

#include <cmath>
#include <utility>

#include "api/task.h"
#include "base/error.h"
#include "graph/builder.h"
#include "graph/compile.h"

namespace ito {
namespace {

Status check_guidance(const ClassGuidance& guidance, const Shape& shape, int model_classes) {
  const Signature& image = guidance.classifier.network.signature();
  const auto [h, w] = *image.sample_size;
  if (shape[1] != h || shape[2] != w || shape[3] != image.in_channels)
    return invalid_argument("the guiding classifier judges {}x{}x{} images, these are {}x{}x{}", h,
                            w, image.in_channels, shape[1], shape[2], shape[3]);
  if (guidance.classes.empty() && model_classes > 0 && model_classes != image.out_channels)
    return invalid_argument("the guiding classifier has {} classes, the model {}",
                            image.out_channels, model_classes);
  if (!std::isfinite(guidance.scale))
    return invalid_argument("the guidance scale is {}, expected a finite number", guidance.scale);
  return {};
}

Status check_observation(const Observation& observation, const Shape& shape) {
  const Measurement& m = observation.measurement;
  const Shape image{shape[1], shape[2], shape[3]};
  if (m.image() != image)
    return invalid_argument("the observation is of {} images, the model makes {}",
                            m.image().to_string(), image.to_string());
  if (static_cast<int64_t>(observation.y.size()) != m.observation().numel())
    return invalid_argument("the observation has {} numbers, expected {}", observation.y.size(),
                            m.observation().to_string());
  for (float value : observation.y) {
    if (!std::isfinite(value))
      return invalid_argument("the observation has a number that is not finite: {}", value);
  }
  const auto deviations = observed_std(m, observation.noise_std);
  return deviations.ok() ? Status{} : Status{deviations.error()};
}

LogProbability log_probability(const ClassGuidance& guidance, const MarginalFunction& marginal) {
  return [&guidance, marginal](Tensor x, Tensor t) {
    const Tensor labels = input(x.graph(), batch_ports::kLabels, {x.dim(0)});
    return class_log_probability(guidance.classifier.network, marginal, labels, guidance.classes)(
        x, t);
  };
}

}  // namespace

Status check_control(const SampleControl& control, const Shape& shape, int model_classes) {
  if (control.guidance) ITO_TRY(check_guidance(*control.guidance, shape, model_classes));
  if (control.observation) ITO_TRY(check_observation(*control.observation, shape));
  return {};
}

void guide(const SampleControl* control, DiffusionModel& model) {
  if (control == nullptr || !control->guidance) return;
  model.guidance = [&guidance = *control->guidance](const MarginalFunction& marginal) {
    return log_probability(guidance, marginal);
  };
  model.guidance_scale = control->guidance->scale;
}

Result<Constraint> constraint_of(const SampleControl* control, const DiffusionModel& model,
                                 bool levels_known) {
  if (control == nullptr || !control->observation) return Constraint{};
  MarginalFunction marginal;
  if (!levels_known) {
    ITO_ASSIGN(const ScoreModel score, model_score(model));
    marginal = sde_marginal(score.sde);
  }
  Constraint constraint = measurement_constraint(control->observation->measurement, marginal);
  if (control->observation->limit_colours) constraint.finish = colours_in_range;
  return constraint;
}

Status bind_control(vk::Device& device, Executor& step, const SampleControl* control) {
  if (control == nullptr) return {};
  if (control->guidance)
    ITO_TRY(step.write(kGuidanceWeights, control->guidance->classifier.weights));
  if (!control->observation) return {};
  const Observation& observation = *control->observation;
  ITO_ASSIGN(Plan plan, compile(observation_program(observation.measurement), device.caps()));
  ITO_ASSIGN(const auto executor, Executor::create(device, std::move(plan)));
  ITO_TRY(executor->write(constraint_ports::kObservation, observation.y));
  ITO_TRY(executor->run());
  ITO_ASSIGN(DeviceTensor coefficients, executor->tensor(constraint_ports::kObserved));
  ITO_TRY(executor->wait());
  ITO_TRY(step.bind(constraint_ports::kObserved, std::move(coefficients)));
  ITO_ASSIGN(const std::vector<float> deviations,
             observed_std(observation.measurement, observation.noise_std));
  return step.write(constraint_ports::kObservedStd, deviations);
}

}  // namespace ito
