#include "diffusion/sde_discrete.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace ito {

std::vector<double> discrete_sigmas(const Sde& sde, int steps) {
  CHECK(steps >= 2, "a table of noise levels needs two of them");
  std::vector<double> sigmas;
  for (int i = 0; i < steps; ++i)
    sigmas.push_back(sde.sigma_min *
                     std::pow(sde.sigma_max / sde.sigma_min, static_cast<double>(i) / (steps - 1)));
  return sigmas;
}

std::vector<double> discrete_betas(const Sde& sde, int steps) {
  CHECK(steps >= 2, "a table of noise levels needs two of them");
  std::vector<double> betas;
  for (int i = 0; i < steps; ++i)
    betas.push_back((sde.beta_min + (sde.beta_max - sde.beta_min) * i / (steps - 1)) / steps);
  return betas;
}

int discrete_index(double t, int steps) {
  return std::clamp(static_cast<int>(std::floor(t * (steps - 1))), 0, steps - 1);
}

DiscreteStep discretize(const Sde& sde, double t, int steps) {
  const auto i = static_cast<size_t>(discrete_index(t, steps));
  switch (sde.kind) {
    case Sde::Kind::kVe: {
      const std::vector<double> sigmas = discrete_sigmas(sde, steps);
      const double below = i == 0 ? 0 : sigmas[i - 1];
      return {.on_x = 0, .noise = std::sqrt(sigmas[i] * sigmas[i] - below * below)};
    }
    case Sde::Kind::kVp: {
      const double beta = discrete_betas(sde, steps)[i];
      return {.on_x = std::sqrt(1 - beta) - 1, .noise = std::sqrt(beta)};
    }
    case Sde::Kind::kSubVp:
      return {.on_x = sde.drift(t) / steps, .noise = sde.diffusion(t) / std::sqrt(steps)};
    case Sde::Kind::kEdm:
      break;
  }
  CHECK(false, "discretize: not for EDM");
}

}  // namespace ito
