#include "nn/train_step.h"

#include "base/check.h"

namespace ito {
namespace {

// The inputs of a program, by name, as train_state() describes them.
class State {
 public:
  State(Graph& graph, const ParameterSet& set, const TrainStepOptions& options)
      : graph_(graph), tensors_(train_state(set, options)) {}

  bool has(std::string_view name) const { return find(name) != nullptr; }

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
  std::vector<StateTensor> tensors_;
};

// Frozen parameters lie behind the trainable ones; they keep their old value.
Tensor keep_frozen(const ParameterSet& set, Tensor updated, Tensor old) {
  if (set.trainable_size() == set.size()) return updated;
  Graph& graph = updated.graph();
  const Tensor limit = full(graph, {}, static_cast<double>(set.trainable_size()), DType::kU32);
  return select(less(iota(graph, updated.shape(), 0), limit), updated, old);
}

// The loss of one batch; its state moves on.
Tensor add_loss(Program& program, const ParameterSet& set, const LossFunction& function,
                Tensor flat, Tensor counter) {
  const LossResult result = function(*program.graph, Scope(set, flat), counter);
  CHECK(result.loss.shape() == Shape{},
        "a loss is a scalar, not " + result.loss.shape().to_string());
  for (const auto& [state, value] : result.updates) program.update(state, value);
  return result.loss;
}

// Everything after the gradient: clipping, update, average, counter, loss history and outputs.
void finish_step(Program& program, const ParameterSet& set, const TrainStepOptions& options,
                 const State& state, Tensor loss, Tensor gradient) {
  Graph& graph = *program.graph;
  const Optimizer& optimizer = options.optimizer;
  const Tensor counter = state[state_name::kCounter];
  graph.set_label("optimizer");

  const Tensor norm = global_norm(gradient);
  if (optimizer.max_grad_norm > 0) {
    gradient = clip_by_norm(gradient, norm, optimizer.max_grad_norm);
  }
  const Tensor rate = learning_rate(optimizer.learning_rate, counter);
  OptimizerState old{.parameters = state[state_name::kParameters]};
  if (optimizer.has_first_moment()) old.first_moment = state[state_name::kFirstMoment];
  if (optimizer.has_second_moment()) old.second_moment = state[state_name::kSecondMoment];
  OptimizerState updated = optimizer_step(optimizer, old, gradient, rate, counter);
  updated.parameters = keep_frozen(set, updated.parameters, old.parameters);

  program.update(old.parameters, updated.parameters);
  if (old.first_moment) program.update(old.first_moment, updated.first_moment);
  if (old.second_moment) program.update(old.second_moment, updated.second_moment);
  if (state.has(state_name::kAverage)) {
    const Tensor ema = state[state_name::kAverage];
    const Tensor decay = average_decay(optimizer.average, counter);
    program.update(ema, average_step(ema, updated.parameters, decay));
  }

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

std::vector<StateTensor> train_state(const ParameterSet& set, const TrainStepOptions& options) {
  using Start = StateTensor::Start;
  const Shape flat{set.size()};
  std::vector<StateTensor> state;
  const auto add = [&](const char* name, Shape shape, DType dtype = DType::kF32,
                       Start start = Start::kZeros) {
    state.push_back({name, std::move(shape), dtype, start});
  };
  add(state_name::kParameters, flat, DType::kF32, Start::kParameters);
  if (options.optimizer.has_first_moment()) add(state_name::kFirstMoment, flat);
  if (options.optimizer.has_second_moment()) add(state_name::kSecondMoment, flat);
  if (options.optimizer.average.kept()) {
    add(state_name::kAverage, flat, DType::kF32, Start::kParameters);
  }
  add(state_name::kCounter, {}, DType::kU32);
  add(state_name::kLossHistory, Shape{options.loss_history});
  if (options.accumulation > 1) {
    add(state_name::kGradientSum, flat);
    add(state_name::kLossSum, {});
    add(state_name::kBatchCounter, {}, DType::kU32);
  }
  state.insert(state.end(), options.loss_state.begin(), options.loss_state.end());
  return state;
}

Program train_step_program(const ParameterSet& set, const LossFunction& loss_function,
                           const TrainStepOptions& options) {
  CHECK(options.accumulation == 1, "accumulated training takes two programs");
  Program program;
  program.name = "train_step";
  const State state(*program.graph, set, options);
  const Tensor flat = state[state_name::kParameters];
  const Tensor loss = add_loss(program, set, loss_function, flat, state[state_name::kCounter]);
  finish_step(program, set, options, state, loss, flat_gradient(set, flat, loss));
  return program;
}

Program accumulate_program(const ParameterSet& set, const LossFunction& loss_function,
                           const TrainStepOptions& options) {
  CHECK(options.accumulation > 1, "one batch per update takes train_step_program");
  Program program;
  program.name = "accumulate";
  const State state(*program.graph, set, options);
  const Tensor flat = state[state_name::kParameters];
  const Tensor counter = state[state_name::kBatchCounter];
  const Tensor loss = add_loss(program, set, loss_function, flat, counter);
  const Tensor gradient_sum = state[state_name::kGradientSum];
  const Tensor loss_sum = state[state_name::kLossSum];
  program.update(gradient_sum, gradient_sum + flat_gradient(set, flat, loss));
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
  const Tensor gradient_sum = state[state_name::kGradientSum];
  const Tensor loss_sum = state[state_name::kLossSum];
  const double share = 1.0 / static_cast<double>(options.accumulation);
  finish_step(program, set, options, state, loss_sum * share, gradient_sum * share);
  program.update(gradient_sum, full(graph, gradient_sum.shape(), 0));
  program.update(loss_sum, full(graph, loss_sum.shape(), 0));
  return program;
}

}  // namespace ito
