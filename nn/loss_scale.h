// LossScale: the dynamic scale of a loss whose gradients pass through halves. Multiplied by it,
// small gradients stay above the least half; where it was too large a gradient is not finite, the
// step is left out and the scale halved. Everything is a state on the device: no host looks at it.
// Rules and numbers are those of torch.amp.GradScaler (Micikevicius et al. 2018). Not the step
// (nn/train_step.h).
#pragma once

#include <vector>

#include "graph/builder.h"
#include "graph/program.h"
#include "nn/scope.h"

namespace ito {

inline constexpr double kFirstLossScale = 65536;
inline constexpr double kLossScaleGrowth = 2, kLossScaleBackoff = 0.5;
inline constexpr int64_t kLossScaleInterval = 2000;  // good steps in a row after which it grows
// Where it stops. Steps are left out for another reason when the scale is down there.
inline constexpr double kLeastLossScale = 1.0 / (1 << 24);
inline constexpr double kMostLossScale = 0x1p100;

// The state, all [].
struct LossScaleState {
  Tensor scale;          // f32
  Tensor good_steps;     // u32, since the scale last changed
  Tensor skipped_steps;  // u32: steps left out so far
};

class LossScale {
 public:
  LossScale() = default;  // none: nothing is scaled and no step is left out
  explicit LossScale(LossScaleState state) : state_(state) {}

  // The loss whose gradient is taken, [].
  Tensor scaled(Tensor loss) const;
  // That gradient, or a sum of such, as the loss's own. The scale is a power of two.
  FlatTensors unscaled(FlatTensors gradient) const;
  // Of the gradient's norm, f32 []: a step whose norm is not finite is left out. (Also one whose
  // squares alone exceed f32: its numbers are beyond 1e19.)
  void judge(Tensor norm);
  // After judge(): `updated` where the step is taken, else `old`. Same shapes.
  Tensor taken(Tensor updated, Tensor old) const;
  // Where the loss is a number `updated`, else `old`: what a loss keeps from batch to batch.
  Tensor kept(Tensor updated, Tensor old, Tensor loss) const;
  // Updates done, of steps (u32 []) of which some were left out: Adam's bias correction and the
  // average's warm-up count these.
  Tensor updates(Tensor steps) const;
  // After judge(): moves the state.
  void finish(Program& program) const;

 private:
  bool none() const { return !state_.scale; }
  LossScaleState state_;
  Tensor good_;  // bool []
};

}  // namespace ito
