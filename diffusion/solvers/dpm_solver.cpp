#include "diffusion/solvers/dpm_solver.h"

#include <cmath>
#include <span>

#include "base/error.h"
#include "diffusion/choices.h"

namespace ito {
namespace {

// Integrals of e^{τ-h} against 1, τ/h and τ²/(2 h²) times their signs; where the last step ends
// without noise h is infinite, and only the first is asked for.
DpmWeights data_ode(const Moment& s, const Moment& t) {
  const double h = t.lambda - s.lambda, e = std::expm1(-h);
  return {.x = t.sigma / s.sigma,
          .d0 = -t.alpha * e,
          .d1 = t.alpha * (e / h + 1),
          .d2 = -t.alpha * ((e + h) / (h * h) - 0.5),
          .z = 0};
}

DpmWeights noise_ode(const Moment& s, const Moment& t) {
  const double h = t.lambda - s.lambda, e = std::expm1(h);
  return {.x = t.alpha / s.alpha,
          .d0 = -t.sigma * e,
          .d1 = -t.sigma * (e / h - 1),
          .d2 = -t.sigma * ((e - h) / (h * h) - 0.5),
          .z = 0};
}

// d2 as diffusers has it. The integral of the Taylor series has -1/2 where +1/2 stands, which is
// what vanishes with h (and k-diffusion's number).
DpmWeights data_sde(const Moment& s, const Moment& t) {
  const double h = t.lambda - s.lambda, e = std::expm1(-2 * h);
  return {.x = t.sigma / s.sigma * std::exp(-h),
          .d0 = -t.alpha * e,
          .d1 = t.alpha * (e / (2 * h) + 1),
          .d2 = -t.alpha * ((e + 2 * h) / (4 * h * h) + 0.5),
          .z = t.sigma * std::sqrt(-e)};
}

DpmWeights noise_sde(const Moment& s, const Moment& t) {
  const double h = t.lambda - s.lambda, e = std::expm1(h);
  return {.x = t.alpha / s.alpha,
          .d0 = -2 * t.sigma * e,
          .d1 = -2 * t.sigma * (e / h - 1),
          .d2 = 0,
          .z = t.sigma * std::sqrt(std::expm1(2 * h))};
}

constexpr DpmAlgorithm kAlgorithms[] = {
    {{"dpmsolver++", "the ODE in terms of x_0", "Lu et al. 2022b, algorithms 1 and 2", "deis"},
     true,
     false,
     3,
     3,
     data_ode},
    {{"dpmsolver", "the ODE in terms of the noise", "Lu et al. 2022, algorithms 1 and 2", ""},
     false,
     false,
     3,
     3,
     noise_ode},
    {{"sde-dpmsolver++", "the SDE in terms of x_0", "Lu et al. 2022b, section 5", ""},
     true,
     true,
     3,
     3,
     data_sde},
    {{"sde-dpmsolver", "the SDE in terms of the noise", "Lu et al. 2022b, section 5", ""},
     false,
     true,
     0,
     2,
     noise_sde},
};

// What other schedulers' files say under solver_type is read as midpoint.
struct SecondOrder {
  Name name;
  bool heun;
};
constexpr SecondOrder kSecondOrders[] = {
    {{"midpoint", "the derivative's weight to lowest order", "Lu et al. 2022b", "logrho bh1 bh2"},
     false},
    {{"heun", "the derivative's exact weight", "Lu et al. 2022b", ""}, true},
};

Affine second_order(const DpmChoice& choice, const LogSnrRun& run, int i) {
  const Moment &t = run.at(i + 1), &s = run.at(i), &s1 = run.at(i - 1);
  const double r0 = (s.lambda - s1.lambda) / (t.lambda - s.lambda);
  const DpmWeights w = choice.weights(s, t);
  const Affine m = choice.algorithm->output(), m1 = affine::state(0);
  const Affine D1 = (m - m1) / r0;
  return w.x * affine::kX + w.d0 * m + choice.second(w) * D1 + w.z * affine::kNoise;
}

Affine third_order(const DpmChoice& choice, const LogSnrRun& run, int i) {
  const Moment &t = run.at(i + 1), &s = run.at(i), &s1 = run.at(i - 1), &s2 = run.at(i - 2);
  const double h = t.lambda - s.lambda;
  const double r0 = (s.lambda - s1.lambda) / h, r1 = (s1.lambda - s2.lambda) / h;
  const DpmWeights w = choice.weights(s, t);
  const Affine m = choice.algorithm->output(), m1 = affine::state(0), m2 = affine::state(1);
  const Affine D10 = (m - m1) / r0, D11 = (m1 - m2) / r1;
  const Affine D1 = D10 + r0 / (r0 + r1) * (D10 - D11);
  const Affine D2 = (D10 - D11) / (r0 + r1);
  return w.x * affine::kX + w.d0 * m + w.d1 * D1 + w.d2 * D2 + w.z * affine::kNoise;
}

Affine first_order(const DpmChoice& choice, const LogSnrRun& run, int i) {
  const DpmWeights w = choice.weights(run.at(i), run.at(i + 1));
  return w.x * affine::kX + w.d0 * choice.algorithm->output() + w.z * affine::kNoise;
}

}  // namespace

std::vector<Name> dpm_algorithm_choices() { return names_of(kAlgorithms); }

std::vector<Name> dpm_step_choices() { return names_of(kSecondOrders); }

Affine multistep(const DpmChoice& choice, const LogSnrRun& run, int i, int order) {
  if (order == 2) return second_order(choice, run, i);
  if (order == 3) return third_order(choice, run, i);
  return first_order(choice, run, i);
}

DpmWeights DpmChoice::weights(const Moment& s, const Moment& t) const {
  if (s.lambda == t.lambda) return {.x = 1, .d0 = 0, .d1 = 0, .d2 = 0, .z = 0};
  return algorithm->weights(s, t);
}

Result<DpmChoice> dpm_choice(const SchedulerConfig& config, const LogSnrRun& run) {
  DpmChoice choice;
  ITO_ASSIGN(choice.algorithm,
             row_called(std::span<const DpmAlgorithm>(kAlgorithms), config.algorithm_type,
                        "scheduler config: algorithm_type"));
  ITO_ASSIGN(const SecondOrder* second,
             row_called(std::span<const SecondOrder>(kSecondOrders), config.solver_type,
                        "scheduler config: solver_type"));
  choice.heun = second->heun;
  if (choice.algorithm->data) return choice;
  if (run.ends_at_zero())
    return invalid_argument(
        "scheduler config: algorithm_type is \"{}\", whose last step cannot end without noise; "
        "expected final_sigmas_type sigma_min",
        config.algorithm_type);
  if (is_of_straight_path(run.prediction))
    return invalid_argument(
        "scheduler config: algorithm_type is \"{}\", but prediction_type flow_prediction is for "
        "dpmsolver++ and sde-dpmsolver++",
        config.algorithm_type);
  return choice;
}

Result<Solver> dpm_solver(const std::string& name, const SchedulerConfig& config,
                          const DpmChoice& choice) {
  ITO_ASSIGN(Solver solver, log_snr_solver(name, config));
  solver.epsilon_from_x0 = !choice.algorithm->data && config.thresholding;
  return solver;
}

}  // namespace ito
