// A trained U-Net as samplers of SDEs see it: its process and its score, or its probability flow.
// The graphs these build have the inputs "params" (nn/train_step.h) and, for a model with classes,
// "labels" (u32 [n], api/task.h). Not for running anything.
#pragma once

#include "base/config.h"
#include "diffusion/probability_flow.h"
#include "diffusion/score_model.h"
#include "nn/parameters.h"

namespace ito {

// How the network is told the noise level.
NoiseInput noise_input(const UNet2DConfig& unet);

// Rows of the class table, that of a GAN's latent mapping included; 0 for a model without classes.
int class_count(const UNet2DConfig& unet, const ParameterSet& set);

// The network with the inputs above; of a GAN's generator the sample for a latent that is drawn
// from the sampling program's key, image and step (diffusion/sampling_program.h). `set` must
// outlive it.
Denoiser input_denoiser(const UNet2DConfig& unet, const ParameterSet& set);

// Score models on their own SDE; models of a discrete chain on the VP SDE, their estimates of the
// clean image clipped where the scheduler says clip_sample. Errors: a schedule that has no SDE, a
// network whose output is no score, class embeddings of another kind than a table.
Result<ScoreModel> unet_score(const UNet2DConfig& unet, const SchedulerConfig& scheduler,
                              const ParameterSet& set);
// The flow of unet_score, for drawing images. Score models from
// sampling_end to the SDE's end.
Result<ProbabilityFlow> sampling_flow(const UNet2DConfig& unet, const SchedulerConfig& scheduler,
                                      const ParameterSet& set);
// The flow whose density is the model's: as above for score models; models of a discrete chain in
// their own log-SNR, from timestep 0 on, nothing clipped.
Result<ProbabilityFlow> unet_flow(const UNet2DConfig& unet, const SchedulerConfig& scheduler,
                                  const ParameterSet& set);

}  // namespace ito
