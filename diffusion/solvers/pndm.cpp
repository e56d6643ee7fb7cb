// PNDM: pseudo numerical methods on the manifold of noised images (Liu et al. 2022). Everything
// moves by the transfer of eq. 11, which is DDIM's step along a given noise ε from ᾱ to ᾱ':
//   x' = √(ᾱ'/ᾱ) x - (ᾱ' - ᾱ) ε / (ᾱ √(1-ᾱ') + √(ᾱ (1-ᾱ) ᾱ'))
// and the methods differ in what they put for ε:
//   PRK   Runge-Kutta for the first three steps: outputs at t, twice at the middle, at the end,
//         weighted 1/6, 1/3, 1/3, 1/6 (eq. 13)
//   PLMS  then Adams-Bashforth: (55 m - 59 m₁ + 37 m₂ - 9 m₃)/24 (eq. 12)
// With config.skip_prk_steps PLMS begins at once: an Euler step, which is taken again with the mean
// of the outputs at its ends, then the formulas of order 2 and 3 (as latent diffusion's code does).
//
// Numbers follow diffusers: a step spans ⌊T/steps⌋ timesteps and half of one ⌊⌊T/steps⌋/2⌋,
// whatever the spacing of the timesteps at which the network is asked; before timestep 0, ᾱ' is 1
// if config.set_alpha_to_one, else ᾱ_0. Histories are of raw outputs, so with v_prediction the
// combined output becomes ε at the base of the step. Nothing is clipped or thresholded.
// SolverOptions::first_step counts spaced timesteps; the method begins anew there.
// Errors: prediction sample; Runge-Kutta with fewer than 4 timesteps; what the spacing refuses.
#include <cmath>

#include "base/error.h"
#include "diffusion/solvers/discrete_step.h"

namespace ito {
namespace {

constexpr size_t kRungeKuttaSteps = 3;  // as many as the history that PLMS needs

class PndmRows {
 public:
  PndmRows(const SchedulerConfig& config, const SolverOptions& options,
           const NoiseSchedule& schedule, Prediction prediction)
      : schedule_(schedule),
        prediction_(prediction),
        span_(config.num_train_timesteps / options.steps),
        final_alpha_bar_(config.set_alpha_to_one ? 1.0 : schedule.alpha_bar(0)) {}

  // Over timesteps times[0], times[1], ...; the last step of Runge-Kutta ends at times[3].
  void runge_kutta(const std::vector<int>& times) {
    for (size_t i = 0; i < kRungeKuttaSteps; ++i) {
      const int t = times[i], end = times[i + 1], half = span_ / 2, middle = end + half;
      const Affine sum = affine::state(kSum);
      begin(t);
      row_.states = pushed();
      row_.states[kBase] = affine::kX;
      row_.states[kSum] = kOutput / 6;
      finish(transfer(affine::kX, kOutput, t, t - half));
      const Affine base = affine::state(kBase);
      begin(middle);
      row_.states[kSum] = sum + kOutput / 3;
      finish(transfer(base, kOutput, t, middle));
      begin(middle);
      row_.states[kSum] = sum + kOutput / 3;
      finish(transfer(base, kOutput, t, middle - half));
      begin(end);
      finish(transfer(base, sum + kOutput / 6, t, end));
    }
  }

  // The linear multistep start: times[0] twice, the second time from the other end.
  void euler_and_back(const std::vector<int>& times) {
    begin(times[0]);
    row_.states = pushed();
    row_.states[kBase] = affine::kX;
    finish(transfer(affine::kX, kOutput, times[0], times[0] - span_));
    if (times.size() < 2) return;
    begin(times[1]);
    const Affine mean = (kOutput + affine::state(kM1)) / 2;
    finish(transfer(affine::state(kBase), mean, times[1] + span_, times[1]));
  }

  // One Adams-Bashforth step with as much history as there is, at most 3.
  void adams_bashforth(int t, size_t history) {
    const Affine m = kOutput, m1 = affine::state(kM1), m2 = affine::state(kM2),
                 m3 = affine::state(kM3);
    Affine combined = (55 * m - 59 * m1 + 37 * m2 - 9 * m3) / 24;
    if (history == 1) combined = (3 * m - m1) / 2;
    if (history == 2) combined = (23 * m - 16 * m1 + 5 * m2) / 12;
    begin(t);
    row_.states = pushed();
    finish(transfer(affine::kX, combined, t, t - span_));
  }

  std::vector<SolverRow> take() { return std::move(rows_); }

 private:
  enum State : size_t { kBase, kSum, kM1, kM2, kM3 };  // m₁ is the newest of the earlier outputs

  // The row's "epsilon" is the raw output: transfer makes ε of what is combined of it.
  inline static const Affine kOutput = affine::kEpsilon;

  void begin(int t) {
    const NoiseLevel level = noise_level(schedule_, schedule_.alpha_bar(t));
    row_ = SolverRow{.t = double(t), .mean = level.a, .std = level.s};
    row_.x0 = x0_form(prediction_, level.a, level.s);
    row_.epsilon = {.on_x = 0, .on_output = 1, .scale = 1};
    for (size_t i : {kBase, kSum, kM1, kM2, kM3}) row_.states.push_back(affine::state(i));
  }

  void finish(const Affine& x) {
    row_.x = x;
    rows_.push_back(row_);
  }

  // The states after the newest output has entered the history. Kept sums end with their step.
  static std::vector<Affine> pushed() {
    return {Affine{}, Affine{}, kOutput, affine::state(kM1), affine::state(kM2)};
  }

  // Eq. 11 from timestep t to `previous`, along the noise that the output means at x and t.
  Affine transfer(const Affine& x, const Affine& output, int t, int previous) const {
    const double from = schedule_.alpha_bar(t);
    const double to = previous >= 0 ? schedule_.alpha_bar(previous) : final_alpha_bar_;
    const LinearForm form = epsilon_form(prediction_, std::sqrt(from), std::sqrt(1 - from));
    const Affine epsilon = (form.on_x * x + form.on_output * output) * form.scale;
    return std::sqrt(to / from) * x -
           (to - from) / (from * std::sqrt(1 - to) + std::sqrt(from * (1 - from) * to)) * epsilon;
  }

  const NoiseSchedule& schedule_;
  Prediction prediction_;
  int span_;
  double final_alpha_bar_;
  SolverRow row_;
  std::vector<SolverRow> rows_;
};

}  // namespace

Result<Solver> pndm_solver(const SchedulerConfig& config, const SolverOptions& options) {
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(config, options.arithmetic));
  ITO_ASSIGN(std::vector<int> times, choose_timesteps(config, options));
  ITO_TRY(check_first_step(options, times.size()));
  ITO_ASSIGN(
      const Prediction prediction,
      prediction_among(config.prediction_type, {Prediction::kEpsilon, Prediction::kV}, "PNDM"));
  times.erase(times.begin(), times.begin() + options.first_step);
  if (schedule.alpha_bar(times[0]) == 0)
    return invalid_argument(
        "PNDM: timestep {} holds no signal (zero terminal SNR), and the step divides by it; "
        "expected rescale_betas_zero_snr false",
        times[0]);
  if (!config.skip_prk_steps && times.size() <= kRungeKuttaSteps)
    return invalid_argument(
        "PNDM: {} timesteps are left, but its Runge-Kutta start needs at least {}; expected more "
        "steps or skip_prk_steps true",
        times.size(), kRungeKuttaSteps + 1);

  Solver solver;
  solver.name = "pndm";
  solver.states = {"base", "sum", "m1", "m2", "m3"};
  PndmRows rows(config, options, schedule, prediction);
  size_t next = 0;
  if (config.skip_prk_steps) {
    rows.euler_and_back(times);
    next = 1;
  } else {
    rows.runge_kutta(times);
    next = kRungeKuttaSteps;
  }
  for (size_t i = next; i < times.size(); ++i) rows.adams_bashforth(times[i], i);
  solver.rows = rows.take();
  return solver;
}

}  // namespace ito
