// Assembles a loss, its gradient, the optimiser and the weight average into programs whose state is
// donated buffers, so that one recorded command buffer trains for as long as it is replayed.
// Knows nothing about diffusion: the loss is a function given by the caller.
// Not the loop, the data or the checkpoints (apps, io).
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/precision.h"
#include "base/sum_tree.h"
#include "graph/program.h"
#include "nn/optim.h"
#include "nn/scope.h"

namespace ito {

struct StateTensor {
  enum class Start : uint8_t { kValue, kParameters };
  std::string name;
  Shape shape;
  DType dtype = DType::kF32;
  Start start = Start::kValue;  // what it is before the first step: everywhere `value`, or ...
  double value = 0;
  // Where it is a segment: the state it belongs to, and its place there. A checkpoint holds whole
  // states, however they lie on a device.
  std::string whole = {};
  int64_t first = 0;
  // A checkpoint may lack it, of a training that had no use for it: it then starts anew.
  bool may_be_absent = false;
  // Not in a checkpoint: between two steps it holds nothing.
  bool passing = false;
  bool is_segment() const { return !whole.empty(); }
  // What it is, or is a part of, in a checkpoint.
  const std::string& checkpoint_name() const { return is_segment() ? whole : name; }
};

// What a loss function gives: most give the loss alone.
struct LossResult {
  LossResult(Tensor loss_of_batch) : loss(loss_of_batch) {}  // NOLINT: a tensor is a result
  Tensor loss;                                               // [], a mean over the batch
  // What its own state (TrainStepOptions::loss_state) is after the batch: input and new value.
  std::vector<std::pair<Tensor, Tensor>> updates;
};

// Builds the loss on the network's parameters. It declares the inputs it needs with input(): the
// batch, random key, its own state and so on. `counter`, u32 [], is the number of batches that this
// training has seen: what random numbers should depend on.
using LossFunction =
    std::function<LossResult(Graph& graph, const Scope& parameters, Tensor counter)>;

struct TrainStepOptions {
  Optimizer optimizer;
  // What products and convolutions multiply in, gradients' too. Parameters, the optimiser's state,
  // averages and all else are f32.
  Precision precision = {};
  // Batches whose mean gradient makes one update (accumulate_program and apply_program).
  int64_t accumulation = 1;
  // Parts of a batch whose gradients are computed one after the other and summed as a SumTree says
  // (base/sum_tree.h): microbatch_program, merge_program and update_program. 0: a batch is computed
  // at once.
  int64_t microbatches = 0;
  // Those of them that this process computes; others, with their part of the tree, the rest.
  int64_t own_microbatches = 0;
  // Length of the ring of recent losses.
  int64_t loss_history = 256;
  // What the loss carries from batch to batch, donated as the rest.
  std::vector<StateTensor> loss_state = {};
};

// Input names of the state, all donated. Which of them a training has: train_state(). Of [P] in
// several segments each has one of its own: segment_name() of nn/scope.h.
namespace state_name {
inline constexpr const char* kParameters = "params";         // f32 [P]
inline constexpr const char* kFirstMoment = "exp_avg";       // f32 [P]
inline constexpr const char* kSecondMoment = "exp_avg_sq";   // f32 [P]
inline constexpr const char* kAverage = "ema";               // f32 [P]: average_name()
inline constexpr const char* kCounter = "counter";           // u32 []: steps done
inline constexpr const char* kLossHistory = "loss_history";  // f32 [K]: update k's loss at k % K
// Accumulation and microbatches.
inline constexpr const char* kGradientSum = "grad_accum";      // f32 [P]
inline constexpr const char* kLossSum = "loss_accum";          // f32 []
inline constexpr const char* kBatchCounter = "batch_counter";  // u32 [], accumulation only
// Where the precision scales the loss; nn/loss_scale.h.
inline constexpr const char* kLossScale = "loss_scale";        // f32 []
inline constexpr const char* kGoodSteps = "good_steps";        // u32 []
inline constexpr const char* kSkippedSteps = "skipped_steps";  // u32 []
}  // namespace state_name

// Input of microbatch_program: u32 [], 1: the sums begin anew with this one.
inline constexpr Port<uint32_t> kFirstOfBlock{"first_of_block"};

// Where a sum waits for its neighbour in the tree: kGradientSum or kLossSum at a level.
std::string waiting_name(std::string_view sum, int64_t level);

// Of average i: kAverage for the first, "ema_0.9999" for a further one.
std::string average_name(const Optimizer& optimizer, size_t i);

// Every state tensor of a training with these options, in a fixed order: what to allocate, and what
// a checkpoint holds (loss_history included).
std::vector<StateTensor> train_state(const ParameterSet& set, const TrainStepOptions& options);

// Accumulation 1: one batch, one update. Outputs "loss" (before the update), "grad_norm" (before
// clipping; not scaled) and "lr", f32 [] each; updates all state. With a scaled loss a step whose
// gradient is not finite leaves weights, moments and averages as they were; it counts as a step,
// for noise, learning rate and the ring of losses.
Program train_step_program(const ParameterSet& set, const LossFunction& loss,
                           const TrainStepOptions& options);

// Accumulation N > 1: run this N times ...
// Adds one batch's gradient and loss to the sums. Output "loss": this batch's.
Program accumulate_program(const ParameterSet& set, const LossFunction& loss,
                           const TrainStepOptions& options);
// ... then this once: updates with the mean gradient of the N batches and empties the sums.
// Outputs as train_step_program; the loss is the mean.
Program apply_program(const ParameterSet& set, const TrainStepOptions& options);

// Microbatches: run this for each of those of a block (SumTree::block) ...
// Adds its gradient and loss to the sums. Noise is of the step and of an image's place in the whole
// batch, which the loss has as an input of its own. Output "loss": this microbatch's.
Program microbatch_program(const ParameterSet& set, const LossFunction& loss,
                           const TrainStepOptions& options);
// ... then, where the own microbatches have levels, that of SumTree::merges_after the block: adds
// the waiting sums of levels [0, merges), and lets the result wait at the next or, with all of
// them, be the sum ...
Program merge_program(const ParameterSet& set, const TrainStepOptions& options, int64_t merges);
// ... and, when the sums are those of all microbatches, this: updates with the mean gradient.
// Outputs as train_step_program; the loss is the mean.
Program update_program(const ParameterSet& set, const TrainStepOptions& options);

}  // namespace ito
