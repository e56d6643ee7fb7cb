#include "nn/train_step.h"

#include <fmt/core.h>

#include <utility>

#include "base/check.h"
#include "nn/loss_scale.h"

namespace ito {
namespace {

// The inputs of a program, by name, as train_state() describes them.
class State {
 public:
  State(Graph& graph, const ParameterSet& set, const TrainStepOptions& options)
      : graph_(graph), set_(set), options_(options), tensors_(train_state(set, options)) {}

  // The segments of a state that has as many numbers as the parameters.
  FlatTensors flat(std::string_view name) const {
    FlatTensors segments;
    for (size_t k = 0; k < set_.segments().size(); ++k) segments.push_back(segment(name, k));
    return segments;
  }
  Tensor segment(std::string_view name, size_t k) const {
    return (*this)[segment_name(name, k, set_.segments().size())];
  }

  LossScale loss_scale() const {
    if (!options_.precision.scales_loss) return LossScale();
    return LossScale({.scale = (*this)[state_name::kLossScale],
                      .good_steps = (*this)[state_name::kGoodSteps],
                      .skipped_steps = (*this)[state_name::kSkippedSteps]});
  }

  Tensor operator[](std::string_view name) const {
    const StateTensor* tensor = find(name);
    CHECK(tensor != nullptr, "no such state: " + std::string(name));
    return input(graph_, tensor->name, tensor->shape, tensor->dtype);
  }

 private:
  const StateTensor* find(std::string_view name) const {
    for (const StateTensor& tensor : tensors_) {
      if (tensor.name == name) return &tensor;
    }
    return nullptr;
  }

  Graph& graph_;
  const ParameterSet& set_;
  const TrainStepOptions& options_;
  std::vector<StateTensor> tensors_;
};

// Frozen parameters lie behind the trainable ones; they keep their old value. A segment of such
// alone is left out of the program's updates.
Tensor keep_frozen(const Segment& segment, Tensor updated, Tensor old) {
  if (segment.trainable_size == segment.size) return updated;
  if (segment.trainable_size == 0) return old;
  Graph& graph = updated.graph();
  const Tensor limit = full(graph, {}, static_cast<double>(segment.trainable_size), DType::kU32);
  return select(less(iota(graph, updated.shape(), 0), limit), updated, old);
}

// The loss of one batch; its state moves on.
Tensor add_loss(Program& program, const ParameterSet& set, const LossFunction& function,
                const FlatTensors& flat, Tensor counter, const LossScale& scale) {
  const LossResult result = function(*program.graph, Scope(set, flat), counter);
  CHECK(result.loss.shape() == Shape{},
        "a loss is a scalar, not " + result.loss.shape().to_string());
  for (const auto& [state, value] : result.updates)
    program.update(state, scale.kept(value, state, result.loss));
  return result.loss;
}

SumTree own_tree(const TrainStepOptions& options) { return {options.own_microbatches}; }

// As sum_in_tree() takes them.
Tensor least_is_zero(Tensor x) {
  Graph& graph = x.graph();
  return select(less(abs(x), full(graph, x.shape(), kLeastNormal)), full(graph, x.shape(), 0), x);
}

// Everything after the gradient, which is that of the scaled loss: clipping, update, average,
// scale, counter, loss history and outputs.
void finish_step(Program& program, const ParameterSet& set, const TrainStepOptions& options,
                 const State& state, Tensor loss, FlatTensors gradient) {
  Graph& graph = *program.graph;
  const Optimizer& optimizer = options.optimizer;
  const Tensor counter = state[state_name::kCounter];
  graph.set_label("optimizer");

  LossScale scale = state.loss_scale();
  gradient = scale.unscaled(std::move(gradient));
  const Tensor norm = global_norm(gradient);
  scale.judge(norm);
  if (optimizer.max_grad_norm > 0)
    for (Tensor& part : gradient) part = clip_by_norm(part, norm, optimizer.max_grad_norm);
  const Tensor rate = learning_rate(optimizer.learning_rate, counter);
  const Tensor updates = scale.updates(counter);
  for (size_t k = 0; k < gradient.size(); ++k) {
    OptimizerState old{.parameters = state.segment(state_name::kParameters, k)};
    if (optimizer.has_first_moment()) old.first_moment = state.segment(state_name::kFirstMoment, k);
    if (optimizer.has_second_moment())
      old.second_moment = state.segment(state_name::kSecondMoment, k);
    OptimizerState updated = optimizer_step(optimizer, old, gradient[k], rate, updates);
    updated.parameters = keep_frozen(
        set.segments()[k], scale.taken(updated.parameters, old.parameters), old.parameters);

    if (updated.parameters.id() != old.parameters.id())
      program.update(old.parameters, updated.parameters);
    if (old.first_moment)
      program.update(old.first_moment, scale.taken(updated.first_moment, old.first_moment));
    if (old.second_moment)
      program.update(old.second_moment, scale.taken(updated.second_moment, old.second_moment));
    for (size_t i = 0; i < optimizer.averages(); ++i) {
      const Tensor ema = state.segment(average_name(optimizer, i), k);
      const Tensor decay = average_decay(optimizer.average_at(i), updates);
      // d x + (1 - d) x is x but for rounding, and what is frozen stays to the last bit.
      const Tensor moved = keep_frozen(
          set.segments()[k], scale.taken(average_step(ema, updated.parameters, decay), ema), ema);
      if (moved.id() != ema.id()) program.update(ema, moved);
    }
  }

  scale.finish(program);

  graph.set_label("loss_history");
  const Tensor history = state[state_name::kLossHistory];
  const Tensor length = full(graph, {}, static_cast<double>(history.dim(0)), DType::kU32);
  const Tensor here = equal(iota(graph, history.shape(), 0), rem(counter, length));
  program.update(history, select(here, loss, history));
  program.update(counter, counter + full(graph, {}, 1, DType::kU32));
  graph.set_label("");

  program.output("loss", loss);
  program.output("grad_norm", norm);
  program.output("lr", rate);
}

}  // namespace

std::string average_name(const Optimizer& optimizer, size_t i) {
  if (i == 0) return state_name::kAverage;
  return fmt::format("{}_{}", state_name::kAverage, optimizer.average_at(i).decay);
}

std::string waiting_name(std::string_view sum, int64_t level) {
  return fmt::format("{}_level_{}", sum, level);
}

std::vector<StateTensor> train_state(const ParameterSet& set, const TrainStepOptions& options) {
  using Start = StateTensor::Start;
  std::vector<StateTensor> state;
  const auto add = [&](const std::string& name, Shape shape, DType dtype = DType::kF32) {
    state.push_back({.name = name, .shape = std::move(shape), .dtype = dtype});
  };
  const auto add_of_scale = [&](const char* name, DType dtype, double value) {
    add(name, {}, dtype);
    state.back().value = value;
    state.back().may_be_absent = true;
  };
  const std::span<const Segment> segments = set.segments();
  const auto add_flat = [&](const std::string& name, Start start = Start::kValue) {
    for (size_t k = 0; k < segments.size(); ++k)
      state.push_back({.name = segment_name(name, k, segments.size()),
                       .shape = Shape{segments[k].size},
                       .start = start,
                       .whole = segments.size() == 1 ? "" : name,
                       .first = segments[k].first});
  };
  add_flat(state_name::kParameters, Start::kParameters);
  if (options.optimizer.has_first_moment()) add_flat(state_name::kFirstMoment);
  if (options.optimizer.has_second_moment()) add_flat(state_name::kSecondMoment);
  for (size_t i = 0; i < options.optimizer.averages(); ++i)
    add_flat(average_name(options.optimizer, i), Start::kParameters);
  add(state_name::kCounter, {}, DType::kU32);
  add(state_name::kLossHistory, Shape{options.loss_history});
  if (options.accumulation > 1) {
    add_flat(state_name::kGradientSum);
    add(state_name::kLossSum, {});
    add(state_name::kBatchCounter, {}, DType::kU32);
  }
  if (options.microbatches > 0) {
    const size_t first = state.size();
    add_flat(state_name::kGradientSum);
    add(state_name::kLossSum, {});
    for (int64_t level = 0; level < own_tree(options).levels(); ++level) {
      add_flat(waiting_name(state_name::kGradientSum, level));
      add(waiting_name(state_name::kLossSum, level), {});
    }
    for (size_t k = first; k < state.size(); ++k) state[k].passing = true;
  }
  if (options.precision.scales_loss) {
    add_of_scale(state_name::kLossScale, DType::kF32, kFirstLossScale);
    add_of_scale(state_name::kGoodSteps, DType::kU32, 0);
    add_of_scale(state_name::kSkippedSteps, DType::kU32, 0);
  }
  state.insert(state.end(), options.loss_state.begin(), options.loss_state.end());
  return state;
}

Program train_step_program(const ParameterSet& set, const LossFunction& loss_function,
                           const TrainStepOptions& options) {
  CHECK(options.accumulation == 1, "accumulated training takes two programs");
  Program program;
  program.name = "train_step";
  program.multiply = options.precision.multiply;
  const State state(*program.graph, set, options);
  const LossScale scale = state.loss_scale();
  const FlatTensors flat = state.flat(state_name::kParameters);
  const Tensor loss =
      add_loss(program, set, loss_function, flat, state[state_name::kCounter], scale);
  finish_step(program, set, options, state, loss, flat_gradient(set, flat, scale.scaled(loss)));
  return program;
}

Program accumulate_program(const ParameterSet& set, const LossFunction& loss_function,
                           const TrainStepOptions& options) {
  CHECK(options.accumulation > 1, "one batch per update takes train_step_program");
  Program program;
  program.name = "accumulate";
  program.multiply = options.precision.multiply;
  const State state(*program.graph, set, options);
  const LossScale scale = state.loss_scale();
  const FlatTensors flat = state.flat(state_name::kParameters);
  const Tensor counter = state[state_name::kBatchCounter];
  const Tensor loss = add_loss(program, set, loss_function, flat, counter, scale);
  const FlatTensors gradient_sum = state.flat(state_name::kGradientSum);
  const Tensor loss_sum = state[state_name::kLossSum];
  const FlatTensors gradient = flat_gradient(set, flat, scale.scaled(loss));
  for (size_t k = 0; k < gradient.size(); ++k)
    program.update(gradient_sum[k], gradient_sum[k] + gradient[k]);
  program.update(loss_sum, loss_sum + loss);
  program.update(counter, counter + full(*program.graph, {}, 1, DType::kU32));
  program.output("loss", loss);
  return program;
}

Program apply_program(const ParameterSet& set, const TrainStepOptions& options) {
  CHECK(options.accumulation > 1, "one batch per update takes train_step_program");
  Program program;
  program.name = "apply";
  Graph& graph = *program.graph;
  const State state(graph, set, options);
  const FlatTensors gradient_sum = state.flat(state_name::kGradientSum);
  const Tensor loss_sum = state[state_name::kLossSum];
  const double share = 1.0 / static_cast<double>(options.accumulation);
  FlatTensors gradient;
  for (const Tensor& sum : gradient_sum) gradient.push_back(sum * share);
  finish_step(program, set, options, state, loss_sum * share, std::move(gradient));
  for (const Tensor& sum : gradient_sum) program.update(sum, full(graph, sum.shape(), 0));
  program.update(loss_sum, full(graph, loss_sum.shape(), 0));
  return program;
}

Program microbatch_program(const ParameterSet& set, const LossFunction& loss_function,
                           const TrainStepOptions& options) {
  CHECK(options.microbatches > 0, "a batch that is computed at once takes train_step_program");
  Program program;
  program.name = "microbatch";
  program.multiply = options.precision.multiply;
  Graph& graph = *program.graph;
  const State state(graph, set, options);
  const LossScale scale = state.loss_scale();
  const FlatTensors flat = state.flat(state_name::kParameters);
  const Tensor loss =
      add_loss(program, set, loss_function, flat, state[state_name::kCounter], scale);
  const FlatTensors gradient = flat_gradient(set, flat, scale.scaled(loss));
  const bool sums = own_tree(options).block() > 1;
  const Tensor anew =
      sums ? equal(input(graph, kFirstOfBlock, {}), full(graph, {}, 1, DType::kU32)) : Tensor();
  const auto add_to = [&](Tensor sum, Tensor value) {
    value = least_is_zero(value);
    if (sums) value = select(anew, value, least_is_zero(sum + value));
    program.update(sum, value);
  };
  const FlatTensors gradient_sum = state.flat(state_name::kGradientSum);
  for (size_t k = 0; k < gradient.size(); ++k) add_to(gradient_sum[k], gradient[k]);
  add_to(state[state_name::kLossSum], loss);
  program.output("loss", loss);
  return program;
}

Program merge_program(const ParameterSet& set, const TrainStepOptions& options, int64_t merges) {
  const int64_t levels = own_tree(options).levels();
  CHECK(merges <= levels && levels > 0, "no sums wait to be merged");
  Program program;
  program.name = fmt::format("merge_{}", merges);
  const State state(*program.graph, set, options);
  const auto merge = [&](const char* name, size_t k, size_t of) {
    const Tensor newest = state[segment_name(name, k, of)];
    Tensor sum = newest;
    const auto waiting = [&](int64_t level) {
      return state[segment_name(waiting_name(name, level), k, of)];
    };
    for (int64_t level = 0; level < merges; ++level) sum = least_is_zero(waiting(level) + sum);
    program.update(merges == levels ? newest : waiting(merges), sum);
  };
  const size_t segments = set.segments().size();
  for (size_t k = 0; k < segments; ++k) merge(state_name::kGradientSum, k, segments);
  merge(state_name::kLossSum, 0, 1);
  return program;
}

Program update_program(const ParameterSet& set, const TrainStepOptions& options) {
  CHECK(options.microbatches > 0, "a batch that is computed at once takes train_step_program");
  Program program;
  program.name = "update";
  const State state(*program.graph, set, options);
  const double share = 1.0 / static_cast<double>(options.microbatches);
  FlatTensors gradient;
  for (const Tensor& sum : state.flat(state_name::kGradientSum)) gradient.push_back(sum * share);
  finish_step(program, set, options, state, state[state_name::kLossSum] * share,
              std::move(gradient));
  return program;
}

}  // namespace ito
