// The algorithms of DPM-Solver: how a step from s to t uses the converted output m and its
// derivatives with respect to λ, for the multistep and the singlestep solver. Internal to this
// folder.
//
// With h = λ_t - λ_s the ODE or SDE is solved exactly in its linear part, and m(λ) by its Taylor
// series about s (Lu et al. 2022, "DPM-Solver", prop. 3.1; Lu et al. 2022b, "DPM-Solver++", prop.
// 4.1 and eq. 19 for the SDE). The derivatives come as D_1 = h m', D_2 as the caller estimates it.
#pragma once

#include <string>

#include "base/config.h"
#include "base/registry.h"
#include "diffusion/solvers/log_snr.h"

namespace ito {

// x_t = x x_s + d0 D_0 + d1 D_1 + d2 D_2 + z noise.
struct DpmWeights {
  double x = 0;
  double d0 = 0;
  double d1 = 0;
  double d2 = 0;
  double z = 0;
};

struct DpmAlgorithm {
  Name name;
  bool data;             // m is x_0, else ε
  bool stochastic;       // the SDE, which draws noise in every step
  int singlestep_order;  // greatest orders that there are formulas for; 0: none
  int multistep_order;
  DpmWeights (*weights)(const Moment& s, const Moment& t);

  Affine output() const { return data ? affine::kX0 : affine::kEpsilon; }
};

// What config says of the algorithm, and whether D_1 has its own weight ("heun") or half that of
// D_0 ("midpoint"), which agree up to the next order in h.
struct DpmChoice {
  const DpmAlgorithm* algorithm = nullptr;
  bool heun = false;

  // Weights of a step from s to t; of a step that goes nowhere, x alone.
  DpmWeights weights(const Moment& s, const Moment& t) const;
  // The weight of D_1 in a second-order step.
  double second(const DpmWeights& w) const { return heun ? w.d1 : 0.5 * w.d0; }
};

// Errors: unknown names of algorithm_type or solver_type; an algorithm in ε whose last step would
// end without noise (it divides by it); flow_prediction with one.
Result<DpmChoice> dpm_choice(const SchedulerConfig& config, const LogSnrRun& run);

// x at entry i + 1 of the run by the newest output and those before it, which are the states 0, 1,
// the newest first; order 1 to 3. With m the newest, m₁ and m₂ those before, h = λ_t - λ_s,
// r₀ = (λ_s - λ_{s₁})/h and r₁ = (λ_{s₁} - λ_{s₂})/h:
//   D_1 = (m - m₁)/r₀                                                       (2022b, alg. 2)
//   D_1 = D_{1,0} + r₀/(r₀ + r₁) (D_{1,0} - D_{1,1}),  D_2 = (D_{1,0} - D_{1,1})/(r₀ + r₁)
// with D_{1,0} = (m - m₁)/r₀ and D_{1,1} = (m₁ - m₂)/r₁.
// D_2, as published code has it, is half of h² m'', whose weight is d2: the method of order 3 is
// one of order 2 with a small constant.
Affine multistep(const DpmChoice& choice, const LogSnrRun& run, int i, int order);

// The solver without rows and states: log_snr_solver with thresholding of x_0 where m is ε, too.
Result<Solver> dpm_solver(const std::string& name, const SchedulerConfig& config,
                          const DpmChoice& choice);

}  // namespace ito
