// Models whose networks are exact for a Gaussian mixture, on every process: what a perfectly
// trained network would say, for tests of whatever samples from a DiffusionModel. Not for classes,
// guidance or learned variances.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "base/error.h"
#include "diffusion/ddgan.h"
#include "diffusion/diffusion_model.h"
#include "diffusion/edm.h"
#include "diffusion/gaussian_mixture.h"
#include "diffusion/samplers.h"
#include "diffusion/sampling.h"
#include "diffusion/sampling_program.h"
#include "diffusion/schedule.h"
#include "graph/builder.h"
#include "io/scheduler_config.h"

namespace ito::test {

inline Tensor ones(Tensor t) { return full(t.graph(), t.shape(), 1); }
// A number per image as a factor of points [n, D].
inline Tensor column(Tensor t) { return per_image(t, 2); }

// σ = s/a of a chain at timesteps t f32 [n]; between whole ones ln σ is linear, as samplers in σ
// take it to be.
inline Tensor chain_sigma(const NoiseSchedule& schedule, Tensor t) {
  std::vector<double> table;
  for (int i = 0; i < schedule.num_timesteps(); ++i) {
    const double alpha_bar = schedule.alpha_bar(i);
    table.push_back(0.5 * std::log((1 - alpha_bar) / alpha_bar));
  }
  const int64_t count = schedule.num_timesteps();
  const Tensor log_sigma = constant(t.graph(), {count}, std::move(table));
  const Tensor below = floor(clamp(t, 0, static_cast<double>(count - 2)));
  const Tensor index = cast(below, DType::kU32), share = t - below;
  const Tensor low = gather(log_sigma, index);
  const Tensor high = gather(log_sigma, index + scalar(t.graph(), 1, DType::kU32));
  return exp(low + share * (high - low));
}

// ε of the mixture under the chain of `config`.
inline Denoiser exact_chain(const GaussianMixture& mixture, const SchedulerConfig& config) {
  return
      [mixture, schedule = make_schedule(config, Arithmetic::kDouble).value()](Tensor x, Tensor t) {
        const Tensor sigma = chain_sigma(schedule, t), a = 1.0 / sqrt(square(sigma) + 1.0);
        return mixture_posterior(mixture, x, a, sigma * a).epsilon;
      };
}

// The process with the values that its scheduler classes have by default. Of kConsistency only the
// configuration: a mixture's consistency function is no closed form.
inline DiffusionModel exact_model(const GaussianMixture& mixture, ProcessKind process) {
  DiffusionModel model;
  model.config.process = process;
  model.config.clip_sample = false;
  switch (process) {
    case ProcessKind::kDiscrete:
      model.network = exact_chain(mixture, model.config);
      break;
    case ProcessKind::kVe:
      model.config.sigma_max = 20;
      model.input = NoiseInput::kSigma;
      model.network = [mixture](Tensor x, Tensor sigma) {
        return -(mixture_posterior(mixture, x, ones(sigma), sigma).epsilon / column(sigma));
      };
      break;
    case ProcessKind::kVp:
    case ProcessKind::kSubVp: {
      model.config.sampling_eps = 1e-3;
      const Sde sde = scheduler_sde(model.config).value();
      model.network = [mixture, sde, last = model.config.num_train_timesteps - 1](Tensor x,
                                                                                  Tensor t) {
        const Tensor time = t / static_cast<double>(last);
        return mixture_posterior(mixture, x, sde.mean(time), sde.std(time)).epsilon;
      };
      break;
    }
    case ProcessKind::kEdm:
      model.config.sigma_min = 0.002;
      model.config.sigma_max = 80;
      model.network = [mixture](Tensor scaled, Tensor c_noise) {
        const EdmPreconditioning p{.sigma_data = 0.5};
        const Tensor sigma = exp(c_noise * 4.0), x = scaled / column(p.c_in(sigma));
        return (mixture_posterior(mixture, x, ones(sigma), sigma).x0 -
                column(p.c_skip(sigma)) * x) /
               column(p.c_out(sigma));
      };
      break;
    case ProcessKind::kFlow:
      model.config.prediction_type = "flow_prediction";
      model.network = [mixture](Tensor x, Tensor t) {
        const Tensor s = t / 1000.0;
        const MixturePosterior best = mixture_posterior(mixture, x, 1.0 - s, s);
        return best.epsilon - best.x0;
      };
      break;
    case ProcessKind::kConsistency:
      model.config.sigma_min = 0.002;
      model.config.sigma_max = 80;
      model.config.num_train_timesteps = 40;
      model.config.clip_denoised = false;
      break;
  }
  return model;
}

// Independent normals N(mean, variance), one an axis: their consistency functions are closed forms.
struct AxisNormals {
  std::vector<double> means, variances;

  GaussianMixture mixture() const { return {{1.0}, {means}, {variances}}; }
};

// Where the probability flow through x [n, D], at a x_0 + s ε, has the law of the data plus noise
// of deviation `least`: (x - a μ)/deviation does not change along it.
inline Tensor exact_consistency(const AxisNormals& data, Tensor x, Tensor a, Tensor s,
                                double least) {
  const int64_t axes = static_cast<int64_t>(data.means.size());
  std::vector<double> ends;
  for (const double v : data.variances) ends.push_back(std::sqrt(v + least * least));
  const Tensor mean = constant(x.graph(), {1, axes}, data.means);
  const Tensor variance = constant(x.graph(), {1, axes}, data.variances);
  const Tensor deviation = sqrt(square(column(a)) * variance + square(column(s)));
  return mean + (x - column(a) * mean) * constant(x.graph(), {1, axes}, ends) / deviation;
}

// F with c_skip x + c_out F the consistency function (Song et al. 2023, appendix C).
inline DiffusionModel exact_consistency_model(const AxisNormals& data) {
  DiffusionModel model = exact_model(data.mixture(), ProcessKind::kConsistency);
  const double least = model.config.sigma_min, deviation = model.config.sigma_data;
  model.network = [=](Tensor scaled, Tensor t) {
    const Tensor sigma = exp(t / 250.0), norm = sqrt(square(sigma) + deviation * deviation);
    const Tensor x = scaled * column(norm);
    const Tensor skip = deviation * deviation / (square(sigma - least) + deviation * deviation);
    const Tensor out = (sigma - least) * deviation / norm;
    return (exact_consistency(data, x, ones(sigma), sigma, least) - column(skip) * x) / column(out);
  };
  return model;
}

// The ε of a latent consistency model: c_skip x + c_out x̂_0 is the consistency function of a chain
// (Luo et al. 2023, eq. 9).
inline DiffusionModel exact_latent_consistency_model(const AxisNormals& data) {
  DiffusionModel model = exact_model(data.mixture(), ProcessKind::kDiscrete);
  model.network = [data, scaling = model.config.timestep_scaling,
                   schedule = make_schedule(model.config, Arithmetic::kDouble).value()](Tensor x,
                                                                                        Tensor t) {
    const Tensor sigma = chain_sigma(schedule, t), a = 1.0 / sqrt(square(sigma) + 1.0);
    const Tensor squared = square(t * scaling), norm = squared + 0.25;
    const Tensor skip = 0.25 / norm, out = sqrt(squared / norm);
    const Tensor x0 =
        (exact_consistency(data, x, a, sigma * a, 0) - column(skip) * x) / column(out);
    return (x - column(a) * x0) / column(sigma * a);
  };
  return model;
}

// The generator of a denoising diffusion GAN that draws x_0 from its exact posterior given x_t, by
// a latent number an axis.
inline DiffusionModel exact_generator(const AxisNormals& data, int steps) {
  DiffusionModel model;
  model.config = ddgan_scheduler(steps).value();
  model.generator = true;
  model.network = [data, mixture = data.mixture(),
                   schedule = make_schedule(model.config, Arithmetic::kDouble).value()](Tensor x,
                                                                                        Tensor t) {
    Graph& graph = x.graph();
    const int64_t n = x.dim(0), axes = x.dim(1);
    const Tensor z = ddgan_latent(n, axes, input(graph, sampling_ports::kKey, {2}),
                                  input(graph, sampling_ports::kImage, {n}),
                                  input(graph, sampling_ports::kStep, {}));
    const Tensor sigma = chain_sigma(schedule, t);
    const Tensor variance = constant(graph, {1, axes}, data.variances);
    // 1/(1/v + 1/σ²).
    const Tensor spread = sqrt(variance / (1.0 + variance / square(column(sigma))));
    const Tensor a = 1.0 / sqrt(square(sigma) + 1.0);
    return mixture_posterior(mixture, x, a, sigma * a).x0 + spread * z;
  };
  return model;
}

// As sessions do it: the model seen on the sampler's process, configured as its class reads it.
inline Result<Sampling> sampled_by(DiffusionModel model, const SamplerOptions& options) {
  const SolverEntry* solver = find_row(solver_rows(), options.sampler);
  if (solver != nullptr) {
    ITO_ASSIGN(model, as_process(model, solver->process));
  }
  ITO_ASSIGN(model.config, as_sampler(model.config, configured_as(options.sampler)));
  return make_sampling(model, options);
}

}  // namespace ito::test
