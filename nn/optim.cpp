#include "nn/optim.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "base/check.h"
#include "base/error.h"

namespace ito {
namespace {

// k as f32: exact up to 2^24 steps.
Tensor as_f32(Tensor counter) { return cast(counter, DType::kF32); }

Status check_range(const char* field, double value, double low, double high) {
  if (value >= low && value < high) return {};
  return invalid_argument("{}: expected a number in [{}, {}), found {}", field, low, high, value);
}

// 1 - exp(-y) for y >= 0. Near 0 the difference cancels, so a series takes over; at the seam both
// are good to 1e-6.
Tensor one_minus_exp_neg(Tensor y) {
  Tensor series = full(y.graph(), y.shape(), 1.0);
  for (int term = 6; term >= 2; --term) series = 1.0 - series * y * (1.0 / term);
  return select(less(y, scalar(y.graph(), 0.1)), y * series, 1.0 - exp(-y));
}

}  // namespace

Status check_optimizer(const Optimizer& optimizer) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const LearningRate& rate = optimizer.learning_rate;
  ITO_TRY(check_range("learning rate", rate.base, 0, kInfinity));
  ITO_TRY(check_range("final_fraction", rate.final_fraction, 0, kInfinity));
  ITO_TRY(check_range("beta1", optimizer.beta1, 0, 1));
  ITO_TRY(check_range("beta2", optimizer.beta2, 0, 1));
  ITO_TRY(check_range("eps", optimizer.eps, 0, kInfinity));
  ITO_TRY(check_range("weight_decay", optimizer.weight_decay, 0, kInfinity));
  ITO_TRY(check_range("momentum", optimizer.momentum, 0, kInfinity));
  ITO_TRY(check_range("max_grad_norm", optimizer.max_grad_norm, 0, kInfinity));
  ITO_TRY(check_range("EMA decay", optimizer.average.decay, 0, std::nextafter(1.0, 2.0)));
  if (!(optimizer.average.inv_gamma > 0)) {
    return invalid_argument("EMA inv_gamma: expected a positive number, found {}",
                            optimizer.average.inv_gamma);
  }
  if (rate.warmup_steps < 0) {
    return invalid_argument("warmup_steps: expected 0 or more, found {}", rate.warmup_steps);
  }
  for (const double decay : optimizer.further_decays)
    ITO_TRY(check_range("EMA decay", decay, 0, std::nextafter(1.0, 2.0)));
  if (rate.decay == LearningRate::Decay::kInverseSqrt) {
    if (rate.total_steps < 1)
      return invalid_argument("total_steps: expected 1 or more, found {}", rate.total_steps);
  } else if (rate.decay != LearningRate::Decay::kConstant &&
             rate.total_steps <= rate.warmup_steps) {
    return invalid_argument("total_steps: expected more than the {} warm-up steps, found {}",
                            rate.warmup_steps, rate.total_steps);
  }
  if (optimizer.nesterov && optimizer.momentum == 0) {
    return invalid_argument("momentum: expected a positive number with nesterov, found 0");
  }
  return {};
}

Average Optimizer::average_at(size_t i) const {
  Average chosen = average;
  if (i > 0) chosen.decay = further_decays[i - 1];
  return chosen;
}

Tensor learning_rate(const LearningRate& schedule, Tensor counter) {
  Graph& graph = counter.graph();
  const Tensor k = as_f32(counter);
  Tensor factor = scalar(graph, 1);
  if (schedule.decay == LearningRate::Decay::kInverseSqrt) {
    const Tensor share = static_cast<double>(schedule.total_steps) / (k + 1.0);
    factor = sqrt(minimum(share, scalar(graph, 1)));
  } else if (schedule.decay != LearningRate::Decay::kConstant) {
    CHECK(schedule.total_steps > schedule.warmup_steps, "unchecked learning rate schedule");
    const double span = static_cast<double>(schedule.total_steps - schedule.warmup_steps);
    const Tensor progress =
        clamp((k - static_cast<double>(schedule.warmup_steps)) / span, 0.0, 1.0);
    const Tensor fall = schedule.decay == LearningRate::Decay::kLinear
                            ? 1.0 - progress
                            : (cos(progress * std::numbers::pi) + 1.0) * 0.5;
    factor = fall * (1 - schedule.final_fraction) + schedule.final_fraction;
  }
  if (schedule.warmup_steps > 0) {
    const Tensor ramp = (k + 1.0) / static_cast<double>(schedule.warmup_steps);
    factor = factor * minimum(ramp, scalar(graph, 1));
  }
  return factor * schedule.base;
}

Tensor average_decay(const Average& average, Tensor counter) {
  Graph& graph = counter.graph();
  const Tensor limit = scalar(graph, average.decay);
  const Tensor k = as_f32(counter);
  switch (average.kind) {
    case Average::Kind::kNone:
    case Average::Kind::kConstant:
      return limit;
    case Average::Kind::kWarmup:
      return minimum(limit, (k + 1.0) / (k + 10.0));
    case Average::Kind::kInversePower:
      return minimum(limit, 1.0 - exp(log(k / average.inv_gamma + 1.0) * -average.power));
  }
  CHECK(false, "unknown average");
}

Tensor bias_correction(double beta, Tensor counter) {
  if (beta == 0) return scalar(counter.graph(), 1);
  return one_minus_exp_neg((as_f32(counter) + 1.0) * -std::log(beta));
}

Tensor global_norm(Tensor gradient) { return global_norm(std::vector{gradient}); }

Tensor global_norm(const std::vector<Tensor>& gradient) {
  Tensor sum;
  for (const Tensor& part : gradient) {
    const Tensor squares = sum_all(square(part));
    sum = sum ? sum + squares : squares;
  }
  return sqrt(sum);
}

Tensor clip_by_norm(Tensor gradient, Tensor norm, double max_norm) {
  const Tensor factor = scalar(norm.graph(), max_norm) / (norm + 1e-6);
  return gradient * minimum(factor, scalar(norm.graph(), 1));
}

OptimizerState optimizer_step(const Optimizer& optimizer, const OptimizerState& state,
                              Tensor gradient, Tensor rate, Tensor counter) {
  Tensor p = state.parameters;
  Tensor g = gradient;
  if (optimizer.weight_decay != 0) {
    if (optimizer.kind == Optimizer::Kind::kAdamW) {
      p = p * (1.0 - rate * optimizer.weight_decay);
    } else {
      g = g + p * optimizer.weight_decay;
    }
  }
  if (optimizer.kind == Optimizer::Kind::kSgd) {
    if (optimizer.momentum == 0) return {.parameters = p - rate * g};
    // The buffer starts at zero, which makes its first value the first gradient, as in PyTorch.
    const Tensor buffer = state.first_moment * optimizer.momentum + g;
    const Tensor direction = optimizer.nesterov ? g + buffer * optimizer.momentum : buffer;
    return {.parameters = p - rate * direction, .first_moment = buffer};
  }
  const Tensor m = state.first_moment * optimizer.beta1 + g * (1 - optimizer.beta1);
  const Tensor v = state.second_moment * optimizer.beta2 + square(g) * (1 - optimizer.beta2);
  const Tensor step = rate / bias_correction(optimizer.beta1, counter);
  const Tensor root = sqrt(bias_correction(optimizer.beta2, counter));
  const Tensor updated = p - step * (m / (sqrt(v) / root + optimizer.eps));
  return {.parameters = updated, .first_moment = m, .second_moment = v};
}

Tensor average_step(Tensor ema, Tensor parameters, Tensor decay) {
  return decay * ema + (1.0 - decay) * parameters;
}

}  // namespace ito
