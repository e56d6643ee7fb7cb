// What a scheduler configuration says: the noising process, what the network's output means, and
// how to sample by default. A plain struct, no parsing. Field names, meanings and defaults are
// those of diffusers 0.40's scheduler_config.json, which io/scheduler_config.h reads and writes;
// which of them a scheduler owns, and with which defaults, is said there, one row a class.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ito {

// The noising processes that networks are trained on (diffusion/process.h has what they are).
enum class ProcessKind : uint8_t {
  kDiscrete,  // the variance-preserving chain of betas (Ho et al. 2020)
  kVe,        // the SDEs of Song et al. 2021
  kVp,
  kSubVp,
  kEdm,   // σ(t) = t with EDM's preconditioning (Karras et al. 2022)
  kFlow,  // x_t = (1 - σ) x_0 + σ ε, the velocity ε - x_0 (Liu et al. 2022, Lipman et al. 2022)
  kConsistency,  // σ(t) = t, the network maps to x_0 at once (Song et al. 2023)
};

struct SchedulerConfig {
  ProcessKind process = ProcessKind::kDiscrete;
  // The sampler that the configuration asks for: the name of a row of diffusion/samplers.h.
  std::string sampler = "ddpm";

  int num_train_timesteps = 1000;
  // "epsilon", "sample", "v_prediction", "flow_prediction"
  std::string prediction_type = "epsilon";

  // The discrete chain.
  double beta_start = 0.0001;
  double beta_end = 0.02;
  // "linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace"
  std::string beta_schedule = "linear";
  std::optional<std::vector<double>> trained_betas;  // replaces the schedule; one per timestep
  bool rescale_betas_zero_snr = false;

  // Which timesteps a run visits.
  std::string timestep_spacing = "leading";  // "leading", "trailing", "linspace"
  int steps_offset = 0;
  bool set_alpha_to_one = true;  // DDIM, PNDM, LCM: ᾱ before timestep 0 is 1, else ᾱ_0

  // The estimate of x_0.
  bool clip_sample = true;
  double clip_sample_range = 1.0;
  bool thresholding = false;
  double dynamic_thresholding_ratio = 0.995;
  double sample_max_value = 1.0;

  // "fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned", "learned_range"
  std::string variance_type = "fixed_small";
  // The same key of DPM-Solver's schedulers: "learned" or "learned_range" if the network has
  // variance channels (which are not used).
  std::optional<std::string> solver_variance_type;

  // σ in place of timesteps. At most one of the use_ switches.
  bool use_karras_sigmas = false;
  bool use_exponential_sigmas = false;
  bool use_beta_sigmas = false;
  bool use_lu_lambdas = false;
  bool use_flow_sigmas = false;
  double flow_shift = 1.0;
  std::string final_sigmas_type = "zero";     // "zero", "sigma_min"
  std::string interpolation_type = "linear";  // Euler: "linear", "log_linear"
  std::string timestep_type = "discrete";     // Euler: "discrete", "continuous"
  std::optional<double> least_sigma;          // Euler, UniPC: sigma_min and sigma_max of the
  std::optional<double> largest_sigma;        //   Karras and other spacings; null: the chain's

  // DPM-Solver, DEIS, UniPC.
  int solver_order = 2;
  std::string algorithm_type = "dpmsolver++";  // "dpmsolver", "sde-dpmsolver", "sde-dpmsolver++",
                                               // "deis"
  std::string solver_type = "midpoint";        // "midpoint", "heun"; "bh1", "bh2"; "logrho"
  bool lower_order_final = true;
  bool euler_at_final = false;
  double lambda_min_clipped = -std::numeric_limits<double>::infinity();
  bool predict_x0 = true;                   // UniPC
  std::vector<int> disable_corrector = {};  // UniPC: steps without it
  // DPM-Solver SDE (k-diffusion's): seed of its Brownian motion there; noise is Ito's own here.
  std::optional<int> noise_sampler_seed;

  bool skip_prk_steps = false;  // PNDM: linear multistep from the start (PLMS)

  // LCM.
  int original_inference_steps = 50;
  double timestep_scaling = 10.0;

  // Score models (Song et al. 2021), EDM and consistency models. Of score models
  // num_train_timesteps is the number of noise levels of the discretised process.
  double sigma_min = 0.01;                // VE; EDM: 0.002 by default
  double sigma_max = 1348;                // VE; EDM: 80 by default
  double sigma_data = 0.5;                // EDM: deviation of the data
  double rho = 7;                         // EDM: shape of the noise levels
  std::string sigma_schedule = "karras";  // EDM: "karras", "exponential"
  double s_noise = 1.0;                   // consistency: of the noise between steps
  bool clip_denoised = true;              // consistency
  double snr = 0.15;                      // VE: signal-to-noise ratio of the Langevin corrector
  int correct_steps = 1;                  // VE: corrector steps per predictor step
  double beta_min = 0.1;                  // VP, sub-VP
  double beta_max = 20;                   // VP, sub-VP
  double sampling_eps = 1e-5;  // time at which sampling ends; VP, sub-VP: 1e-3 by default
  // VE: the network knows its num_train_timesteps levels of noise and none in between (NCSN). Our
  // own key, left out of files where it is false.
  bool ladder = false;

  // Flow matching.
  double shift = 1.0;
  bool use_dynamic_shifting = false;
  double base_shift = 0.5;
  double max_shift = 1.15;
  int base_image_seq_len = 256;
  int max_image_seq_len = 4096;
  bool invert_sigmas = false;
  std::optional<double> shift_terminal;
  std::string time_shift_type = "exponential";  // "exponential", "linear"
  bool stochastic_sampling = false;

  // Keys that the scheduler does not own: key → JSON text, written back as read.
  std::map<std::string, std::string> extra;

  bool operator==(const SchedulerConfig&) const = default;
};

}  // namespace ito
