// EDM: preconditioning of a network around a denoiser D(x; σ), its loss weight, the noise levels of
// training and sampling (Karras et al. 2022, Elucidating the Design Space of Diffusion-Based
// Generative Models). Noisy data is x = y + σ n.
// Not the sampler (diffusion/edm_sampler.h).
#pragma once

#include <functional>
#include <vector>

#include "base/result.h"
#include "diffusion/score.h"

namespace ito {

struct EdmPreconditioning {
  double sigma_data = 0.5;  // deviation of the data

  // Table 1, column "Ours", derived in appendix B.6. sigma > 0.
  double c_skip(double sigma) const;   // σ_d²/(σ² + σ_d²)
  double c_out(double sigma) const;    // σ σ_d/√(σ² + σ_d²)
  double c_in(double sigma) const;     // 1/√(σ² + σ_d²)
  double c_noise(double sigma) const;  // ln(σ)/4
  double weight(double sigma) const;   // λ(σ) = (σ² + σ_d²)/(σ σ_d)²
  // The same on f32 tensors of any shape.
  Tensor c_skip(Tensor sigma) const;
  Tensor c_out(Tensor sigma) const;
  Tensor c_in(Tensor sigma) const;
  Tensor c_noise(Tensor sigma) const;
  Tensor weight(Tensor sigma) const;
};

// (x [n, ...], c_noise f32 [n]) → x's shape: the raw network F.
using EdmNetwork = std::function<Tensor(Tensor x, Tensor c_noise)>;
// (x [n, ...], σ f32 [n]) → D(x; σ), x's shape: the best guess of y.
using EdmDenoiser = std::function<Tensor(Tensor x, Tensor sigma)>;

// D(x; σ) = c_skip x + c_out F(c_in x; c_noise), eq. 7.
EdmDenoiser edm_denoiser(EdmNetwork network, EdmPreconditioning preconditioning);
// ∇ ln p(x; σ) = (D(x; σ) - x)/σ², eq. 3; the time of the Sde kind kEdm is σ.
ScoreFunction score_of_denoiser(EdmDenoiser denoiser);

// λ(σ) Σ |D(y + n; σ) - y|² per image (eq. 2 and 8; n already has deviation σ), f32 [n].
Tensor edm_loss(const EdmDenoiser& denoiser, const EdmPreconditioning& preconditioning, Tensor y,
                Tensor noise, Tensor sigma);

// Noise levels of training: ln σ ~ N(p_mean, p_std²) (table 1, bottom) of a standard normal z, any
// shape.
Tensor edm_training_sigma(Tensor z, double p_mean = -1.2, double p_std = 1.2);

// t_0 = σ_max > ... > t_{N-1} = σ_min > t_N = 0: t_i = (σ_max^{1/ρ} + i/(N-1) (σ_min^{1/ρ} -
// σ_max^{1/ρ}))^ρ, eq. 5. N + 1 numbers. Errors: steps < 2, not 0 < sigma_min < sigma_max, rho <=
// 0.
Result<std::vector<double>> edm_time_steps(double sigma_min, double sigma_max, double rho,
                                           int steps);

}  // namespace ito
