// UniPC, a predictor and a corrector of orders 1 to 3 that share their evaluations (Zhao et al.
// 2023), in terms of x_0 or, without config.predict_x0, of ε. A step from s to t uses the converted
// outputs m at s and m_k at earlier levels s_k, r_k = (λ_{s_k} - λ_s)/(λ_t - λ_s):
//   x_t = linear(x_s, m) + c B(h) Σ_k ρ_k (m_k - m)/r_k                      (eq. 8, UniP)
// and the corrector, which knows the output m_t at the x_t so predicted, one more term:
//   x_t = linear(x_s, m) + c B(h) (Σ_k ρ_k (m_k - m)/r_k + ρ (m_t - m))      (eq. 3, UniC)
// linear is the exact solution for constant m (DDIM's step), B(h) = h ("bh1") or e^h - 1 ("bh2") of
// h = ±(λ_t - λ_s), c = ∓α_t or σ_t, and ρ solves R ρ = b with R_{nk} = r_k^{n-1} and
// b_n = n! φ_{n+1}(h) h/B(h), so that terms up to order n match the Taylor series (theorem 3.1).
//
// A row first corrects the x that was evaluated and then predicts: one affine map, as the corrector
// moves x but not the output, which is not evaluated again.
//
// Numbers follow diffusers: a predictor of order 2 and a corrector of order 1 take ρ = 1/2; orders
// are lower while there is no history and, with lower_order_final, by one a step up to the end (in
// runs of any length); disable_corrector lists entries of the run whose step is not corrected. An
// end without noise is a step of order 1, exact also where diffusers gives no number (bh1, ε).
// Thresholding is of x_0 only. Karras levels are told as the nearest whole timestep, others as that
// below.
// Errors: log_snr_run's; unknown solver_type; flow_prediction without predict_x0; an end without
// noise at order 2 or 3.
#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/registry.h"
#include "diffusion/choices.h"
#include "diffusion/solvers/log_snr.h"

namespace ito {
namespace {

struct UniPcHistory {
  enum State : size_t { kBase, kM1 };  // x_s as corrected; earlier outputs, the newest first
};

struct StepSize {
  Name name;
  double (*of)(double h);  // B(h)
};
constexpr StepSize kStepSizes[] = {
    {{"bh1", "B(h) = h", "Zhao et al. 2023, section 3", ""}, [](double h) { return h; }},
    {{"bh2", "B(h) = e^h - 1", "Zhao et al. 2023, section 3", "midpoint heun logrho"},
     [](double h) { return std::expm1(h); }},
};

// Solves the n equations a x = b in place by elimination with pivots; a has rows of n. n <= 3.
std::vector<double> solve(std::vector<std::vector<double>> a, std::vector<double> b) {
  const size_t n = b.size();
  for (size_t k = 0; k < n; ++k) {
    size_t pivot = k;
    for (size_t i = k + 1; i < n; ++i)
      if (std::fabs(a[i][k]) > std::fabs(a[pivot][k])) pivot = i;
    std::swap(a[k], a[pivot]);
    std::swap(b[k], b[pivot]);
    for (size_t i = k + 1; i < n; ++i) {
      const double factor = a[i][k] / a[k][k];
      for (size_t j = k; j < n; ++j) a[i][j] -= factor * a[k][j];
      b[i] -= factor * b[k];
    }
  }
  for (size_t k = n; k-- > 0;) {
    for (size_t j = k + 1; j < n; ++j) b[k] -= a[k][j] * b[j];
    b[k] /= a[k][k];
  }
  return b;
}

struct UniPc {
  const LogSnrRun& run;
  const StepSize& size;
  bool data;  // in terms of x_0

  Affine output() const { return data ? affine::kX0 : affine::kEpsilon; }

  // The exact solution from entry `from` to the next for constant m.
  Affine linear(int from, const Affine& x, const Affine& m) const {
    const Moment &s = run.at(from), &t = run.at(from + 1);
    if (data) return t.sigma / s.sigma * x + (t.alpha - s.alpha * t.sigma / s.sigma) * m;
    return t.alpha / s.alpha * x + (t.sigma - s.sigma * t.alpha / s.alpha) * m;
  }

  // R ρ = b over the ratios r.
  std::vector<double> weights(const std::vector<double>& r, double h) const {
    std::vector<std::vector<double>> R;
    std::vector<double> b;
    double phi = std::expm1(h) / h - 1;  // h φ_2(h), then h^n φ_{n+1}(h) / h^{n-1}
    double factorial = 1;
    for (size_t n = 1; n <= r.size(); ++n) {
      R.emplace_back();
      for (double ratio : r) R.back().push_back(std::pow(ratio, static_cast<double>(n - 1)));
      b.push_back(phi * factorial / size.of(h));
      factorial *= static_cast<double>(n + 1);
      phi = phi / h - 1 / factorial;
    }
    return solve(std::move(R), std::move(b));
  }

  // x at entry from + 1 from x at `from`, where the output was m[0]; m[k] is that of entry
  // from - k. `order` of them are used. With `end`, the output at from + 1, as the corrector does.
  Affine step(int from, int order, const Affine& x, const std::vector<Affine>& m,
              const Affine* end) const {
    const Affine exact = linear(from, x, m[0]);
    const Moment &s = run.at(from), &t = run.at(from + 1);
    if (t.lambda == s.lambda) return x;
    if (order == 1 && end == nullptr) return exact;
    const double step = t.lambda - s.lambda, h = data ? -step : step;
    std::vector<double> r;
    std::vector<Affine> differences;
    for (int k = 1; k < order; ++k) {
      r.push_back((run.at(from - k).lambda - s.lambda) / step);
      differences.push_back((m[static_cast<size_t>(k)] - m[0]) / r.back());
    }
    if (end != nullptr) {
      r.push_back(1);
      differences.push_back(*end - m[0]);
    }
    const std::vector<double> rho = r.size() == 1 ? std::vector<double>{0.5} : weights(r, h);
    Affine residual;
    for (size_t k = 0; k < rho.size(); ++k) residual += rho[k] * differences[k];
    return exact - (data ? t.alpha : t.sigma) * size.of(h) * residual;
  }
};

}  // namespace

std::vector<Name> unipc_step_choices() { return names_of(kStepSizes); }

Result<Solver> unipc_solver(const SchedulerConfig& config, const SolverOptions& options) {
  const SigmaRules rules{.grid = SigmaRules::Grid::kWhole,
                         .final_sigma = SigmaRules::Final::kConfigured,
                         .flow = SigmaRules::Flow::kFromOne,
                         .repeat_least = true,
                         .round_karras = true,
                         .configured_range = true};
  ITO_ASSIGN(const LogSnrRun run, log_snr_run(config, options, rules));
  ITO_ASSIGN(const StepSize* size, row_called(std::span<const StepSize>(kStepSizes),
                                              config.solver_type, "scheduler config: solver_type"));
  if (is_of_straight_path(run.prediction) && !config.predict_x0)
    return invalid_argument(
        "scheduler config: prediction_type is \"flow_prediction\", which UniPC takes in terms of "
        "x_0 only; expected predict_x0 true");
  if (run.ends_at_zero() && !config.lower_order_final && config.solver_order > 1)
    return invalid_argument(
        "scheduler config: UniPC's last step would end without noise at order {}; expected "
        "lower_order_final true or final_sigmas_type sigma_min",
        config.solver_order);

  ITO_ASSIGN(Solver solver, log_snr_solver("unipc", config));
  if (!config.predict_x0) solver.limit = X0Limit{};
  using enum UniPcHistory::State;
  const int outputs = config.solver_order;  // the corrector looks back further than the predictor
  solver.states.push_back("base");
  add_history(solver, outputs);
  const UniPc unipc{.run = run, .size = *size, .data = config.predict_x0};
  const Affine newest = unipc.output();
  std::vector<Affine> earlier;  // outputs before the newest
  for (int k = 0; k < outputs; ++k) earlier.push_back(affine::state(kM1 + static_cast<size_t>(k)));
  std::vector<Affine> all = {newest};
  all.insert(all.end(), earlier.begin(), earlier.end());

  int order = 0;  // of the step that led to entry i
  for (int i = options.first_step; i < run.steps(); ++i) {
    const std::vector<int>& disabled = config.disable_corrector;
    const bool corrects = i > options.first_step &&
                          std::find(disabled.begin(), disabled.end(), i - 1) == disabled.end();
    Affine x = affine::kX;
    if (corrects) x = unipc.step(i - 1, order, affine::state(kBase), earlier, &newest);
    order = std::min(config.solver_order, i - options.first_step + 1);
    if (config.lower_order_final) order = std::min(order, run.steps() - i);
    SolverRow row = run.row(i, solver);
    row.x = unipc.step(i, order, x, all, nullptr);
    row.states[kBase] = x;
    push_history(row, newest, kM1, static_cast<size_t>(outputs));
    solver.rows.push_back(row);
  }
  return solver;
}

}  // namespace ito
