// Sde: a noising process dx = f(x, t) dt + g(t) dw, t from 0 (data) to end(), as a value. All four
// kinds have a drift linear in x, f = c(t) x, so x_t given x_0 is N(m(t) x_0, std(t)² I).
//
//          c           g                                       m            std²
//   VE     0           σ(t) √(2 ln(σ_max/σ_min))               1            σ(t)²
//   VP     -β(t)/2     √β(t)                                   e^{-∫β/2}    1 - e^{-∫β}
//   sub-VP -β(t)/2     √(β(t) (1 - e^{-2∫β}))                  e^{-∫β/2}    (1 - e^{-∫β})²
//   EDM    0           √(2t)                                   1            t²
// with σ(t) = σ_min (σ_max/σ_min)^t, β(t) = β_min + t (β_max - β_min), integrals from 0 to t.
//
// Song et al. 2021 (Score-Based Generative Modeling through SDEs, arXiv 2011.13456): VE c and g
// eq. 9, VP eq. 11, sub-VP eq. 12; m and std of all three eq. 29; σ(t), β(t) and the priors
// appendix C. VE's std² there is σ(t)² - σ(0)²; data are taken to carry σ(0) = σ_min already.
// Karras et al. 2022 (EDM): c and g eq. 6 with β = σ̇/σ, σ(t) = t and m = 1 of table 1, the prior
// N(0, σ_max² I) algorithm 1. Elsewhere: the time reversal (Song, eq. 6) and the probability flow
// (Song, eq. 13; Karras, eq. 1) reverse_sde.h; the discrete chains (Song, eq. 8, 10)
// sde_discrete.h; the prior's log-density gaussian_log_density (likelihood.h). Every function comes
// twice: on host numbers, and on tensors of times for use inside graphs. Not for samplers, which
// only ask for these values.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "graph/graph.h"

namespace ito {

struct Sde {
  enum class Kind : uint8_t { kVe, kVp, kSubVp, kEdm };

  Kind kind = Kind::kVp;
  double beta_min = 0.1;  // VP, sub-VP
  double beta_max = 20;
  double sigma_min = 0.01;  // VE; EDM: the smallest time that is sampled
  double sigma_max = 50;    // VE; EDM: the largest

  bool operator==(const Sde&) const = default;

  // The time of the prior: 1, for EDM σ_max.
  double end() const;
  // The time at which reverse processes stop, where the score is still finite: 1e-5 for VE, 1e-3
  // for VP and sub-VP (Song et al. 2021, appendix C), σ_min for EDM.
  double start() const;

  // c(t), g(t), m(t) = E[x_t]/x_0 and the deviation of x_t given x_0.
  double drift(double t) const;
  double diffusion(double t) const;
  double mean(double t) const;
  double std(double t) const;
  // The time at which std/mean is `sigma` > 0: the ratio alone says how noisy an image is.
  double time_of(double sigma) const;

  // The same for f32 tensors of times (of σ), of any shape.
  Tensor drift(Tensor t) const;
  Tensor diffusion(Tensor t) const;
  Tensor mean(Tensor t) const;
  Tensor std(Tensor t) const;
  Tensor time_of(Tensor sigma) const;

  // Deviation of the prior N(0, prior_std()² I): σ_max for VE and EDM, else 1.
  double prior_std() const;

  // Whether images are left as large as they are and noise is only added: m = 1 (VE, EDM).
  bool keeps_images() const;
  // Whether, beside that, the time is the noise's deviation itself: EDM's coordinates.
  bool time_is_std() const;

  // Z(t) with dZ/dt = g²/std², the density by which likelihood weighting draws times (Song, Durkan,
  // Murray, Ermon 2021, Maximum Likelihood Training of Score-Based Diffusion Models), and the t at
  // which it is z.
  double importance_integral(double t) const;
  Tensor importance_time(Tensor z) const;
};

// "ve", "vp", "subvp", "edm".
std::string sde_name(Sde::Kind kind);
// Errors name the field: 0 < sigma_min < sigma_max, 0 <= beta_min <= beta_max, beta_max > 0, all
// finite.
Status check_sde(const Sde& sde);

}  // namespace ito
