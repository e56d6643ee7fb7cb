// Golden family unet, the train_* cases: a few optimiser steps by the training program of nn, with
// the state on the device between them.
#include <cmath>

#include "base/error.h"
#include "graph/builder.h"
#include "graph/compile.h"
#include "nn/train_step.h"
#include "runtime/executor.h"
#include "tests/golden_runner/families.h"
#include "tests/golden_runner/networks.h"
#include "tests/golden_runner/program_run.h"

namespace ito::golden {
namespace {

struct Recipe {
  TrainStepOptions options;
  bool average = false;
  std::vector<double> losses;
  std::vector<double> norms;  // before clipping
};

Result<std::vector<double>> numbers(const Json& parent, const std::string& key) {
  if (!parent.contains(key) || !parent.at(key).is_array())
    return corrupt("key '{}': expected a list of numbers", key);
  std::vector<double> values;
  for (const Json& item : parent.at(key)) {
    if (!item.is_number()) return corrupt("key '{}': expected a list of numbers", key);
    values.push_back(item.get<double>());
  }
  return values;
}

Result<Recipe> read_recipe(const Case& golden) {
  Recipe recipe;
  Optimizer& optimizer = recipe.options.optimizer;
  ITO_ASSIGN(const std::string mode, text(golden.json, "mode"));
  if (mode.starts_with("adamw"))
    optimizer.kind = Optimizer::Kind::kAdamW;
  else if (mode.starts_with("adam"))
    optimizer.kind = Optimizer::Kind::kAdam;
  else
    return unsupported("unknown training mode '{}'", mode);
  ITO_ASSIGN(optimizer.learning_rate.base, number(golden.json, "lr"));
  ITO_ASSIGN(const std::vector<double> betas, numbers(golden.json, "betas"));
  if (betas.size() != 2) return corrupt("key 'betas': expected two numbers");
  optimizer.beta1 = betas[0];
  optimizer.beta2 = betas[1];
  ITO_ASSIGN(optimizer.eps, number_or(golden.json, "eps", 1e-8));
  ITO_ASSIGN(optimizer.weight_decay, number_or(golden.json, "weight_decay", 0));
  ITO_ASSIGN(optimizer.max_grad_norm, number_or(golden.json, "clip_norm", 0));
  optimizer.average.kind = Average::Kind::kNone;
  if (golden.json.contains("ema")) {
    recipe.average = true;
    optimizer.average.kind = Average::Kind::kConstant;
    ITO_ASSIGN(optimizer.average.decay, number(golden.json, "ema_decay"));
  }
  ITO_TRY(check_optimizer(optimizer));
  ITO_ASSIGN(recipe.losses, numbers(golden.json, "losses"));
  if (golden.json.contains("grad_norms_before_clip")) {
    ITO_ASSIGN(recipe.norms, numbers(golden.json, "grad_norms_before_clip"));
  }
  return recipe;
}

// x_t, timestep and noise of every step: of the case itself, or of train_adamw_ema beside it.
struct Batches {
  Array x_t, timestep, noise;  // [steps, n, ...], x_t and noise channels last
};

Result<Batches> read_batches(const Case& golden) {
  Case source = golden;
  if (!golden.has("x_t")) {
    const Path folder = Path(golden.name).parent_path();
    ITO_ASSIGN(source, load_case(golden.folder, (folder / "train_adamw_ema").string()));
  }
  Batches batches;
  ITO_ASSIGN(const Array x_t, source.array("x_t"));
  ITO_ASSIGN(const Array noise, source.array("noise"));
  ITO_ASSIGN(batches.timestep, source.array("timestep"));
  if (x_t.shape.rank() != 5 || noise.shape != x_t.shape ||
      batches.timestep.shape != Shape{x_t.shape[0], x_t.shape[1]})
    return corrupt("x_t {}, noise {} and timestep {} do not fit together", x_t.shape.to_string(),
                   noise.shape.to_string(), batches.timestep.shape.to_string());
  const std::vector<int> order = {0, 1, 3, 4, 2};
  batches.x_t = permuted(x_t, order);
  batches.noise = permuted(noise, order);
  return batches;
}

// The README's row "training": final and averaged parameters, absolute.
Status compare_parameters(const Case& golden, const std::string& kind,
                          const ForeignTensors& parameters, double key_bias_limit,
                          Comparison& comparison) {
  ITO_ASSIGN(const Json table, object(golden.json, kind));
  for (const auto& [name, parameter] : parameters) {
    if (!table.contains(name)) return corrupt("{} has no {}", kind, name);
    ITO_ASSIGN(const Json entry, object(table, name));
    ITO_ASSIGN(const int64_t stride, integer_or(entry, "stride", 1));
    if (stride < 1) return corrupt("{}: stride {}", name, stride);
    ITO_ASSIGN(const double norm, number(entry, "norm"));
    ITO_ASSIGN(const double dot, number(entry, "dot"));
    const std::string tensor = kind + "." + name;
    ITO_ASSIGN(const Array expected, golden.array(tensor));
    const double limit = is_key_bias(name) ? std::max(1e-3, key_bias_limit) : 1e-3;
    const double spread = limit * std::sqrt(static_cast<double>(parameter.data.size()));
    comparison.absolute(tensor, sampled(parameter, stride), expected, limit);
    comparison.measured("norm of " + tensor, std::fabs(norm_of(parameter) - norm), spread);
    comparison.measured("dot of " + tensor, std::fabs(dot_of(parameter) - dot), spread);
  }
  return {};
}

Result<ForeignTensors> read_parameters(Executor& executor, const ParameterSet& set,
                                       std::string_view name) {
  ITO_ASSIGN(const std::vector<float> flat, executor.read<float>(name));
  return unpack_parameters(set, flat);
}

std::vector<float> floats_of(const Array& array) { return {array.data.begin(), array.data.end()}; }

}  // namespace

Result<Outcome> run_training(vk::Device& device, const Case& golden) {
  std::string reason;
  ITO_ASSIGN(const std::optional<Component> model,
             read_network((golden.folder / golden.name).parent_path(), reason));
  if (!model) return skipped("later: " + reason);
  const Network& network = model->network;
  const Signature& signature = network.signature();
  ITO_ASSIGN(const Recipe recipe, read_recipe(golden));
  ITO_ASSIGN(const Batches batches, read_batches(golden));
  const int64_t steps = static_cast<int64_t>(recipe.losses.size());
  const Array first = row(batches.x_t, 0);
  if (steps < 1 || steps > batches.x_t.shape[0]) return corrupt("more losses than batches");
  if (signature.in_channels != first.shape[3] || signature.out_channels != first.shape[3])
    return corrupt("x_t does not have the network's channels");
  ITO_TRY(network.check_size(first.shape[1], first.shape[2]));

  const LossFunction loss = [&](Graph& graph, const Scope& parameters, Tensor) {
    const Tensor x_t = input(graph, "x_t", first.shape);
    const Tensor noise = input(graph, "noise", first.shape);
    const Tensor timestep = input(graph, "timestep", {first.shape[0]}, DType::kU32);
    return mean_all(square(network.build(parameters, x_t, timestep) - noise));
  };
  const Program program = train_step_program(network.set(), loss, recipe.options);
  ITO_ASSIGN(Plan plan, compile(program, device.caps()));
  ITO_ASSIGN(const auto executor,
             Executor::create(device, std::move(plan), ExecutorOptions{.canary = true}));
  for (const StateTensor& state : train_state(network.set(), recipe.options))
    if (state.start == StateTensor::Start::kParameters)
      ITO_TRY(executor->write(state.name, model->weights));

  Comparison comparison;
  for (int64_t step = 0; step < steps; ++step) {
    const Array t = row(batches.timestep, step);
    ITO_TRY(executor->enqueue_write("x_t", floats_of(row(batches.x_t, step))));
    ITO_TRY(executor->enqueue_write("noise", floats_of(row(batches.noise, step))));
    ITO_TRY(
        executor->enqueue_write("timestep", std::vector<uint32_t>(t.data.begin(), t.data.end())));
    ITO_TRY(executor->run());
    const size_t at = static_cast<size_t>(step);
    ITO_ASSIGN(const std::vector<float> value, executor->read<float>("loss"));
    comparison.relative(fmt::format("losses[{}]", step), {.shape = {1}, .data = {value.at(0)}},
                        {.shape = {1}, .data = {recipe.losses[at]}}, 1e-4);
    // Norms amplify what Adam makes of float32 noise; the README gives the losses' limit only, so
    // the first, which no update has touched, is held to it.
    if (step == 0 && !recipe.norms.empty()) {
      ITO_ASSIGN(const std::vector<float> norm, executor->read<float>("grad_norm"));
      comparison.relative("grad_norms_before_clip[0]", {.shape = {1}, .data = {norm.at(0)}},
                          {.shape = {1}, .data = {recipe.norms[0]}}, 1e-4);
    }
  }
  const double key_bias_limit =
      recipe.options.optimizer.learning_rate.base * static_cast<double>(steps);
  ITO_ASSIGN(const ForeignTensors parameters,
             read_parameters(*executor, network.set(), state_name::kParameters));
  ITO_TRY(compare_parameters(golden, "final", parameters, key_bias_limit, comparison));
  if (recipe.average) {
    ITO_ASSIGN(const ForeignTensors average,
               read_parameters(*executor, network.set(), state_name::kAverage));
    ITO_TRY(compare_parameters(golden, "ema", average, key_bias_limit, comparison));
  }
  return comparison.outcome();
}

}  // namespace ito::golden
