#include "diffusion/edm.h"

#include <cmath>
#include <utility>

#include "base/error.h"
#include "graph/builder.h"

namespace ito {
namespace {

double squared(double x) { return x * x; }

}  // namespace

double EdmPreconditioning::c_skip(double sigma) const {
  return squared(sigma_data) / (squared(sigma) + squared(sigma_data));
}
double EdmPreconditioning::c_out(double sigma) const {
  return sigma * sigma_data / std::sqrt(squared(sigma) + squared(sigma_data));
}
double EdmPreconditioning::c_in(double sigma) const {
  return 1 / std::sqrt(squared(sigma) + squared(sigma_data));
}
double EdmPreconditioning::c_noise(double sigma) const { return std::log(sigma) / 4; }
double EdmPreconditioning::weight(double sigma) const {
  return (squared(sigma) + squared(sigma_data)) / squared(sigma * sigma_data);
}

Tensor EdmPreconditioning::c_skip(Tensor sigma) const {
  return squared(sigma_data) / (square(sigma) + squared(sigma_data));
}
Tensor EdmPreconditioning::c_out(Tensor sigma) const { return sigma * sigma_data * c_in(sigma); }
Tensor EdmPreconditioning::c_in(Tensor sigma) const {
  return rsqrt(square(sigma) + squared(sigma_data));
}
Tensor EdmPreconditioning::c_noise(Tensor sigma) const { return log(sigma) * 0.25; }
Tensor EdmPreconditioning::weight(Tensor sigma) const {
  return (square(sigma) + squared(sigma_data)) / square(sigma * sigma_data);
}

EdmDenoiser edm_denoiser(EdmNetwork network, EdmPreconditioning preconditioning) {
  return [network = std::move(network), preconditioning](Tensor x, Tensor sigma) {
    const auto wide = [&](Tensor values) { return per_image(values, x.rank()); };
    const Tensor f = network(wide(preconditioning.c_in(sigma)) * x, preconditioning.c_noise(sigma));
    return wide(preconditioning.c_skip(sigma)) * x + wide(preconditioning.c_out(sigma)) * f;
  };
}

ScoreFunction score_of_denoiser(EdmDenoiser denoiser) {
  return [denoiser = std::move(denoiser)](Tensor x, Tensor sigma) {
    return (denoiser(x, sigma) - x) / per_image(square(sigma), x.rank());
  };
}

Tensor edm_loss(const EdmDenoiser& denoiser, const EdmPreconditioning& preconditioning, Tensor y,
                Tensor noise, Tensor sigma) {
  const Tensor error = square(denoiser(y + noise, sigma) - y);
  const int64_t n = y.dim(0);
  const Tensor per = sum(reshape(error, {n, error.shape().numel() / n}), {1});
  return preconditioning.weight(sigma) * per;
}

Tensor edm_training_sigma(Tensor z, double p_mean, double p_std) { return exp(z * p_std + p_mean); }

Result<std::vector<double>> edm_time_steps(double sigma_min, double sigma_max, double rho,
                                           int steps) {
  if (steps < 2) return invalid_argument("{} steps, expected at least 2", steps);
  if (!(sigma_min > 0) || !(sigma_min < sigma_max) || !std::isfinite(sigma_max))
    return invalid_argument("sigma_min is {} and sigma_max {}, expected 0 < sigma_min < sigma_max",
                            sigma_min, sigma_max);
  if (!(rho > 0) || !std::isfinite(rho))
    return invalid_argument("rho is {}, expected a positive number", rho);
  const double first = std::pow(sigma_max, 1 / rho), last = std::pow(sigma_min, 1 / rho);
  std::vector<double> times;
  for (int i = 0; i < steps; ++i)
    times.push_back(std::pow(first + (last - first) * i / (steps - 1), rho));
  times.push_back(0);
  return times;
}

}  // namespace ito
