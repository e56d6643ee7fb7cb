// A trained network as samplers of SDEs see it: its process and its score, or its probability flow.
// The graphs these build have the inputs "params" (nn/train_step.h) and those of
// session_conditioning. Not for running anything.
#pragma once

#include "base/config.h"
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

// Score models on their own SDE; models of a discrete chain on the VP SDE, their estimates of the
// clean image clipped where the scheduler says clip_sample. Errors: a schedule that has no SDE, a
// network whose output is no score, class embeddings of another kind than a table.
Result<ScoreModel> network_score_model(const Network& network, const SchedulerConfig& scheduler);
// The flow of network_score_model, for drawing images. Score models from sampling_end to the SDE's
// end.
Result<ProbabilityFlow> sampling_flow(const Network& network, const SchedulerConfig& scheduler);
// The flow whose density is the model's: as above for score models; models of a discrete chain in
// their own log-SNR, from timestep 0 on, nothing clipped.
Result<ProbabilityFlow> density_flow(const Network& network, const SchedulerConfig& scheduler);

}  // namespace ito
