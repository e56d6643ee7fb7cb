#include "api/sampling_loop.h"

#include <type_traits>
#include <utility>

#include "base/error.h"
#include "base/precision.h"
#include "diffusion/sampling_program.h"
#include "io/scheduler_config.h"

namespace ito {
namespace {

// The shape and the classes, of the model or else of the classifier that guides it.
Result<SamplingLoop> empty_loop(const Network& network, const SampleOptions& options) {
  const Signature& signature = network.signature();
  SamplingLoop loop;
  ITO_ASSIGN(loop.shape, sample_shape(network, options));
  loop.classes = signature.classes.classes();
  if (options.control == nullptr) return loop;
  ITO_TRY(check_control(*options.control, loop.shape, loop.classes));
  if (options.control->guidance)
    loop.classes =
        static_cast<int>(options.control->guidance->classifier.network.signature().out_channels);
  return loop;
}

// The first step of the solver that is run, and an error where nothing would be.
Result<int> first_step(const SampleOptions& options) {
  if (!options.initial) return 0;
  if (find_row(solver_rows(), options.sampler) == nullptr) return 0;  // which is refused for it
  if (inverts(options.sampler))
    return invalid_argument("sampler {} takes a picture as it is, so there is no strength",
                            options.sampler);
  const double strength = options.initial->strength;
  if (!(strength > 0 && strength <= 1))
    return invalid_argument("strength is {}, expected above 0 and at most 1", strength);
  const int first = first_step_for_strength(options.steps, strength);
  if (first < options.steps) return first;
  return invalid_argument("strength {} of {} steps leaves no step to run", strength, options.steps);
}

// What the picture to fill in says must be of the loop's images.
Status check_inpainting(const SampleOptions& options, const Shape& shape) {
  if (!options.inpainting) return {};
  const size_t pixels = static_cast<size_t>(shape[1] * shape[2]);
  const Inpainting& given = *options.inpainting;
  if (given.fill.size() == pixels &&
      given.known.mean.size() == pixels * static_cast<size_t>(shape[3]) &&
      (given.known.std.empty() || given.known.std.size() == given.known.mean.size()))
    return {};
  return invalid_argument("the picture to fill in has {} numbers, expected {}x{}x{}",
                          given.known.mean.size(), shape[1], shape[2], shape[3]);
}

// Guidance by a context compares it with one that stands for none.
Status check_negative(const SampleOptions& options) {
  const ContextStates& context = *options.context;
  const ContextStates* negative = options.negative_context;
  if (negative == nullptr)
    return invalid_argument(
        "--guidance-scale on a model with a context compares with the states of an empty text: "
        "give "
        "them with --negative-context FILE");
  if (negative->length != context.length || negative->features != context.features)
    return invalid_argument(
        "the negative context has {} states of {} numbers, expected {} of {} as the context",
        negative->length, negative->features, context.length, context.features);
  return {};
}

// The network on as many states as the context has, where both have one.
Network options_context(const Network& network, const SampleOptions& options) {
  if (options.context == nullptr || network.signature().context == 0) return network;
  return network.with_context(options.context->length);
}

}  // namespace

Result<Shape> sample_shape(const Network& network, const SampleOptions& options) {
  const Signature& signature = network.signature();
  const auto size = signature.sample_size;
  if (!size && (options.height == 0 || options.width == 0))
    return invalid_argument("the model has no sample_size; give the image size");
  const int64_t h = options.height > 0 ? options.height : (*size)[0];
  const int64_t w = options.width > 0 ? options.width : (*size)[1];
  ITO_TRY(network.check_size(h, w));
  return Shape{options.batch, h, w, sample_channels(signature)};
}

Program start_program(const SamplingLoop& loop, const SampleOptions& options) {
  if (!options.initial) return initial_noise_program(loop.shape, loop.sampling.start_std);
  const SolverRow& row = loop.sampling.solver->rows.front();
  return forward_noise_program(loop.shape, row.mean, row.std);
}

bool is_uploaded(RandomSource source) { return source == RandomSource::kTorch; }
const char* settings_name(RandomSource source) { return is_uploaded(source) ? "torch" : nullptr; }

SampleOptions resolved(const SampleOptions& options, const Network& network,
                       const SchedulerConfig& scheduler) {
  SampleOptions result = options;
  if (result.sampler.empty())
    result.sampler = own_sampler(scheduler, network.signature().latent > 0);
  if (result.steps == 0) result.steps = default_steps(result, scheduler);
  return result;
}

Json sample_settings(const SampleOptions& options) {
  Json settings = {{"sampler", options.sampler}};
  visit_sampler_fields(options, [&](const char* key, const auto& value, const char*) {
    if (!sampler_uses(options, key)) return;
    using Value = std::remove_cvref_t<decltype(value)>;
    // A choice that was not made is the scheduler's own.
    if constexpr (std::is_same_v<Value, std::string>) {
      if (!value.empty()) settings[key] = value;
    } else {
      settings[key] = value;
    }
  });
  if (options.multiply != DType::kF32) settings["precision"] = precision_name(options.multiply);
  if (const char* source = settings_name(options.random)) settings["rng"] = source;
  if (options.initial) settings["strength"] = options.initial->strength;
  if (options.classifier_free) {
    settings["guidance_scale"] = options.classifier_free->scale;
    settings["guidance_rescale"] = options.classifier_free->rescale;
    if (const auto null_class = options.classifier_free->null_class)
      settings["null_class"] = *null_class;
  }
  if (options.guidance_scale) settings["guidance_scale"] = *options.guidance_scale;
  return settings;
}

Result<SamplingLoop> sampling_loop(const Network& given, const SchedulerConfig& scheduler,
                                   const SampleOptions& asked) {
  const Network network = options_context(given, asked);
  if (asked.context != nullptr && given.signature().context > 0 && asked.classifier_free &&
      given.signature().guidance == 0)  // which takes no classifier-free guidance
    ITO_TRY(check_negative(asked));
  if (asked.context != nullptr && given.signature().context != asked.context->features)
    return invalid_argument(
        "a context of {} numbers per state was given, the network attends to {}",
        asked.context->features, given.signature().context);
  const SampleOptions options = resolved(asked, network, scheduler);
  ITO_ASSIGN(SamplingLoop loop, empty_loop(network, options));
  ITO_ASSIGN(DiffusionModel model, diffusion_model(network, scheduler, options.classifier_free,
                                                   {.guidance_scale = options.guidance_scale,
                                                    .inpainting = options.inpainting.has_value()}));
  ITO_TRY(check_inpainting(options, loop.shape));
  guide(options.control, model);
  if (const SolverEntry* row = find_row(solver_rows(), options.sampler)) {
    Result<DiffusionModel> seen = as_process(model, row->process);
    if (!seen.ok())
      return Error{seen.error().kind,
                   fmt::format("sampler {}: {}", options.sampler, seen.error().message)};
    model = std::move(seen).value();
  }
  ITO_ASSIGN(model.config, as_sampler(model.config, configured_as(options.sampler)));
  ITO_ASSIGN(const int first, first_step(options));
  ITO_ASSIGN(loop.sampling, make_sampling(model, options, first));
  const Sampling& sampling = loop.sampling;
  loop.name = options.sampler;
  if (options.initial && !sampling.solver)
    return unsupported("sampler {} does not begin at a picture; expected a solver such as ddim",
                       options.sampler);
  if (sampling.flow) {
    if (options.multiply != DType::kF32)
      return unsupported("sampler {} takes no --precision but fp32: it measures its own error",
                         options.sampler);
    if (options.control != nullptr)
      return unsupported("sampler {} takes neither guidance nor an observation", options.sampler);
    loop.flow = flow_system(*sampling.flow, loop.shape);
    return loop;
  }
  MethodOptions method_options{.shape = loop.shape};
  method_options.outputs = options.previews;
  method_options.noise_input = is_uploaded(options.random);
  if (method_options.noise_input && (sampling.method->uniform || network.signature().latent > 0))
    return unsupported(
        "sampler {} draws more than the noise of its steps, and that on the device; --rng torch "
        "is for the others",
        options.sampler);
  const bool levels_known = static_cast<bool>(sampling.method->level);
  ITO_ASSIGN(method_options.constraint, constraint_of(options.control, model, levels_known));
  if (method_options.constraint && !levels_known && !sampling.method->states.empty())
    return unsupported("sampler {} takes no observation", options.sampler);
  loop.step = method_program(*sampling.method, method_options);
  loop.step.multiply = options.multiply;
  return loop;
}

}  // namespace ito
