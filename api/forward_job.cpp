#include "api/forward_job.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "api/forward.h"
#include "api/forward_inputs.h"
#include "base/error.h"

namespace ito {

Result<std::unique_ptr<ForwardJob>> ForwardJob::create(vk::Device& device, const Network& network,
                                                       const DeviceWeights& weights,
                                                       const ForwardJobOptions& options) {
  std::unique_ptr<ForwardJob> job(new ForwardJob);
  job->weights_change_ = options.weights_change;
  PlannedPrograms programs(device, options.origin);
  ITO_ASSIGN(const Parts parts, planned(programs, network, options));
  ITO_TRY(programs.make_kernels());
  ITO_ASSIGN(job->network_, programs.executor(parts.network));
  Executor& executor = *job->network_;
  ITO_TRY(weights.bind(executor));
  for (const PlannedInput& input : parts.inputs) ITO_TRY(job->add_input(programs, input, executor));
  const ClassInput& classes = network.signature().classes;
  if (classes.classes() > 0)
    ITO_TRY(job->add_classes(JobInputKind::kClasses, executor, forward_input::kConditioning.classes,
                             classes.classes()));
  ITO_ASSIGN(job->result_, executor.tensor(kForwardOutput));
  ITO_TRY(job->add_result(device, job->result_));
  ITO_TRY(job->warm_up(executor));
  job->add_units(executor);
  return job;
}

Result<std::vector<Plan>> ForwardJob::plans(const DeviceCaps& caps, const Network& network,
                                            const ForwardJobOptions& options) {
  PlannedPrograms programs(caps);
  ITO_TRY(planned(programs, network, options));
  return programs.take_plans();
}

Result<ForwardJob::Parts> ForwardJob::planned(PlannedPrograms& programs, const Network& network,
                                              const ForwardJobOptions& options) {
  const Signature& signature = network.signature();
  const auto size = signature.sample_size;
  if (network.autoencoder() != nullptr)
    return unsupported("a job evaluates networks, no autoencoders");
  if (!size && (options.height == 0 || options.width == 0))
    return invalid_argument("the model has no sample_size; give the size");
  if ((signature.context > 0) != (options.context > 0))
    return invalid_argument("a context of {} states was asked for; the network attends to {}",
                            options.context,
                            signature.context > 0 ? "one, of at least one state" : "none");
  const int64_t h = options.height > 0 ? options.height : (*size)[0];
  const int64_t w = options.width > 0 ? options.width : (*size)[1];
  ITO_TRY(network.check_size(h, w));
  ITO_ASSIGN(Plan plan, forward_plan(network, {options.batch, h, w, signature.in_channels},
                                     options.context, false, programs.caps(), options.multiply));
  Parts parts{.network = programs.add(std::move(plan)), .inputs = {}};
  const ConditioningNames& names = forward_input::kConditioning;
  const ClassInput& classes = signature.classes;
  const struct {
    JobInputKind kind;
    const char* name;
    bool told;
  } numbers[] = {{JobInputKind::kSample, forward_input::kSample, true},
                 {JobInputKind::kTimesteps, forward_input::kTimestep, signature.told_time()},
                 {JobInputKind::kClasses, names.classes, classes.told() && classes.classes() == 0},
                 {JobInputKind::kContext, names.context, signature.context > 0},
                 {JobInputKind::kGuidance, names.guidance, signature.guidance > 0},
                 {JobInputKind::kLatent, names.latent, signature.latent > 0}};
  for (const auto& [kind, name, told] : numbers) {
    if (!told) continue;
    ITO_ASSIGN(parts.inputs.emplace_back(), planned_input(programs, kind, parts.network, name));
  }
  return parts;
}

Status ForwardJob::begin() {
  ITO_TRY(Job::begin());
  if (weights_change_) kept_ = false;
  return {};
}

Status ForwardJob::check() {
  std::vector<float> numbers(static_cast<size_t>(result_.shape().numel()));
  ITO_TRY(read(result_, writable_bytes_of(numbers)));
  if (std::all_of(numbers.begin(), numbers.end(), [](float x) { return std::isfinite(x); }))
    return {};
  return diverged("the network's output has numbers that are not finite");
}

}  // namespace ito
