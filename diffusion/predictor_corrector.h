// Predictor-corrector sampling of a reverse SDE (Song et al. 2021, algorithms 1-3 and appendix G):
// any predictor with any corrector, as a Method. A step is `corrector_steps` moves of the corrector
// at the step's time, then one of the predictor to the next time.
//
// The predictors differ in numbers only: x' = on_x x + on_score s(x, t) + noise z.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/registry.h"
#include "diffusion/method.h"
#include "diffusion/score.h"
#include "diffusion/sde.h"

namespace ito {

enum class Predictor : uint8_t {
  kNone,
  kEulerMaruyama,        // x + (f - g² s) Δt + g √|Δt| z, Δt = -1/N
  kReverseDiffusion,     // x - f_i + G_i² s + G_i z, the forward chain's f_i, G_i (eq. 46)
  kReverseDiffusionOde,  // x - f_i + G_i² s/2: the same steps along the probability flow
  kAncestral,            // VE and EDM: eq. 47; VP: eq. 4. Sub-VP has no chain to be ancestral to
};

enum class Corrector : uint8_t {
  kNone,
  kLangevin,  // ε = 2 α (snr |z|/|s|)²: algorithms 4 and 5
  kAld,       // ε = 2 α (snr std(t))²: annealed Langevin dynamics' own step size
};            // both: x + ε s + √(2ε) z; α = 1 - β_i for VP and sub-VP, else 1

// Over what the Langevin corrector's |z| and |s| are taken.
enum class NormOver : uint8_t {
  kImage,  // each image's own norms: an image does not depend on its batch. Sampling uses this. ε
           // then depends on x, which widens what the corrector tends to by about 4/D of its
           // variance (D dimensions): nothing for images, much for points in the plane, for which
           // kAld is the better corrector.
  kBatch,  // norms averaged over the batch, as the published implementation has them; for
           // reproducing its numbers. An image then depends on its batch.
};

struct PredictorCorrectorOptions {
  Predictor predictor = Predictor::kReverseDiffusion;
  Corrector corrector = Corrector::kNone;
  int steps = 1000;         // N, at least 2
  int corrector_steps = 1;  // per step, at least 1; unused without a corrector
  double snr = 0.16;        // signal-to-noise ratio r of the correctors, positive
  double end_time = 0;      // time of the last step, between 0 and the SDE's end; 0: sde.start().
                            // EDM: its σ_min, followed by 0
  bool denoise = true;      // the last step's last move adds no noise
  NormOver norm_over = NormOver::kImage;
  double rho = 7;  // EDM: shape of the times (diffusion/edm.h)
};

// The chain from x ~ N(0, sde.prior_std()²). Times are N equal steps from the SDE's end to
// end_time; EDM's are those of edm_time_steps. Outputs: "mean", the last move without its noise,
// and "corrected", x before the predictor. Errors name the option.
Result<Method> predictor_corrector(const Sde& sde, ScoreFunction score,
                                   const PredictorCorrectorOptions& options);

struct PredictorRow {
  Name name;
  Predictor predictor;
};
struct CorrectorRow {
  Name name;
  Corrector corrector;
};
std::span<const PredictorRow> predictor_rows();
std::span<const CorrectorRow> corrector_rows();

std::string predictor_name(Predictor predictor);
Result<Predictor> predictor_from_name(const std::string& name);
std::string corrector_name(Corrector corrector);
Result<Corrector> corrector_from_name(const std::string& name);

}  // namespace ito
