// What one run of each sampler does to an exact law (exact_law.h), written down from the papers'
// steps. Of a predictor's step the numbers are those of its chain's table.
#pragma once

#include "diffusion/annealed_langevin.h"
#include "diffusion/edm.h"
#include "diffusion/edm_sampler.h"
#include "diffusion/predictor_corrector.h"
#include "diffusion/probability_flow.h"
#include "tests/diffusion/exact_law.h"

namespace ito::test {

// Song et al. 2021, algorithms 1 to 5, with norms over a batch so large that they are their
// expectations: E|z| = √(π/2) in the plane.
inline void follow_predictor_corrector(PlaneLaw& law, const Method& chain, const Sde& sde,
                                       Predictor predictor, Corrector corrector) {
  const std::vector<double> time = chain.column("time"), on_x = chain.column("on_x"),
                            on_score = chain.column("on_score"), noise = chain.column("noise"),
                            sizes = chain.column("corrector");
  for (size_t i = 0; i < time.size(); ++i) {
    const double a = sde.mean(time[i]), s = sde.std(time[i]);
    if (corrector != Corrector::kNone) {
      double size = sizes[i];
      if (corrector == Corrector::kLangevin)
        size *= std::numbers::pi / 2 / std::pow(law.mean_score_norm(a, s), 2);
      law.move([&](double x, const AxisScore& score) { return x + size * score(x, a, s); });
      law.add_noise(std::sqrt(2 * size));
    }
    if (predictor != Predictor::kNone) {
      law.move([&](double x, const AxisScore& score) {
        return on_x[i] * x + on_score[i] * score(x, a, s);
      });
      law.add_noise(noise[i]);
    }
  }
}

// Karras et al. 2022, algorithm 2; Euler without its lines 6 to 8.
inline void follow_edm(PlaneLaw& law, const Sde& sde, const EdmSamplerOptions& options) {
  const std::vector<double> times =
      edm_time_steps(sde.sigma_min, sde.sigma_max, options.rho, options.steps).value();
  const double gamma = std::min(options.s_churn / options.steps, std::numbers::sqrt2 - 1);
  for (size_t i = 0; i + 1 < times.size(); ++i) {
    const double raised = times[i] * (1 + gamma), next = times[i + 1], h = next - raised;
    law.add_noise(std::sqrt(raised * raised - times[i] * times[i]));
    law.move([&](double x, const AxisScore& score) {
      const double slope = -raised * score(x, 1, raised), euler = x + h * slope;
      if (!options.heun || next == 0) return euler;
      return x + h * (slope - next * score(euler, 1, next)) / 2;
    });
  }
}

// x + δ s + √(2δ) z, `steps` times.
inline void follow_langevin(PlaneLaw& law, double sigma, double delta, int steps) {
  for (int i = 0; i < steps; ++i) {
    law.move([&](double x, const AxisScore& score) { return x + delta * score(x, 1, sigma); });
    law.add_noise(std::sqrt(2 * delta));
  }
}

// Song & Ermon 2019, algorithm 1, where δ is α/2; 2020, algorithm 1, where it is α.
inline void follow_annealed_langevin(PlaneLaw& law, const std::vector<double>& sigmas,
                                     const AnnealedLangevinOptions& options) {
  const double last = sigmas.back();
  for (const double sigma : sigmas) {
    const double alpha = options.epsilon * sigma * sigma / (last * last);
    follow_langevin(law, sigma, options.form == AnnealedForm::kNcsn ? alpha / 2 : alpha,
                    options.steps_per_level);
  }
}

// The posterior mean x + σ² s.
inline void follow_denoising(PlaneLaw& law, double sigma) {
  law.move(
      [&](double x, const AxisScore& score) { return x + sigma * sigma * score(x, 1, sigma); });
}

// Song et al. 2021 (Denoising diffusion implicit models), eq. 12, from ᾱ_i to ᾱ_{i+1}.
inline void follow_ddim(PlaneLaw& law, const std::vector<double>& alpha_bars, double eta) {
  for (size_t i = 0; i + 1 < alpha_bars.size(); ++i) {
    const double now = alpha_bars[i], next = alpha_bars[i + 1];
    const double a = std::sqrt(now), s = std::sqrt(1 - now);
    const double sigma = eta * std::sqrt((1 - next) / (1 - now) * (1 - now / next));
    law.move([&](double x, const AxisScore& score) {
      const double epsilon = -s * score(x, a, s), x0 = (x - s * epsilon) / a;
      return std::sqrt(next) * x0 + std::sqrt(1 - next - sigma * sigma) * epsilon;
    });
    law.add_noise(sigma);
  }
}

// Ho et al. 2020, algorithm 2 and eq. 7, with variance β̃ or β, and none in the last step.
inline void follow_ddpm(PlaneLaw& law, const std::vector<double>& alpha_bars, bool large) {
  for (size_t i = 0; i + 1 < alpha_bars.size(); ++i) {
    const double now = alpha_bars[i], next = alpha_bars[i + 1], alpha = now / next;
    const double a = std::sqrt(now), s = std::sqrt(1 - now);
    law.move([&](double x, const AxisScore& score) {
      const double x0 = (x + s * s * score(x, a, s)) / a;
      return (std::sqrt(next) * (1 - alpha) * x0 + std::sqrt(alpha) * (1 - next) * x) / (1 - now);
    });
    const double beta = 1 - alpha, small = (1 - next) / (1 - now) * beta;
    if (next < 1) law.add_noise(std::sqrt(large ? beta : small));
  }
}

}  // namespace ito::test
