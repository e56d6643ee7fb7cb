#include "diffusion/sde_discrete.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/error.h"
#include "diffusion/edm.h"

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

Result<std::vector<Interval>> reverse_intervals(const Sde& sde, int steps, double end, double rho) {
  std::vector<Interval> all;
  if (sde.time_is_std()) {
    ITO_ASSIGN(const std::vector<double> times,
               edm_time_steps(end > 0 ? end : sde.sigma_min, sde.sigma_max, rho, steps));
    for (int i = 0; i < steps; ++i)
      all.push_back({times[static_cast<size_t>(i)], times[static_cast<size_t>(i) + 1]});
    return all;
  }
  const double first = sde.end(), last = end > 0 ? end : sde.start();
  for (int i = 0; i < steps; ++i) {
    const double t = first + (last - first) * i / (steps - 1);
    all.push_back({t, t - first / steps});
  }
  return all;
}

DiscreteStep forward_step(const Sde& sde, const Interval& interval, int steps) {
  if (!sde.time_is_std()) return discretize(sde, interval.t, steps);
  const double variance = interval.t * interval.t - interval.next * interval.next;
  return {.on_x = 0, .noise = std::sqrt(variance)};
}

ReverseStep reverse_chain_step(const Sde& sde, const Interval& interval, int steps) {
  if (!sde.keeps_images()) {
    const double beta =
        discrete_betas(sde, steps)[static_cast<size_t>(discrete_index(interval.t, steps))];
    const double root = std::sqrt(1 - beta);
    return {.on_x = 1 / root, .on_score = beta / root, .noise = std::sqrt(beta)};
  }
  double sigma = interval.t, below = interval.next;
  if (!sde.time_is_std()) {
    const std::vector<double> sigmas = discrete_sigmas(sde, steps);
    const auto i = static_cast<size_t>(discrete_index(interval.t, steps));
    sigma = sigmas[i];
    below = i == 0 ? 0 : sigmas[i - 1];
  }
  const double lost = sigma * sigma - below * below;
  return {.on_x = 1, .on_score = lost, .noise = below / sigma * std::sqrt(lost)};
}

Status check_ancestral(const Sde& sde) {
  if (sde.kind == Sde::Kind::kSubVp)
    return unsupported("ancestral sampling of subvp: it is no limit of a discrete chain");
  return {};
}

double chain_alpha(const Sde& sde, double t, int steps) {
  if (sde.keeps_images()) return 1;
  return 1 - discrete_betas(sde, steps)[static_cast<size_t>(discrete_index(t, steps))];
}

Status check_chain(const Sde& sde, int steps) {
  if (!sde.keeps_images() && !(sde.beta_max < steps))
    return invalid_argument("{} steps, expected more than beta_max, which is {}", steps,
                            sde.beta_max);
  return {};
}

}  // namespace ito
