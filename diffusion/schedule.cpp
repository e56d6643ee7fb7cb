#include "diffusion/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <type_traits>

#include "base/error.h"
#include "base/registry.h"
#include "diffusion/choices.h"

namespace ito {
namespace {

// Everything below is written once for Real = float (diffusers' tensors) and Real = double.

// Evenly spaced values, counted from the nearer end with fused multiply-adds, as torch.linspace
// does.
template <typename Real>
std::vector<Real> linspace(double start, double end, int n) {
  const Real first = static_cast<Real>(start);
  const Real last = static_cast<Real>(end);
  const Real step = n > 1 ? (last - first) / static_cast<Real>(n - 1) : Real{0};
  std::vector<Real> values;
  for (int i = 0; i < n; ++i) {
    values.push_back(i < n / 2 || n == 1 ? std::fma(step, static_cast<Real>(i), first)
                                         : std::fma(-step, static_cast<Real>(n - 1 - i), last));
  }
  return values;
}

// β_i = min(1 - ᾱ((i+1)/T) / ᾱ(i/T), kMaxBeta).
template <typename Real, typename AlphaBar>
std::vector<Real> betas_for_alpha_bar(int n, AlphaBar alpha_bar) {
  std::vector<Real> betas;
  for (int i = 0; i < n; ++i) {
    const double u0 = static_cast<double>(i) / n;
    const double u1 = static_cast<double>(i + 1) / n;
    betas.push_back(static_cast<Real>(std::min(1 - alpha_bar(u1) / alpha_bar(u0), kMaxBeta)));
  }
  return betas;
}

double cosine_alpha_bar(double u) {
  const double c = std::cos((u + 0.008) / 1.008 * std::numbers::pi / 2);
  return c * c;
}

double laplace_alpha_bar(double u) {
  const double lambda =
      -0.5 * std::copysign(1.0, 0.5 - u) * std::log(1 - 2 * std::fabs(0.5 - u) + 1e-6);
  const double snr = std::exp(lambda);
  return std::sqrt(snr / (1 + snr));
}

// torch.cumprod multiplies float tensors in double and rounds each result.
template <typename Real>
std::vector<Real> cumulative_alphas(const std::vector<Real>& betas) {
  std::vector<Real> products;
  double product = 1;
  for (Real beta : betas) {
    product *= static_cast<double>(Real{1} - beta);
    products.push_back(static_cast<Real>(product));
  }
  return products;
}

template <typename Real>
std::vector<Real> rescale(const std::vector<Real>& betas) {
  std::vector<Real> root = cumulative_alphas(betas);
  for (Real& r : root) r = std::sqrt(r);
  const Real first = root.front();
  const Real last = root.back();
  const Real scale = first / (first - last);
  for (Real& r : root) r = (r - last) * scale;
  std::vector<Real> result;
  for (size_t i = 0; i < root.size(); ++i) {
    const Real alpha_bar = root[i] * root[i];
    const Real alpha = i == 0 ? alpha_bar : alpha_bar / (root[i - 1] * root[i - 1]);
    result.push_back(Real{1} - alpha);
  }
  return result;
}

template <typename Real>
using Betas = std::vector<Real>(double start, double end, int n);

template <typename Real>
std::vector<Real> linear(double start, double end, int n) {
  return linspace<Real>(start, end, n);
}
template <typename Real>
std::vector<Real> scaled_linear(double start, double end, int n) {
  std::vector<Real> betas = linspace<Real>(std::sqrt(start), std::sqrt(end), n);
  for (Real& beta : betas) beta *= beta;
  return betas;
}
template <typename Real>
std::vector<Real> cosine(double, double, int n) {
  return betas_for_alpha_bar<Real>(n, cosine_alpha_bar);
}
template <typename Real>
std::vector<Real> sigmoid(double start, double end, int n) {
  std::vector<Real> betas = linspace<Real>(-6, 6, n);
  for (Real& beta : betas)
    beta = Real{1} / (Real{1} + std::exp(-beta)) * static_cast<Real>(end - start) +
           static_cast<Real>(start);
  return betas;
}
template <typename Real>
std::vector<Real> laplace(double, double, int n) {
  return betas_for_alpha_bar<Real>(n, laplace_alpha_bar);
}

struct BetaRow {
  Name name;
  Betas<float>* in_float;
  Betas<double>* in_double;
  bool cosine = false;

  template <typename Real>
  std::vector<Real> betas(double start, double end, int n) const {
    if constexpr (std::is_same_v<Real, float>)
      return in_float(start, end, n);
    else
      return in_double(start, end, n);
  }
};
constexpr BetaRow kBetas[] = {
    {{"linear", "beta evenly", "Ho et al. 2020", ""}, linear<float>, linear<double>},
    {{"scaled_linear", "the root of beta evenly", "Rombach et al. 2022", ""},
     scaled_linear<float>,
     scaled_linear<double>},
    {{"squaredcos_cap_v2", "cosine", "Nichol & Dhariwal 2021, eq. 17", ""},
     cosine<float>,
     cosine<double>,
     true},
    {{"sigmoid", "a logistic curve", "Xu et al. 2022", ""}, sigmoid<float>, sigmoid<double>},
    {{"laplace", "log-SNR with a Laplace distribution", "Hang et al. 2024", ""},
     laplace<float>,
     laplace<double>},
};

template <typename Real>
Result<std::vector<Real>> make_betas(const SchedulerConfig& config) {
  const int n = config.num_train_timesteps;
  if (config.trained_betas) {
    if (config.trained_betas->size() != static_cast<size_t>(n))
      return invalid_argument(
          "scheduler config: trained_betas has {} values, but num_train_timesteps is {}",
          config.trained_betas->size(), n);
    return std::vector<Real>(config.trained_betas->begin(), config.trained_betas->end());
  }
  ITO_ASSIGN(const BetaRow* row, row_called(std::span<const BetaRow>(kBetas), config.beta_schedule,
                                            "scheduler config: beta_schedule"));
  return row->betas<Real>(config.beta_start, config.beta_end, n);
}

template <typename Real>
Result<NoiseSchedule> make(const SchedulerConfig& config, Arithmetic arithmetic) {
  if (config.num_train_timesteps < 1)
    return invalid_argument("scheduler config: num_train_timesteps is {}, expected at least 1",
                            config.num_train_timesteps);
  ITO_ASSIGN(std::vector<Real> betas, make_betas<Real>(config));
  for (size_t t = 0; t < betas.size(); ++t) {
    if (!(betas[t] > 0 && betas[t] < 1))
      return invalid_argument("scheduler config: beta at timestep {} is {}, expected within (0, 1)",
                              t, betas[t]);
  }
  if (config.rescale_betas_zero_snr) {
    if (betas.size() < 2)
      return invalid_argument(
          "scheduler config: rescale_betas_zero_snr needs num_train_timesteps of at least 2");
    betas = rescale(betas);
  }
  const std::vector<Real> products = cumulative_alphas(betas);
  NoiseSchedule schedule;
  schedule.arithmetic = arithmetic;
  schedule.betas.assign(betas.begin(), betas.end());
  schedule.alphas_cumprod.assign(products.begin(), products.end());
  return schedule;
}

}  // namespace

std::vector<Name> beta_schedule_choices() { return names_of(kBetas); }

Result<NoiseSchedule> make_schedule(const SchedulerConfig& config, Arithmetic arithmetic) {
  return arithmetic == Arithmetic::kDouble ? make<double>(config, arithmetic)
                                           : make<float>(config, arithmetic);
}

bool has_cosine_betas(const SchedulerConfig& config) {
  const BetaRow* row = find_row(std::span<const BetaRow>(kBetas), config.beta_schedule);
  return row != nullptr && row->cosine;
}

std::vector<double> rescale_zero_terminal_snr(const std::vector<double>& betas,
                                              Arithmetic arithmetic) {
  if (arithmetic == Arithmetic::kDouble) return rescale(betas);
  const std::vector<float> result = rescale(std::vector<float>(betas.begin(), betas.end()));
  return {result.begin(), result.end()};
}

}  // namespace ito
