#include "nn/loss_scale.h"

#include <limits>

namespace ito {
namespace {

// bool []: asks for what is good, as every comparison with NaN is false.
Tensor is_number(Tensor value) {
  return less(abs(value), scalar(value.graph(), std::numeric_limits<float>::max()));
}

}  // namespace

Tensor LossScale::scaled(Tensor loss) const { return none() ? loss : loss * state_.scale; }

FlatTensors LossScale::unscaled(FlatTensors gradient) const {
  if (none()) return gradient;
  for (Tensor& part : gradient) part = part * (1.0 / state_.scale);
  return gradient;
}

void LossScale::judge(Tensor norm) {
  if (!none()) good_ = is_number(norm);
}

Tensor LossScale::taken(Tensor updated, Tensor old) const {
  return none() ? updated : select(good_, updated, old);
}

Tensor LossScale::kept(Tensor updated, Tensor old, Tensor loss) const {
  return none() ? updated : select(is_number(loss), updated, old);
}

Tensor LossScale::updates(Tensor steps) const {
  return none() ? steps : steps - state_.skipped_steps;
}

void LossScale::finish(Program& program) const {
  if (none()) return;
  Graph& graph = *program.graph;
  const Tensor zero = scalar(graph, 0, DType::kU32), one = scalar(graph, 1, DType::kU32);
  const Tensor in_a_row = state_.good_steps + one;
  const Tensor grows =
      equal(in_a_row, scalar(graph, static_cast<double>(kLossScaleInterval), DType::kU32));
  const Tensor grown = minimum(state_.scale * kLossScaleGrowth, scalar(graph, kMostLossScale));
  const Tensor halved = maximum(state_.scale * kLossScaleBackoff, scalar(graph, kLeastLossScale));
  program.update(state_.scale, select(good_, select(grows, grown, state_.scale), halved));
  program.update(state_.good_steps, select(good_, select(grows, zero, in_a_row), zero));
  program.update(state_.skipped_steps,
                 select(good_, state_.skipped_steps, state_.skipped_steps + one));
}

}  // namespace ito
