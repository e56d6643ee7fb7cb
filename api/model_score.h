// A trained network as samplers of SDEs see it: its process and its score, or its probability flow.
// The graphs these build have the inputs "params" (flat_inputs of nn/scope.h) and those of
// session_conditioning. Not for running anything.
#pragma once

#include <cstdint>
#include <optional>

#include "base/config.h"
#include "diffusion/diffusion_model.h"
#include "diffusion/probability_flow.h"
#include "diffusion/score_model.h"
#include "nn/network.h"

namespace ito {

// How the network is told the noise level.
NoiseInput noise_input(const Network& network);

// Whether sessions can tell the network all that it is told. Error kUnsupported naming what not.
Status check_session_signature(const Signature& signature);
// What a session tells a network of n samples: "labels" (u32 [n], api/task.h) as an input where it
// has classes, "context" (f32 [n, length, features]) where it attends to one, and for a GAN's
// generator a latent that is drawn from the sampling program's key, image and step
// (diffusion/sampling_program.h).
Conditioning session_conditioning(Graph& graph, const Signature& signature, int64_t n);

// The network with the inputs above.
Denoiser input_denoiser(const Network& network);

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
                                       const std::optional<ClassifierFree>& classifier_free = {});

// The flow whose density is the model's: of score models from sampling_end to the SDE's end; models
// of a discrete chain in their own log-SNR, from timestep 0 on, nothing clipped.
Result<ProbabilityFlow> density_flow(const Network& network, const SchedulerConfig& scheduler);

}  // namespace ito
