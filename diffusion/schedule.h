// NoiseSchedule: the discrete Gaussian noising chain q(x_t | x_{t-1}) = N(√(1-β_t) x_{t-1}, β_t I)
// as host tables, t = 0 .. T-1 (t = 0 is the first noising step, as in diffusers).
// Not for the steps a sampler visits (diffusion/timesteps.h) nor for continuous-time SDEs.
#pragma once

#include <cstdint>
#include <vector>

#include "base/config.h"
#include "base/result.h"

namespace ito {

// How tables and the coefficients made of them are computed. Values are held in double either way.
enum class Arithmetic : uint8_t {
  kFloat32AsDiffusers,  // every intermediate rounded to float32 where diffusers' is a float tensor
  kDouble,
};

// Largest β the cosine and Laplace schedules may take (Nichol & Dhariwal 2021, section 3.2).
inline constexpr double kMaxBeta = 0.999;

struct NoiseSchedule {
  Arithmetic arithmetic = Arithmetic::kFloat32AsDiffusers;
  std::vector<double> betas;           // [T], each in (0, 1]; 1 only at T-1 with zero terminal SNR
  std::vector<double> alphas_cumprod;  // [T], ᾱ_t = Π_{s≤t} (1-β_s)

  int num_timesteps() const { return static_cast<int>(betas.size()); }
  // ᾱ_t; 1 for t < 0, the noise-free end. t < T.
  double alpha_bar(int t) const { return t < 0 ? 1.0 : alphas_cumprod[static_cast<size_t>(t)]; }
  // 1 - β_t.
  double alpha(int t) const { return 1.0 - betas[static_cast<size_t>(t)]; }
  // ᾱ_t / (1 - ᾱ_t).
  double snr(int t) const { return alpha_bar(t) / (1.0 - alpha_bar(t)); }
};

// The schedule that a diffusers scheduler config describes: num_train_timesteps, beta_start,
// beta_end, beta_schedule, trained_betas, rescale_betas_zero_snr.
//   linear             β_t evenly spaced in [beta_start, beta_end] (Ho et al. 2020)
//   scaled_linear      √β_t evenly spaced (Rombach et al. 2022)
//   squaredcos_cap_v2  ᾱ(u) = cos²((u + .008)/1.008 · π/2) (Nichol & Dhariwal 2021, eq. 17)
//   sigmoid            logistic curve over [-6, 6] between beta_start and beta_end (GeoDiff)
//   laplace            log-SNR with a Laplace distribution, as diffusers has it (Hang et al. 2024)
// Errors: T < 1, an unknown schedule, β outside (0, 1), trained_betas whose length is not T.
Result<NoiseSchedule> make_schedule(const SchedulerConfig& config,
                                    Arithmetic arithmetic = Arithmetic::kFloat32AsDiffusers);

// Whether the config names the cosine schedule, with which published solvers tell the network the
// timestep below a converted level and not the nearest.
bool has_cosine_betas(const SchedulerConfig& config);

// Shifts and scales √ᾱ so that ᾱ_{T-1} = 0 and ᾱ_0 stays (Lin et al. 2023, algorithm 1); returns
// the new betas, the last of which is 1.
std::vector<double> rescale_zero_terminal_snr(const std::vector<double>& betas,
                                              Arithmetic arithmetic);

}  // namespace ito
