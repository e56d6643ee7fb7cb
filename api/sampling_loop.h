// SampleOptions, and what SamplingSession replays for them: a sampler's name and a model become
// programs. Not for running them (api/sampling.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/context.h"
#include "api/control.h"
#include "base/config.h"
#include "diffusion/chain.h"
#include "diffusion/ode.h"
#include "graph/program.h"
#include "io/json.h"
#include "nn/network.h"

namespace ito {

struct SampleOptions {
  // Denoising diffusion GANs: "gan", as many steps as it was trained for; it takes no others.
  // Models of a discrete chain: "ddpm", "ddim". All models, as an SDE: "em", "reverse-diffusion",
  // "ancestral" (those predictors alone), "pc" (predictor and corrector as below), "ald" (annealed
  // Langevin dynamics), "ode" (the probability flow, adaptively), "edm" (the probability flow by
  // Heun's method with EDM's steps, and noise if `churn` asks for it). A model of a discrete chain
  // is then sampled as the VP SDE of diffusion/score_model.h, not on its own timesteps.
  std::string sampler = "ddim";
  int steps = 0;   // ald: noise levels; not used by ode; 0: default_steps
  double eta = 0;  // ddim
  // pc: as in predictor_corrector.h, with "-" for "_" and "em" for "euler_maruyama".
  std::string predictor = "reverse-diffusion";
  std::string corrector = "langevin";
  // pc, and ald for VP and sub-VP: signal-to-noise ratio of the corrector; 0: the model's (VE), or
  // 0.16. ald with ncsnv2: ε/σ_L² = 2 snr², if above 0.
  double snr = 0;
  int corrector_steps = 0;  // pc: per step, 0: 1. ald: per noise level, 0: 5, with ncsn 100
  // ald for VE and EDM: "ncsn" or "ncsnv2", as in AnnealedForm; ε of their steps, 0: with ncsn 2e-5
  // (Song & Ermon 2019), with ncsnv2 from the ladder (Song & Ermon 2020, technique 4).
  std::string ald_form = "ncsnv2";
  double epsilon = 0;
  double eps = 0;  // time at which sampling ends; 0: the model's. Not used by ald for VE and EDM
  bool denoise = true;  // the last move adds no noise; ald for VE: one more step, to the mean
  // edm, as in EdmSamplerOptions; s_max 0: no bound.
  double rho = 7;
  double churn = 0, s_min = 0, s_max = 0, s_noise = 1;
  bool euler = false;               // steps of first order
  double rtol = 1e-5, atol = 1e-5;  // ode
  int64_t batch = 16;
  int height = 0, width = 0;  // 0: the model's sample_size
  // What a network with a context is told; outlives the session.
  const ContextStates* context = nullptr;
  // A model on latents: large ones are decoded in tiles (api/autoencoder.h).
  bool tiled = false;
  // Outlives the session. Not for ode; edm takes guidance, but no observation.
  const SampleControl* control = nullptr;
};

// Whether the sampler of that name sees the model as an SDE.
bool is_sde_sampler(const std::string& name);
std::vector<std::string> sample_names();

// 50 for ddpm and ddim, a GAN's own number, 18 for edm (Karras et al. 2022, section 3), the levels
// that the model was trained on for ald on a ladder, else 500.
int default_steps(const SampleOptions& options, const SchedulerConfig& scheduler);

// What decides the images besides model, seed and class: only the options that the sampler uses.
Json sample_settings(const SampleOptions& options);

struct SamplingLoop {
  std::string name;                  // of the method, for messages
  Shape shape;                       // [batch, h, w, c]
  int classes = 0;                   // of the labels that the program reads; 0: none
  double start_std = 1;              // x begins as this times a standard normal
  Program step;                      // one replay is one step; empty for an ODE
  int steps = 0;                     // replays; 0 for an ODE
  std::vector<std::string> history;  // its states beside x, zero at the start and of x's shape
  std::optional<Chain> chain;        // what `step` was made of, if a chain
  std::optional<OdeSystem> flow;     // of an ODE, from `from` to `to`
  double from = 1, to = 0;
};

// Errors: a sampler, a number or a size that the model's process or network does not allow.
Result<SamplingLoop> sampling_loop(const Network& network, const SchedulerConfig& scheduler,
                                   const SampleOptions& options);

}  // namespace ito
