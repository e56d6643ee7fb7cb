// run_verify: checks the theory against simulation on a device, with standard errors:
// - Kolmogorov-Fokker-Planck: a Gaussian mixture carried forward by Euler-Maruyama through the
//   VE, VP, sub-VP and EDM SDEs has the closed-form marginals;
// - stationarity: Langevin dynamics leaves a density invariant, unadjusted up to the bias that
//   theory gives, Metropolis-adjusted exactly.
// Methods of finite step have a bias of their own. It is known in closed form here, so that what is
// left is chance: every row's z is standard normal if all is right.
// Not the table's printing (apps).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "diffusion/sde.h"
#include "runtime/vk/device.h"

namespace ito {

struct VerifyOptions {
  int64_t chains = 131072;  // at least 1000
  int steps = 1000;         // Euler-Maruyama steps of the whole time, at least 10
  uint32_t seed = 0;
};
Status check_verify(const VerifyOptions& options);

struct VerifyRow {
  std::string check;     // "VP, t = 0.5"
  std::string quantity;  // "variance of x"
  double measured = 0;
  double theory = 0;          // in continuous time; of the target
  double bias = 0;            // of the method with this step size, known: expected = theory + bias
  double standard_error = 0;  // of measured
  double z = 0;               // standard normal if all is right

  double expected() const { return theory + bias; }
  bool passed() const;  // |z| <= 4
};

// `progress` may be empty; when it returns false the run stops with kInterrupted. Errors: options,
// a chain that diverged, device.
Result<std::vector<VerifyRow>> run_verify(
    vk::Device& device, const VerifyOptions& options,
    const std::function<bool(const std::string& check)>& progress = {});

// Moments of Euler-Maruyama's x_t given x_0 for a linear SDE, in `steps` equal steps of the time
// from 0 to sde.end(), after `done` of them: x_t is N(mean x_0, variance) exactly, with
// m ← (1 + c Δ) m, v ← (1 + c Δ)² v + g² Δ from m = mean(0), v = std(0)².
struct EulerMoments {
  double mean = 1, variance = 0;
};
EulerMoments euler_moments(const Sde& sde, int steps, int done);

}  // namespace ito
