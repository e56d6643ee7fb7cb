// SampleOptions, and what SamplingSession replays for them: a model and a sampler's name become a
// program. Not for running it (api/sampling.h) nor for what samplers do (diffusion/sampling.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/context.h"
#include "api/control.h"
#include "api/encoded_picture.h"
#include "api/inpainting.h"
#include "api/model_score.h"
#include "base/config.h"
#include "diffusion/ode.h"
#include "diffusion/sampling.h"
#include "graph/program.h"
#include "io/json.h"
#include "nn/network.h"

namespace ito {

// Image to image: sampling begins at this picture, noised `strength` of the way.
struct InitialImage {
  // Of all images of a batch, [h, w, c] of what the model works on; its mean may be empty where
  // each is given its own (SamplingSession::sample_from).
  EncodedPicture picture;
  double strength = 0.8;  // (0, 1]: 1 keeps nothing of the picture
};

// Where random numbers come from.
enum class RandomSource : uint8_t {
  kDevice,  // Philox on the device
  kTorch,   // PyTorch's CPU generator seeded with the image's seed, drawn on the host and uploaded
            // before each step, its draws in the order in which the step uses them: the images of
            // diffusers with the same seed, one generator an image
};

// Whether noise is uploaded before each step; what the settings of a picture call the source (null:
// they leave it out).
bool is_uploaded(RandomSource source);
const char* settings_name(RandomSource source);

struct SampleOptions : SamplerOptions {
  int64_t batch = 16;
  int height = 0, width = 0;  // 0: the model's sample_size
  RandomSource random = RandomSource::kDevice;
  // What the network multiplies in (graph/program.h); samplers and states stay f32. Not
  // for ode, whose error estimate would measure the rounding.
  DType multiply = DType::kF32;
  bool previews = false;                // the program also gives each step's estimate of x_0
  std::optional<InitialImage> initial;  // samplers with a solver only
  std::optional<ClassifierFree> classifier_free;
  // Networks that are told it embedded (Signature::guidance), which must be.
  std::optional<double> guidance_scale;
  // Networks that fill in, which must be told: inpainting_of at this size.
  std::optional<Inpainting> inpainting;
  // What a network with a context is told; outlives the session.
  const ContextStates* context = nullptr;
  // What it is told in the unconditional half of classifier-free guidance (the states of an empty
  // text, or of what is not wanted), as long as `context`; likewise.
  const ContextStates* negative_context = nullptr;
  // A model on latents: large ones are decoded in tiles (api/autoencoder.h).
  bool tiled = false;
  // Outlives the session. Not for ode; samplers of a solver are guided on a discrete chain only.
  const SampleControl* control = nullptr;
};

// The options with the sampler that the model asks for, where none is given, and its steps.
SampleOptions resolved(const SampleOptions& options, const Network& network,
                       const SchedulerConfig& scheduler);

// What decides the images besides model, seed and class: only the options that the sampler uses.
Json sample_settings(const SampleOptions& options);

struct SamplingLoop {
  std::string name;               // of the sampler, for messages
  Shape shape;                    // [batch, h, w, c]
  int classes = 0;                // of the labels that the program reads; 0: none
  Sampling sampling;              // the method or flow, and where x begins
  Program step;                   // one replay is one step; empty for an ODE
  std::optional<OdeSystem> flow;  // of an ODE

  int steps() const { return sampling.method ? sampling.method->steps : 0; }
};

// Errors: a sampler, a number or a size that the model's process or network does not allow. A
// sampler that makes latents of pictures (inverts, diffusion/samplers.h) takes these as they are,
// so no SampleOptions::initial.
Result<SamplingLoop> sampling_loop(const Network& network, const SchedulerConfig& scheduler,
                                   const SampleOptions& options);

// The program that puts x where a run begins: noise, or SampleOptions::initial's picture (the input
// sampling_ports::kPicture), noised as far as that says.
Program start_program(const SamplingLoop& loop, const SampleOptions& options);

// The shape of what is sampled, [batch,h,w,c], by options that are resolved(). Errors: no size
// where the model has none either, one that its network does not take.
Result<Shape> sample_shape(const Network& network, const SampleOptions& options);

}  // namespace ito
