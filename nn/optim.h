// Optimisers, learning-rate schedules, gradient clipping and weight averaging, as graph functions
// on flat tensors. Every step-dependent number is computed on the device from the step counter, so
// a replayed program needs nothing from the host. Semantics are PyTorch's (torch.optim), checked
// against it. Not the assembly of a training step (nn/train_step.h).
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "graph/builder.h"

namespace ito {

// k below is the number of completed steps: 0 while the first update is computed.

struct LearningRate {
  enum class Decay : uint8_t { kConstant, kLinear, kCosine, kInverseSqrt };
  double base = 1e-3;
  // Update k uses base * (k + 1) / warmup_steps until that reaches base.
  int64_t warmup_steps = 0;
  Decay decay = Decay::kConstant;
  // kLinear, kCosine: the step at which the rate has fallen to base * final_fraction, where it
  // stays. The fall begins when the warm-up is over.
  // kInverseSqrt: the step T at which the fall begins, base * min(1, sqrt(T / (k + 1))) (Karras et
  // al. 2024, eq. 67; Vaswani et al. 2017 with T the warm-up's steps).
  int64_t total_steps = 0;
  double final_fraction = 0;
  bool operator==(const LearningRate&) const = default;
};

// Weight average: ema = d * ema + (1 - d) * parameters, after each update.
struct Average {
  enum class Kind : uint8_t {
    kNone,
    kConstant,      // d = decay
    kWarmup,        // d = min(decay, (1 + k) / (10 + k))
    kInversePower,  // d = min(decay, 1 - (1 + k / inv_gamma)^-power)
  };
  Kind kind = Kind::kWarmup;
  double decay = 0.9999;
  double inv_gamma = 1;
  double power = 2.0 / 3;

  bool kept() const { return kind != Kind::kNone; }
  bool operator==(const Average&) const = default;
};

struct Optimizer {
  enum class Kind : uint8_t {
    kAdamW,  // weight decay before the Adam update (Loshchilov and Hutter 2019)
    kAdam,   // weight decay added to the gradient (Kingma and Ba 2015)
    kSgd,    // likewise; momentum as in PyTorch, without dampening
  };
  Kind kind = Kind::kAdamW;
  LearningRate learning_rate;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;       // kSgd
  bool nesterov = false;     // kSgd
  double max_grad_norm = 0;  // clips the gradient's L2 norm; 0: no clipping
  Average average;
  // Other decays of averages that are kept beside that one, of the same kind.
  std::vector<double> further_decays = {};
  bool operator==(const Optimizer&) const = default;

  // Which state the kind keeps besides the parameters.
  bool has_first_moment() const { return kind != Kind::kSgd || momentum != 0; }
  bool has_second_moment() const { return kind != Kind::kSgd; }

  size_t averages() const { return average.kept() ? 1 + further_decays.size() : 0; }
  // Average i < averages(): `average` first.
  Average average_at(size_t i) const;
};

// Ranges of all values; the error names the field, expected and found.
Status check_optimizer(const Optimizer& optimizer);

// counter: u32 [] = k → f32 [].
Tensor learning_rate(const LearningRate& schedule, Tensor counter);
Tensor average_decay(const Average& average, Tensor counter);

// 1 - beta^(k+1), the bias correction of Adam, f32 []: accurate to a few ulp also where beta is
// near 1 and k small, where 1 - pow(beta, k + 1) would lose four digits.
Tensor bias_correction(double beta, Tensor counter);

// sqrt(sum of squares): f32 [].
Tensor global_norm(Tensor gradient);
// Of a gradient in several tensors: one norm over all.
Tensor global_norm(const std::vector<Tensor>& gradient);
// gradient * min(1, max_norm / (norm + 1e-6)) (torch.nn.utils.clip_grad_norm_).
Tensor clip_by_norm(Tensor gradient, Tensor norm, double max_norm);

// Values that an update reads or yields. Tensors of the state that the kind does not keep are
// empty. All have the parameters' shape.
struct OptimizerState {
  Tensor parameters = {};
  Tensor first_moment = {};   // exp_avg; SGD's momentum buffer
  Tensor second_moment = {};  // exp_avg_sq
};

// One update. gradient: as the parameters (already clipped). rate: f32 [].
OptimizerState optimizer_step(const Optimizer& optimizer, const OptimizerState& state,
                              Tensor gradient, Tensor rate, Tensor counter);

// decay * ema + (1 - decay) * parameters.
Tensor average_step(Tensor ema, Tensor parameters, Tensor decay);

}  // namespace ito
