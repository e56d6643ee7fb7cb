#include "api/model_score.h"

#include <cmath>
#include <utility>

#include "api/inpainting.h"
#include "api/task.h"
#include "base/check.h"
#include "base/error.h"
#include "diffusion/ddgan.h"
#include "diffusion/sampling_program.h"
#include "graph/builder.h"
#include "nn/train_step.h"

namespace ito {
namespace {

Status check_network(const Network& network, const SamplingInputs& inputs) {
  const Signature& signature = network.signature();
  ITO_TRY(check_session_signature(signature, inputs));
  const int64_t in = sample_channels(signature), out = signature.out_channels;
  if (!signature.image_out || (out != in && out != 2 * in))
    return unsupported("the network has {} output channels for {} input channels", out, in);
  return {};
}

}  // namespace

NoiseInput noise_input(const Network& network) {
  return network.signature().told_sigma() ? NoiseInput::kSigma : NoiseInput::kTimestep;
}

Status check_session_signature(const Signature& signature, const SamplingInputs& inputs) {
  if (signature.classes.told() && signature.classes.classes() == 0)
    return unsupported(
        "the network's class_embed_type wants {} instead of class labels, which is not supported "
        "here",
        signature.classes.what());
  if (!signature.told_time() || !signature.image_out)
    return unsupported("the network is no denoiser: {}",
                       signature.image_out ? "it is told no time" : "its output is no image");
  if (signature.guidance > 0 && !inputs.guidance_scale)
    return unsupported(
        "the network is told its guidance scale (time_cond_proj_dim), which only ito sample "
        "--guidance-scale gives");
  if (signature.guidance > 0 && signature.guidance < 4)
    return unsupported("time_cond_proj_dim is {}, expected at least 4", signature.guidance);
  if (signature.guidance == 0 && inputs.guidance_scale)
    return invalid_argument(
        "a guidance scale to embed was given, but the network has no time_cond_proj_dim");
  if (fills_in(signature) && !inputs.inpainting)
    return unsupported(
        "the network fills in pictures (in_channels {} for {} out_channels), which only ito sample "
        "--inpaint PICTURE --mask MASK gives",
        signature.in_channels, signature.out_channels);
  if (!fills_in(signature) && inputs.inpainting)
    return invalid_argument(
        "a picture to fill in was given, but the network has {} in_channels for {} out_channels, "
        "expected {}",
        signature.in_channels, signature.out_channels, 2 * signature.out_channels + 1);
  if (signature.context > 0 && signature.context_length == 0)
    return invalid_argument(
        "the network attends to a context: give its states ({} numbers each) with --context FILE",
        signature.context);
  return {};
}

std::vector<float> guidance_embedding(double scale, int64_t features) {
  CHECK(features >= 4, "an embedding of at least four features");
  const int64_t half = features / 2;
  const float rate = static_cast<float>(std::log(10000.0) / static_cast<double>(half - 1));
  const float w = static_cast<float>(scale - 1) * 1000.0f;
  std::vector<float> embedding(static_cast<size_t>(features), 0.0f);
  for (int64_t i = 0; i < half; ++i) {
    const float angle = w * std::exp(static_cast<float>(i) * -rate);
    embedding[static_cast<size_t>(i)] = std::sin(angle);
    embedding[static_cast<size_t>(half + i)] = std::cos(angle);
  }
  return embedding;
}

Conditioning session_conditioning(Graph& graph, const Signature& signature, int64_t n,
                                  const SamplingInputs& inputs) {
  Conditioning conditioning = conditioning_inputs(graph, signature, n,
                                                  {.classes = batch_ports::kLabels.name,
                                                   .context = batch_ports::kContext.name,
                                                   .guidance = nullptr,
                                                   .latent = nullptr});
  if (inputs.guidance_scale) {
    const std::vector<float> values =
        guidance_embedding(*inputs.guidance_scale, signature.guidance);
    conditioning.guidance =
        broadcast_to(constant(graph, {1, signature.guidance}, {values.begin(), values.end()}),
                     {n, signature.guidance});
  }
  if (signature.latent > 0)
    conditioning.latent = ddgan_latent(n, signature.latent, input(graph, sampling_ports::kKey, {2}),
                                       input(graph, sampling_ports::kImage, {n}),
                                       input(graph, sampling_ports::kStep, {}));
  return conditioning;
}

Denoiser input_denoiser(const Network& network, const SamplingInputs& inputs) {
  return [network, inputs](Tensor x, Tensor t) {
    Graph& graph = x.graph();
    const Signature& signature = network.signature();
    const FlatTensors flat = flat_inputs(graph, state_name::kParameters, network.set());
    return network.build(flat, network_sample(signature, x), t,
                         session_conditioning(graph, signature, x.dim(0), inputs));
  };
}

namespace {

// Both outputs of one batch of 2n: the conditional half, then the unconditional one.
Denoiser classifier_free_denoiser(const Network& network, const ClassifierFree& guidance) {
  const int rows = network.signature().classes.classes();
  const uint32_t null_class = guidance.null_class.value_or(static_cast<uint32_t>(rows - 1));
  return [network, guidance, rows, null_class](Tensor x, Tensor t) {
    Graph& graph = x.graph();
    const int64_t n = x.dim(0);
    const FlatTensors flat = flat_inputs(graph, state_name::kParameters, network.set());
    Conditioning conditioning = session_conditioning(graph, network.signature(), n);
    if (rows > 0) {
      const Tensor none = broadcast_to(reshape(scalar(graph, null_class, DType::kU32), {1}), {n});
      conditioning.classes = concat({conditioning.classes, none}, 0);
    }
    if (network.signature().context > 0) {
      const Tensor none = input(graph, batch_ports::kNoContext, conditioning.context.shape());
      conditioning.context = concat({conditioning.context, none}, 0);
    }
    const Tensor one = network_sample(network.signature(), x);
    const Tensor both = network.build(flat, concat({one, one}, 0), concat({t, t}, 0), conditioning);
    return classifier_free_guidance(slice_axis(both, 0, 0, n), slice_axis(both, 0, n, 2 * n),
                                    guidance.scale, guidance.rescale);
  };
}

}  // namespace

Status check_classifier_free(const Network& network, const ClassifierFree& guidance) {
  if (network.signature().latent > 0)
    return unsupported(
        "--guidance-scale is for models of noise or scores; this one is a GAN's generator, whose "
        "output is a picture of its latent");
  if (network.signature().guidance > 0)
    return invalid_argument(
        "the network is told its guidance scale (time_cond_proj_dim) and takes no classifier-free "
        "guidance besides");
  const int classes = network.signature().classes.classes();
  const bool attends = network.signature().context > 0;
  if (classes < 2 && !(attends && classes == 0))
    return invalid_argument(
        "--guidance-scale is for models with a context, or with classes and a class that stands "
        "for "
        "none (ito train --class-dropout); this one has {}",
        classes == 0 ? std::string("no classes") : std::string("one class"));
  if (classes == 0 && guidance.null_class)
    return invalid_argument("--null-class is {}, the model has no classes", *guidance.null_class);
  if (classes > 0 && guidance.null_class.value_or(0) >= static_cast<uint32_t>(classes))
    return invalid_argument("--null-class is {}, the model has classes 0 to {}",
                            *guidance.null_class, classes - 1);
  if (!(guidance.rescale >= 0 && guidance.rescale <= 1))
    return invalid_argument("--guidance-rescale is {}, expected 0 to 1", guidance.rescale);
  return {};
}

Result<DiffusionModel> diffusion_model(const Network& network, const SchedulerConfig& scheduler,
                                       const std::optional<ClassifierFree>& classifier_free,
                                       const SamplingInputs& inputs) {
  ITO_TRY(check_network(network, inputs));
  DiffusionModel model;
  model.config = scheduler;
  model.input = noise_input(network);
  model.generator = network.signature().latent > 0;
  model.output_multiple =
      static_cast<int>(network.signature().out_channels / sample_channels(network.signature()));
  model.network = input_denoiser(network, inputs);
  if (classifier_free) {
    ITO_TRY(check_classifier_free(network, *classifier_free));
    model.network = classifier_free_denoiser(network, *classifier_free);
  }
  return model;
}

Result<ProbabilityFlow> density_flow(const Network& network, const SchedulerConfig& scheduler) {
  ITO_ASSIGN(const DiffusionModel model, diffusion_model(network, scheduler));
  return density_flow(model);
}

}  // namespace ito
