// Consistency models (Song, Dhariwal, Chen, Sutskever 2023): f(x, σ) maps every point of a
// probability-flow path, x = y + σ z, to its start. Trained without a teacher network as Song &
// Dhariwal 2023 (Improved Techniques for Training Consistency Models) do: the same weights on the
// next lower noise level give the target, the levels are refined as training goes on, and the
// distance is pseudo-Huber. Not for sampling.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/result.h"
#include "diffusion/denoiser.h"
#include "diffusion/edm.h"
#include "diffusion/loss.h"

namespace ito {

// f = c_skip x + c_out F(c_in x; c_noise), the identity at σ_min (Song et al. 2023, appendix C).
struct ConsistencyScaling {
  double sigma_data = 0.5;
  double sigma_min = 0.002;

  double c_skip(double sigma) const;   // σ_d²/((σ-σ_min)² + σ_d²)
  double c_out(double sigma) const;    // σ_d (σ-σ_min)/√(σ² + σ_d²)
  double c_in(double sigma) const;     // 1/√(σ² + σ_d²)
  double c_noise(double sigma) const;  // 1000 ln(σ)/4, as diffusers tells its networks
};

// (x [n, ...], σ f32 [n]) → f(x, σ).
using ConsistencyFunction = EdmDenoiser;
ConsistencyFunction consistency_function(Denoiser network, const ConsistencyScaling& scaling);

// Which levels are trained on, and when.
struct ConsistencySchedule {
  double sigma_min = 0.002, sigma_max = 80, rho = 7;
  int first = 10, last = 1280;        // s_0 and s_1: pairs of neighbours at the start and the end
  int64_t steps = 0;                  // K, of the whole training; at least 1
  double p_mean = -1.1, p_std = 2.0;  // ln σ's distribution, rounded to the levels
};
// Errors name the field: 0 < sigma_min < sigma_max, rho > 0, 1 <= first <= last <= 65536,
// steps >= 1, p_std > 0.
Status check_consistency_schedule(const ConsistencySchedule& schedule);

// N + 1 levels from σ_min up to σ_max, evenly spaced in σ^{1/ρ} (eq. 5 of EDM).
std::vector<double> consistency_levels(const ConsistencySchedule& schedule, int pairs);
// Probability of each pair (i, i+1), i < N: proportional to erf((ln σ_{i+1} - p_mean)/(√2 p_std)) -
// erf((ln σ_i - p_mean)/(√2 p_std)) (eq. 19).
std::vector<double> consistency_probabilities(const ConsistencySchedule& schedule, int pairs);

struct ConsistencyDraw {
  Tensor low, high;  // f32 [n]: neighbouring levels
  Tensor noise;      // the images' shape
};
// step u32 []: the training step, which chooses the stage of the curriculum too: the number of
// pairs N(k) of step k is min(s_0 2^⌊k/K'⌋, s_1) with K' = ⌊K/(⌊log2(s_1/s_0)⌋ + 1)⌋ (eq. 18 of the
// second paper, whose N counts levels, one more). Others as draw_training's.
ConsistencyDraw draw_consistency(const Shape& shape, Tensor key, Tensor image, Tensor step,
                                 const ConsistencySchedule& schedule);

// λ(σ) d(f(y + σ_high z, σ_high), f⁻(y + σ_low z, σ_low)) with λ = 1/(σ_high - σ_low), d(a, b) =
// √(|a-b|² + c²) - c and c = 0.00054 √D (eqs. 9, 16 and 17 of the second paper). `target` is f of
// weights that no gradient reaches.
TrainingLoss consistency_loss(Tensor y, const ConsistencyDraw& draw, const ConsistencyFunction& f,
                              const ConsistencyFunction& target);

}  // namespace ito
