// SampleOptions, and what SamplingSession replays for them: a sampler's name and a model become
// programs. Not for running them (api/sampling.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/control.h"
#include "base/config.h"
#include "diffusion/ode.h"
#include "graph/program.h"
#include "io/json.h"
#include "nn/parameters.h"

namespace ito {

struct SampleOptions {
  // Denoising diffusion GANs: "gan", as many steps as it was trained for; it takes no others.
  // Models of a discrete chain: "ddpm", "ddim". All models, as an SDE: "em", "reverse-diffusion",
  // "ancestral" (those predictors alone), "pc" (predictor and corrector as below), "ald" (annealed
  // Langevin dynamics), "ode" (the probability flow). A model of a discrete chain is then sampled
  // as the VP SDE of diffusion/score_model.h, not on its own timesteps.
  std::string sampler = "ddim";
  int steps = 50;  // ald: noise levels; not used by ode
  double eta = 0;  // ddim
  // pc: as in predictor_corrector.h, with "-" for "_" and "em" for "euler_maruyama".
  std::string predictor = "reverse-diffusion";
  std::string corrector = "langevin";
  // pc, and ald for VP and sub-VP: signal-to-noise ratio of the corrector; 0: the model's (VE), or
  // 0.16. ald for VE takes its step size from the ladder (NCSNv2, technique 4), or from a snr > 0:
  // ε/σ_L² = 2 snr².
  double snr = 0;
  int corrector_steps = 0;  // pc: per step, 0: 1. ald: per noise level, 0: 5
  double eps = 0;           // time at which sampling ends; 0: the model's. Not used by ald for VE
  bool denoise = true;      // the last move adds no noise; ald for VE: one more step, to the mean
  double rtol = 1e-5, atol = 1e-5;  // ode
  int64_t batch = 16;
  int height = 0, width = 0;               // 0: the model's sample_size
  const SampleControl* control = nullptr;  // outlives the session. Not for ode
};

// Whether the sampler of that name sees the model as an SDE.
bool is_sde_sampler(const std::string& name);
std::vector<std::string> sample_names();

// What decides the images besides model, seed and class: only the options that the sampler uses.
Json sample_settings(const SampleOptions& options);

struct SamplingLoop {
  std::string name;                  // of the method, for messages
  Shape shape;                       // [batch, h, w, c]
  int classes = 0;                   // of the labels that the program reads; 0: none
  double start_std = 1;              // x begins as this times a standard normal
  Program step;                      // one replay is one step; empty for an ODE
  int steps = 0;                     // replays; 0 for an ODE
  std::vector<std::string> history;  // its states, zero at the start
  std::optional<OdeSystem> flow;     // of an ODE, from `from` to `to`
  double from = 1, to = 0;
};

// Errors: a sampler, a number or a size that the model's process or network does not allow.
// `set` must outlive the loop.
Result<SamplingLoop> sampling_loop(const UNet2DConfig& unet, const SchedulerConfig& scheduler,
                                   const ParameterSet& set, const SampleOptions& options);

}  // namespace ito
