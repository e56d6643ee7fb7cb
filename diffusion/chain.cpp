#include "diffusion/chain.h"

#include <algorithm>

#include "base/check.h"
#include "diffusion/device_table.h"
#include "diffusion/divergence_words.h"
#include "diffusion/streams.h"
#include "graph/builder.h"

namespace ito {
namespace {

using namespace sampling_names;

Shape state_shape(const ChainState& state, const Shape& shape) {
  return state.per_image ? Shape{shape[0]} : shape;
}

std::vector<Tensor> draw_noises(Graph& graph, const Chain& chain, const ChainOptions& options,
                                Tensor step) {
  std::vector<Tensor> noises;
  for (int draw = 0; draw < chain.draws; ++draw) {
    if (options.noise_input) {
      noises.push_back(input(graph, chain_names::kNoise + std::to_string(draw), options.shape));
      continue;
    }
    const Tensor key = input(graph, kKey, {2}, DType::kU32);
    const Tensor image = input(graph, kImage, {options.shape[0]}, DType::kU32);
    const Tensor word =
        step * scalar(graph, chain.draws, DType::kU32) + scalar(graph, draw, DType::kU32);
    noises.push_back(random_normal(options.shape, key, image, word, kStreamChainNoise));
  }
  return noises;
}

}  // namespace

Tensor ChainStep::for_images(size_t column) const {
  return broadcast_to(reshape(row[column], {1}), {x.dim(0)});
}

size_t Chain::column_index(const std::string& wanted) const {
  const auto found = std::find(columns.begin(), columns.end(), wanted);
  CHECK(found != columns.end(), name + ": no column " + wanted);
  return static_cast<size_t>(found - columns.begin());
}

std::vector<double> Chain::column(const std::string& wanted) const {
  std::vector<double> values;
  for (size_t i = column_index(wanted); i < table.size(); i += columns.size())
    values.push_back(table[i]);
  return values;
}

Program chain_program(const Chain& chain, const ChainOptions& options) {
  const Shape& shape = options.shape;
  CHECK(shape.rank() >= 2, "chain: x needs an image axis and another");
  CHECK(!chain.table.empty() && chain.table.size() % chain.columns.size() == 0,
        "chain: the table does not fit its columns");
  Program program;
  program.name = chain.name;
  Graph& graph = *program.graph;
  const Tensor x = input(graph, kX, shape);
  const Tensor step = input(graph, kStep, {}, DType::kU32);
  const Tensor divergence = input(graph, kDivergence, {2}, DType::kU32);

  ChainStep in{.x = x, .row = {}, .noise = {}, .uniform = {}, .states = {}};
  in.row = table_row(chain.table, static_cast<int64_t>(chain.columns.size()), step);
  in.noise = draw_noises(graph, chain, options, step);
  if (chain.uniform) {
    in.uniform =
        random_uniform({shape[0]}, input(graph, kKey, {2}, DType::kU32),
                       input(graph, kImage, {shape[0]}, DType::kU32), step, kStreamChainUniform);
  }
  for (const ChainState& state : chain.states)
    in.states.push_back(input(graph, kHistory + state.name, state_shape(state, shape)));

  const Constraint& constraint = options.constraint;
  Tensor constraint_noise;
  if (constraint) {
    CHECK(chain.states.empty(), chain.name + ": a constraint would leave its states behind");
    constraint_noise =
        random_normal(shape, input(graph, kKey, {2}, DType::kU32),
                      input(graph, kImage, {shape[0]}, DType::kU32), step, kStreamConstraintNoise);
    const Tensor time = in.for_images(chain.column_index("time"));
    in.x = constraint.project(x, constraint.marginal(time), constraint_noise);
  }

  ChainResult result = chain.build(in);
  if (constraint)
    result.x = constrain_last(constraint, result.x, step, chain.steps, constraint_noise);
  CHECK(result.states.size() == in.states.size(), "chain: a step must keep its states");
  CHECK(result.x.shape() == shape, "chain: a step must keep the shape of x");
  if (options.outputs)
    for (const auto& [name, value] : result.outputs)
      program.output(chain_names::kOutput + name, value);
  program.update(x, result.x);
  for (size_t i = 0; i < in.states.size(); ++i) program.update(in.states[i], result.states[i]);
  program.update(divergence, updated_divergence(divergence, result.scores, result.x, step,
                                                options.divergence_limit));
  program.update(step, step + scalar(graph, 1, DType::kU32));
  return program;
}

Program chain_start_program(const Chain& chain, const Shape& shape) {
  CHECK(chain.start != nullptr, chain.name + ": starts from zero states");
  Program program;
  program.name = chain.name + "_start";
  Graph& graph = *program.graph;
  const std::vector<Tensor> values = chain.start(input(graph, kX, shape));
  CHECK(values.size() == chain.states.size(), "chain: a start must give every state");
  for (size_t i = 0; i < values.size(); ++i)
    program.update(
        input(graph, kHistory + chain.states[i].name, state_shape(chain.states[i], shape)),
        values[i]);
  return program;
}

}  // namespace ito
