#include "diffusion/method.h"

#include <algorithm>

#include "base/check.h"
#include "diffusion/device_table.h"
#include "diffusion/divergence_words.h"
#include "diffusion/streams.h"
#include "graph/builder.h"

namespace ito {
namespace {

using namespace sampling_ports;

// `step` counted in parts of which each has `parts`.
Tensor part_of_step(Tensor step, int parts, int part) {
  Graph& graph = step.graph();
  return step * scalar(graph, parts, DType::kU32) + scalar(graph, part, DType::kU32);
}

Shape state_shape(const MethodState& state, const Shape& shape) {
  return state.per_image ? Shape{shape[0]} : shape;
}

std::vector<Tensor> draw_noises(Graph& graph, const Method& method, const MethodOptions& options,
                                Tensor step) {
  std::vector<Tensor> noises;
  for (int draw = 0; draw < method.draws; ++draw) {
    if (options.noise_input) {
      noises.push_back(input(graph, method_ports::kNoise[draw], options.shape));
      continue;
    }
    const Tensor key = input(graph, kKey, {2});
    const Tensor image = input(graph, kImage, {options.shape[0]});
    noises.push_back(random_normal(options.shape, key, image,
                                   part_of_step(step, method.draws, draw), method.noise_stream));
  }
  return noises;
}

// Fills in MethodStep::agree, for move 0 too, and MethodStep::settle.
void constrain_moves(MethodStep& in, const Method& method, const MethodOptions& options,
                     Tensor step) {
  const Constraint& constraint = options.constraint;
  if (!constraint) {
    in.agree = [](Tensor x, int) { return x; };
    in.settle = [](Tensor, Tensor moved, Tensor) { return moved; };
    return;
  }
  CHECK(method.level || method.states.empty(),
        method.name + ": a constraint would leave its states behind");
  Graph& graph = step.graph();
  const Marginal level = method.level
                             ? method.level(in)
                             : constraint.marginal(in.for_images(method.column_index("time")));
  const Tensor key = input(graph, kKey, {2});
  const Tensor image = input(graph, kImage, {options.shape[0]});
  in.agree = [=, moves = method.moves, shape = options.shape, project = constraint.project](
                 Tensor x, int move) {
    CHECK(move < moves, "method: more moves than it says");
    const Tensor word = part_of_step(step, moves, move);
    return project(x, level, random_normal(shape, key, image, word, kStreamConstraintNoise));
  };
  in.settle = [level, settle = constraint.settle](Tensor x, Tensor moved, Tensor size) {
    return settle ? settle(x, moved, size, level) : moved;
  };
}

}  // namespace

Tensor MethodStep::for_images(size_t column) const {
  return broadcast_to(reshape(row[column], {1}), {x.dim(0)});
}

size_t Method::column_index(const std::string& wanted) const {
  const auto found = std::find(columns.begin(), columns.end(), wanted);
  CHECK(found != columns.end(), name + ": no column " + wanted);
  return static_cast<size_t>(found - columns.begin());
}

std::vector<double> Method::column(const std::string& wanted) const {
  std::vector<double> values;
  for (size_t i = column_index(wanted); i < table.size(); i += columns.size())
    values.push_back(table[i]);
  return values;
}

Program method_program(const Method& method, const MethodOptions& options) {
  const Shape& shape = options.shape;
  CHECK(shape.rank() >= 2, "method: x needs an image axis and another");
  CHECK(!method.table.empty() && method.table.size() % method.columns.size() == 0,
        "method: the table does not fit its columns");
  Program program;
  program.name = method.name;
  Graph& graph = *program.graph;
  const Tensor x = input(graph, kX, shape);
  const Tensor step = input(graph, kStep, {});
  const Tensor divergence = input(graph, kDivergence, {2});

  MethodStep in{
      .x = x, .row = {}, .noise = {}, .uniform = {}, .states = {}, .agree = {}, .settle = {}};
  in.row = table_row(method.table, static_cast<int64_t>(method.columns.size()), step);
  in.noise = draw_noises(graph, method, options, step);
  if (method.uniform) {
    in.uniform = random_uniform({shape[0]}, input(graph, kKey, {2}),
                                input(graph, kImage, {shape[0]}), step, kStreamMethodUniform);
  }
  for (const MethodState& state : method.states)
    in.states.push_back(input(graph, kHistory[state.name], state_shape(state, shape)));

  constrain_moves(in, method, options, step);
  in.x = in.agree(x, 0);
  MethodResult result = method.build(in);
  if (options.constraint)  // at the observation's own level the noise counts for nothing
    result.x =
        constrain_last(options.constraint, result.x, step, method.steps, full(graph, shape, 0));
  CHECK(result.states.size() == in.states.size(), "method: a step must keep its states");
  CHECK(result.x.shape() == shape, "method: a step must keep the shape of x");
  if (options.outputs)
    for (const auto& [name, value] : result.outputs)
      program.output(method_ports::kOutput[name], value);
  program.update(x, result.x);
  for (size_t i = 0; i < in.states.size(); ++i) program.update(in.states[i], result.states[i]);
  program.update(divergence, updated_divergence(divergence, result.watched, result.x, step,
                                                options.divergence_limit));
  program.update(step, step + scalar(graph, 1, DType::kU32));
  return program;
}

Program method_start_program(const Method& method, const Shape& shape) {
  CHECK(method.start != nullptr, method.name + ": starts from zero states");
  Program program;
  program.name = method.name + "_start";
  Graph& graph = *program.graph;
  const std::vector<Tensor> values = method.start(input(graph, kX, shape));
  CHECK(values.size() == method.states.size(), "method: a start must give every state");
  for (size_t i = 0; i < values.size(); ++i)
    program.update(
        input(graph, kHistory[method.states[i].name], state_shape(method.states[i], shape)),
        values[i]);
  return program;
}

}  // namespace ito
