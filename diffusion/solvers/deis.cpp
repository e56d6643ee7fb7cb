// DEIS with a linear multistep formula of orders 1 to 3 in log ρ, ρ = σ/α (Zhang & Chen 2023,
// section 3.3; "log-rho"). In ρ the ODE is d(x/α)/dρ = ε, so with ε interpolated by the polynomial
// in log ρ through its last values m at ρ_s, m₁, m₂,
//   x_t = α_t (x_s/α_s + Σ_k m_k ∫_{ρ_s}^{ρ_t} L_k(log ρ) dρ)                   (eq. 14)
// with L_k Lagrange's polynomials. Order 1 is DDIM's step.
//
// Numbers follow diffusers: ε is had by way of x_0, which may be thresholded; a run ends at the
// least level, never without noise, and converted levels visit it twice; the first steps have lower
// order, and with lower_order_final the last two as well where there are fewer than 15. Karras
// levels are told as the nearest whole timestep, others as that below.
// Errors: log_snr_run's; unknown algorithm_type and solver_type.
#include <cmath>

#include "base/error.h"
#include "base/registry.h"
#include "diffusion/choices.h"
#include "diffusion/solvers/log_snr.h"

namespace ito {
namespace {

// Files of other schedulers are read as the one kind that there is.
struct DeisChoice {
  Name name;
};
constexpr DeisChoice kDeisAlgorithms[] = {
    {{"deis", "exponential integrator in the noise", "Zhang & Chen 2023", "dpmsolver dpmsolver++"}},
};
constexpr DeisChoice kDeisSolvers[] = {
    {{"logrho", "polynomials in log(σ/α)", "Zhang & Chen 2023", "midpoint heun bh1 bh2"}},
};

double log_rho(const Moment& moment) { return -moment.lambda; }

// ∫ L(log ρ) dρ from s to t of the polynomial that is 1 at `one` and 0 at the others, of which
// there are up to 2.
double integral(const Moment& s, const Moment& t, double one, const std::vector<double>& zeros) {
  double scale = 1;
  for (double zero : zeros) scale *= one - zero;
  const auto primitive = [&](const Moment& at) {
    const double rho = at.sigma / at.alpha, l = log_rho(at);
    if (zeros.empty()) return rho;
    if (zeros.size() == 1) return rho * (l - 1 - zeros[0]);
    const double sum = zeros[0] + zeros[1], product = zeros[0] * zeros[1];
    return rho * (l * l - (2 + sum) * l + 2 + sum + product);
  };
  return (primitive(t) - primitive(s)) / scale;
}

// x at entry i + 1 by the outputs at entries i, i - 1, ..., i - order + 1.
Affine interpolated(const LogSnrRun& run, int i, int order) {
  const Moment &s = run.at(i), &t = run.at(i + 1);
  Affine x = affine::kX / s.alpha;
  for (int k = 0; k < order; ++k) {
    std::vector<double> zeros;
    for (int j = 0; j < order; ++j)
      if (j != k) zeros.push_back(log_rho(run.at(i - j)));
    const Affine m = k == 0 ? affine::kEpsilon : affine::state(static_cast<size_t>(k - 1));
    x += integral(s, t, log_rho(run.at(i - k)), zeros) * m;
  }
  return t.alpha * x;
}

}  // namespace

std::vector<Name> deis_algorithm_choices() { return names_of(kDeisAlgorithms); }

std::vector<Name> deis_step_choices() { return names_of(kDeisSolvers); }

Result<Solver> deis_solver(const SchedulerConfig& config, const SolverOptions& options) {
  ITO_TRY(row_called(std::span<const DeisChoice>(kDeisAlgorithms), config.algorithm_type,
                     "scheduler config: algorithm_type"));
  ITO_TRY(row_called(std::span<const DeisChoice>(kDeisSolvers), config.solver_type,
                     "scheduler config: solver_type"));
  const SigmaRules rules{.grid = SigmaRules::Grid::kWhole,
                         .final_sigma = SigmaRules::Final::kLeast,
                         .flow = SigmaRules::Flow::kBelowOne,
                         .repeat_least = true,
                         .round_karras = true};
  ITO_ASSIGN(const LogSnrRun run, log_snr_run(config, options, rules));

  ITO_ASSIGN(Solver solver, log_snr_solver("deis", config));
  // On the straight path a v-prediction's two forms do not agree, and x_0's is the one taken.
  solver.epsilon_from_x0 = config.thresholding || run.straight;
  add_history(solver, config.solver_order - 1);
  for (int i = options.first_step; i < run.steps(); ++i) {
    const int order = multistep_order(config, i, options.first_step, run.steps());
    SolverRow row = run.row(i, solver);
    row.x = interpolated(run, i, order);
    push_history(row, affine::kEpsilon, 0, solver.states.size());
    solver.rows.push_back(row);
  }
  return solver;
}

}  // namespace ito
