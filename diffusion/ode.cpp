#include "diffusion/ode.h"

#include <array>
#include <cmath>

#include "base/check.h"
#include "base/error.h"
#include "diffusion/score.h"
#include "graph/builder.h"

namespace ito {
namespace {

using namespace ode_ports;

// Dormand & Prince 1980, table 2 (RK5(4)7M). Row i of kA gives stage i + 1; the last row is also
// the solution of order 5, which is what makes the last slope the next attempt's first.
constexpr int kStages = 7;
constexpr std::array<double, kStages> kC = {0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1};
constexpr std::array<std::array<double, kStages - 1>, kStages - 1> kA = {{
    {1.0 / 5},
    {3.0 / 40, 9.0 / 40},
    {44.0 / 45, -56.0 / 15, 32.0 / 9},
    {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
    {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
    {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84},
}};
// Order 5 minus order 4.
constexpr std::array<double, kStages> kError = {
    71.0 / 57600, 0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200, 22.0 / 525, -1.0 / 40};
constexpr double kOrder = 5;  // of the local error that the difference estimates

constexpr double kSafety = 0.9, kMinFactor = 0.2, kMaxFactor = 10;
constexpr double kTimeQuantum = 1.0 / 1024;
constexpr double kFloatEpsilon = 1.0 / (1 << 23);
constexpr double kLargeFloat = 3e38;

// A value as a float32 number, or as a multiple of a quantum and a rest.
struct Sum {
  Tensor high, rest;  // rest is empty for a plain number
  double quantum = 0;

  static Sum split(Tensor value, double quantum) {
    const Tensor high = floor(value * (1 / quantum)) * quantum;
    return {high, value - high, quantum};
  }
  Tensor value() const { return rest ? high + rest : high; }
  Tensor plus(Tensor increment) const {
    return rest ? high + (rest + increment) : high + increment;
  }
  // The carry is a multiple of a power of two, so nothing is rounded but the rest. (A compensated
  // sum would be at the mercy of compilers that simplify (a + b) - a.)
  Sum advanced(Tensor increment) const {
    if (!rest) return {high + increment, {}, 0};
    const Tensor moved = rest + increment;
    const Tensor carry = floor(moved * (1 / quantum)) * quantum;
    return {high + carry, moved - carry, quantum};
  }
  Sum selected(Tensor condition, const Sum& otherwise) const {
    return {select(condition, high, otherwise.high),
            rest ? select(condition, rest, otherwise.rest) : rest, quantum};
  }
};

// Everything of one program: the system's inputs, and what is done to all components alike.
struct Build {
  const OdeSystem& system;
  Program program;
  std::vector<Sum> y;

  explicit Build(const OdeSystem& s, std::string name) : system(s) {
    CHECK(!s.components.empty(), "ode: a system needs a component");
    program.name = s.name + "_" + std::move(name);
    for (const OdeComponent& c : s.components) {
      CHECK(c.shape.rank() >= 1 && c.shape[0] == s.images(),
            "ode: the component " + c.name + " has not one row per image");
      Sum sum{.high = input(graph(), kY[c.name], c.shape), .rest = {}, .quantum = c.quantum};
      if (c.quantum > 0) sum.rest = input(graph(), kRest[c.name], c.shape);
      y.push_back(sum);
    }
  }

  Graph& graph() { return *program.graph; }
  template <typename T>
  Tensor per_image_input(const Port<T>& port) {
    return input(graph(), port, {system.images()});
  }
  Tensor zeros(DType dtype = DType::kF32) { return full(graph(), {system.images()}, 0, dtype); }
  Tensor state_value(OdeStatus status) {
    return full(graph(), {system.images()}, static_cast<double>(status), DType::kU32);
  }

  std::vector<Tensor> values() const {
    std::vector<Tensor> list;
    for (const Sum& sum : y) list.push_back(sum.value());
    return list;
  }

  std::vector<Tensor> f(Tensor t, const std::vector<Tensor>& at) const {
    std::vector<Tensor> slopes = system.f(t, at);
    CHECK(slopes.size() == at.size(), "ode: " + system.name + " must give a slope per component");
    for (size_t i = 0; i < at.size(); ++i)
      CHECK(slopes[i].shape() == at[i].shape(), "ode: the slope of " + system.components[i].name +
                                                    " has shape " + slopes[i].shape().to_string());
    return slopes;
  }

  // RMS per image of each component of `difference`, over the scale atol + rtol `size`.
  std::vector<Tensor> norms(const std::vector<Tensor>& difference, const std::vector<Tensor>& size,
                            const OdeOptions& options) const {
    std::vector<Tensor> list;
    for (size_t i = 0; i < difference.size(); ++i) {
      const Tensor ratio = difference[i] / (size[i] * options.rtol + options.atol);
      const int64_t n = system.images();
      list.push_back(sqrt(mean(square(reshape(ratio, {n, ratio.shape().numel() / n})), {1})));
    }
    return list;
  }

  void update_sum(size_t i, const Sum& value) {
    program.update(y[i].high, value.high);
    if (value.rest) program.update(y[i].rest, value.rest);
  }
};

Tensor over(Tensor values, Tensor like) { return per_image(values, like.rank()); }

Tensor largest(const std::vector<Tensor>& list) {
  Tensor result = list[0];
  for (size_t i = 1; i < list.size(); ++i) result = maximum(result, list[i]);
  return result;
}

// Whether all of the list are finite; maximum() may drop a NaN, a sum keeps it.
Tensor all_finite(const std::vector<Tensor>& list) {
  Tensor total = list[0];
  for (size_t i = 1; i < list.size(); ++i) total = total + list[i];
  return less(total, full(total.graph(), total.shape(), kLargeFloat));
}

std::vector<Tensor> magnitudes(const std::vector<Tensor>& list) {
  std::vector<Tensor> result;
  for (Tensor x : list) result.push_back(abs(x));
  return result;
}

Tensor count(Tensor flags) { return reshape(sum_all(cast(flags, DType::kF32)), {1}); }

Tensor is_status(Tensor status, OdeStatus value) {
  return equal(status,
               full(status.graph(), status.shape(), static_cast<double>(value), DType::kU32));
}

void output_progress(Program& program, Tensor status) {
  const Tensor running = is_status(status, OdeStatus::kRunning);
  const Tensor failed =
      less(full(status.graph(), status.shape(), static_cast<double>(OdeStatus::kDone), DType::kU32),
           status);
  program.output(kProgress, concat({count(running), count(failed)}, 0));
}

// slope weights · slopes of one component, zero weights left out.
template <size_t kCount>
Tensor combine(const std::array<double, kCount>& weights,
               const std::vector<std::vector<Tensor>>& slopes, size_t component) {
  Tensor total;
  for (size_t j = 0; j < std::min(slopes.size(), kCount); ++j) {
    if (weights[j] == 0) continue;
    const Tensor term = slopes[j][component] * weights[j];
    total = total ? total + term : term;
  }
  return total;
}

// The factor for the next step size after an error norm (Hairer et al., eq. II.4.13).
Tensor step_factor(Tensor error) {
  const Tensor bounded = clamp(error, 1e-10, 1e10);
  return clamp(exp(log(bounded) * (-1 / kOrder)) * kSafety, kMinFactor, kMaxFactor);
}

}  // namespace

Status check_ode_options(const OdeOptions& options) {
  if (!(options.rtol >= 1e-6 && options.rtol < 1))
    return invalid_argument("rtol is {}, expected at least 1e-6 (float32) and less than 1",
                            options.rtol);
  if (!(options.atol > 0) || !std::isfinite(options.atol))
    return invalid_argument("atol is {}, expected a positive finite number", options.atol);
  return {};
}

Program ode_start_program(const OdeSystem& system, const OdeOptions& options) {
  Build b(system, "start");
  Graph& graph = b.graph();
  const Tensor t = b.per_image_input(kTime), t_end = b.per_image_input(kEnd);
  const Tensor interval = abs(t_end - t), direction = sign(t_end - t);
  std::vector<Tensor> y;
  for (const Sum& sum : b.y) y.push_back(sum.high);
  const std::vector<Tensor> slopes = b.f(t, y);

  // Hairer et al., II.4, "starting step size".
  const std::vector<Tensor> size = magnitudes(y);
  const std::vector<Tensor> slope_norms = b.norms(slopes, size, options);
  const Tensor d0 = largest(b.norms(y, size, options)), d1 = largest(slope_norms);
  const Tensor tiny = full(graph, d0.shape(), 1e-5);
  const Tensor guess = select(bit_or(less(d0, tiny), less(d1, tiny)), full(graph, d0.shape(), 1e-6),
                              d0 / maximum(d1, tiny) * 0.01);
  const Tensor h0 = minimum(guess, interval);
  std::vector<Tensor> trial, change;
  for (size_t i = 0; i < y.size(); ++i)
    trial.push_back(y[i] + over(h0 * direction, y[i]) * slopes[i]);
  const std::vector<Tensor> trial_slopes = b.f(t + h0 * direction, trial);
  for (size_t i = 0; i < y.size(); ++i) change.push_back(trial_slopes[i] - slopes[i]);
  const Tensor no_step = full(graph, h0.shape(), 1e-30);
  const Tensor d2 = largest(b.norms(change, size, options)) / maximum(h0, no_step);
  const Tensor steepest = maximum(d1, d2);
  const Tensor h1 =
      select(less(full(graph, d1.shape(), 1e-15), steepest),
             exp(log(maximum(steepest, full(graph, d1.shape(), 1e-15)) * 100.0) * (-1 / kOrder)),
             maximum(full(graph, h0.shape(), 1e-6), h0 * 1e-3));
  const Tensor chosen = minimum(minimum(h0 * 100.0, h1), interval);
  // A trial that overflows says nothing about the first step but that it must be short.
  const Tensor h = select(less(d2, full(graph, d2.shape(), kLargeFloat)), chosen, h0 * 0.01);

  std::vector<Tensor> must_be_finite = slope_norms;
  must_be_finite.push_back(d0);
  const Tensor there = equal(interval, b.zeros());
  const Tensor status =
      select(there, b.state_value(OdeStatus::kDone),
             select(all_finite(must_be_finite), b.state_value(OdeStatus::kRunning),
                    b.state_value(OdeStatus::kNotFinite)));

  for (size_t i = 0; i < y.size(); ++i) {
    const OdeComponent& c = system.components[i];
    b.program.update(input(graph, kSlope[c.name], c.shape), slopes[i]);
    if (b.y[i].rest) b.update_sum(i, Sum::split(y[i], c.quantum));
  }
  b.program.update(b.per_image_input(kStepSize), h);
  const Sum time = Sum::split(t, kTimeQuantum);
  b.program.update(t, time.high);
  b.program.update(b.per_image_input(kTimeRest), time.rest);
  b.program.update(b.per_image_input(kStatus), status);
  for (const Port<uint32_t>& port : {kRejected, kFailedAt, kRejections})
    b.program.update(b.per_image_input(port), b.zeros(DType::kU32));
  b.program.update(b.per_image_input(kEvaluations),
                   full(graph, {system.images()}, kOdeStartEvaluations, DType::kU32));
  b.program.update(input(graph, kAttempts, {}), scalar(graph, 0, DType::kU32));
  output_progress(b.program, status);
  return std::move(b.program);
}

Program ode_step_program(const OdeSystem& system, const OdeOptions& options) {
  Build b(system, "step");
  Graph& graph = b.graph();
  const Sum t{b.per_image_input(kTime), b.per_image_input(kTimeRest), kTimeQuantum};
  const Tensor t_end = b.per_image_input(kEnd), step_size = b.per_image_input(kStepSize);
  const Tensor status = b.per_image_input(kStatus);
  const Tensor running = is_status(status, OdeStatus::kRunning);

  const Tensor to_end = (t_end - t.high) - t.rest;
  const Tensor remaining = abs(to_end);
  // A step that would leave less than a thousandth of itself goes all the way.
  const Tensor is_last = logical_not(less(step_size * 1.001, remaining));
  const Tensor h = select(is_last, remaining, step_size);
  const Tensor signed_h = h * sign(to_end);

  std::vector<std::vector<Tensor>> slopes(1);
  for (const OdeComponent& c : system.components)
    slopes[0].push_back(input(graph, kSlope[c.name], c.shape));
  std::vector<Tensor> increments, y_new;
  for (size_t stage = 1; stage < kStages; ++stage) {
    increments.clear();
    y_new.clear();
    for (size_t i = 0; i < b.y.size(); ++i) {
      const Tensor slope = combine(kA[stage - 1], slopes, i);
      increments.push_back(over(signed_h, slope) * slope);
      y_new.push_back(b.y[i].plus(increments[i]));
    }
    const Tensor at_end = select(is_last, t_end, t.plus(signed_h));
    slopes.push_back(b.f(kC[stage] == 1 ? at_end : t.plus(signed_h * kC[stage]), y_new));
  }

  std::vector<Tensor> errors, size = magnitudes(b.values());
  for (size_t i = 0; i < b.y.size(); ++i) {
    const Tensor error = combine(kError, slopes, i);
    errors.push_back(over(h, error) * error);
    size[i] = maximum(size[i], abs(y_new[i]));
  }
  const std::vector<Tensor> norms = b.norms(errors, size, options);
  const Tensor finite = all_finite(norms);
  const Tensor error = largest(norms);
  const Tensor one = full(graph, error.shape(), 1);
  const Tensor accepted = bit_and(bit_and(running, finite), less(error, one));
  const Tensor refused = bit_and(running, logical_not(accepted));

  // After a refusal the step may not grow at once.
  const Tensor rejected = b.per_image_input(kRejected);
  const Tensor was_rejected = equal(rejected, full(graph, rejected.shape(), 1, DType::kU32));
  const Tensor factor = step_factor(select(finite, error, one * 1e10));
  const Tensor bounded = select(bit_or(refused, was_rejected), minimum(factor, one), factor);
  const Tensor h_next = h * bounded;
  const Tensor shortest = maximum(abs(t.value()) * (10 * kFloatEpsilon), one * 1e-30);
  const Tensor stuck = bit_and(refused, less(h_next, shortest));

  const Tensor arrived = bit_and(accepted, is_last);
  Tensor next_status = select(arrived, b.state_value(OdeStatus::kDone), status);
  next_status = select(
      stuck,
      select(finite, b.state_value(OdeStatus::kStepTooSmall), b.state_value(OdeStatus::kNotFinite)),
      next_status);

  for (size_t i = 0; i < b.y.size(); ++i) {
    b.update_sum(i, b.y[i].advanced(increments[i]).selected(over(accepted, y_new[i]), b.y[i]));
    b.program.update(slopes[0][i],
                     select(over(accepted, y_new[i]), slopes.back()[i], slopes[0][i]));
  }
  const Sum exact_end{t_end, b.zeros(), kTimeQuantum};
  const Sum moved = exact_end.selected(arrived, t.advanced(signed_h).selected(accepted, t));
  b.program.update(t.high, moved.high);
  b.program.update(t.rest, moved.rest);
  b.program.update(step_size, select(running, h_next, step_size));
  b.program.update(rejected, select(running, cast(refused, DType::kU32), rejected));
  b.program.update(status, next_status);
  const Tensor attempts = input(graph, kAttempts, {});
  const Tensor attempt = attempts + scalar(graph, 1, DType::kU32);
  b.program.update(attempts, attempt);
  const Tensor failed_at = b.per_image_input(kFailedAt);
  b.program.update(failed_at,
                   select(stuck, broadcast_to(reshape(attempt, {1}), stuck.shape()), failed_at));
  const Tensor evaluations = b.per_image_input(kEvaluations);
  b.program.update(evaluations, evaluations + cast(running, DType::kU32) *
                                                  full(graph, running.shape(), kOdeStepEvaluations,
                                                       DType::kU32));
  const Tensor rejections = b.per_image_input(kRejections);
  b.program.update(rejections, rejections + cast(refused, DType::kU32));
  output_progress(b.program, next_status);
  return std::move(b.program);
}

}  // namespace ito
