// A trained network as samplers of SDEs see it: its process and its score, or its probability flow.
// The graphs these build have the inputs "params" (flat_inputs of nn/scope.h) and those of
// session_conditioning. Not for running anything.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/config.h"
#include "diffusion/diffusion_model.h"
#include "diffusion/probability_flow.h"
#include "diffusion/score_model.h"
#include "nn/network.h"

namespace ito {

// How the network is told the noise level.
NoiseInput noise_input(const Network& network);

// What only sampling tells a network: others refuse those that want it.
struct SamplingInputs {
  std::optional<double> guidance_scale = {};  // one that it is told embedded
  bool inpainting = false;                    // kInpainting of api/inpainting.h
};

// Whether sessions can tell the network all that it is told, and it them. Error kUnsupported naming
// what not.
Status check_session_signature(const Signature& signature, const SamplingInputs& inputs = {});

// A guidance scale s as a network with time_cond_proj_dim = `features` is told it (Meng et al.
// 2023; Luo et al. 2023), in diffusers' single precision: sines, then cosines, of 1000 (s - 1)
// times 10000^(-i / (features/2 - 1)); of an odd number the last is zero. features: at least 4.
std::vector<float> guidance_embedding(double scale, int64_t features);
// What a session tells a network of n samples: "labels" (u32 [n], api/task.h) as an input where it
// has classes, "context" (f32 [n, length, features]) where it attends to one, and for a GAN's
// generator a latent that is drawn from the sampling program's key, image and step
// (diffusion/sampling_program.h). An embedded guidance scale is a constant.
Conditioning session_conditioning(Graph& graph, const Signature& signature, int64_t n,
                                  const SamplingInputs& inputs = {});

// The network with the inputs above.
Denoiser input_denoiser(const Network& network, const SamplingInputs& inputs = {});

// Classifier-free guidance (Ho & Salimans 2022): u + scale (c - u), c and u the network's outputs
// with and without the class, both in one batch.
struct ClassifierFree {
  double scale = 1;
  // The class that stands for none; nothing: the last row of the class table, as --class-dropout
  // trains it.
  std::optional<uint32_t> null_class = {};
  // Moves the guided output's deviation towards the conditional one's by this share (Lin et al.
  // 2023, section 3.4).
  double rescale = 0;
};

// The network on the process of its scheduler. Errors: a network that does not map images to images
// of as many or twice the channels, inputs that sessions cannot give, guidance without classes.
Result<DiffusionModel> diffusion_model(const Network& network, const SchedulerConfig& scheduler,
                                       const std::optional<ClassifierFree>& classifier_free = {},
                                       const SamplingInputs& inputs = {});

// The flow whose density is the model's: of score models from sampling_end to the SDE's end; models
// of a discrete chain in their own log-SNR, from timestep 0 on, nothing clipped.
Result<ProbabilityFlow> density_flow(const Network& network, const SchedulerConfig& scheduler);

}  // namespace ito
