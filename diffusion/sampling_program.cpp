#include "diffusion/sampling_program.h"

#include <cmath>
#include <utility>
#include <vector>

#include "base/check.h"
#include "diffusion/device_table.h"
#include "diffusion/divergence_words.h"
#include "diffusion/parameterization.h"
#include "diffusion/streams.h"
#include "graph/builder.h"

namespace ito {
namespace {

using namespace sampling_names;  // the names of externals, which are this file's subject

Tensor draw_noise(Graph& graph, const Shape& shape, Tensor step, uint32_t stream) {
  const Tensor key = input(graph, kKey, {2}, DType::kU32);
  const Tensor image = input(graph, kImage, {shape[0]}, DType::kU32);
  return random_normal(shape, key, image, step, stream);
}

}  // namespace

Program sampling_program(const Sampler& sampler, const SamplingOptions& options) {
  const Shape& shape = options.shape;
  CHECK(shape.rank() >= 2, "sampling: x needs an image axis and a channel axis");
  CHECK(sampler.steps() > 0 &&
            sampler.coefficients.size() == sampler.columns.size() * sampler.timesteps.size(),
        "sampling: the coefficient table does not fit the timesteps");
  Program program;
  program.name = "sample_" + sampler.name;
  Graph& graph = *program.graph;
  const Tensor x = input(graph, kX, shape);
  const Tensor step = input(graph, kStep, {}, DType::kU32);
  const Tensor divergence = input(graph, kDivergence, {2}, DType::kU32);

  const Tensor t = broadcast_to(reshape(table_row(sampler.timesteps, 1, step)[0], {1}), {shape[0]});
  const Constraint& constraint = options.constraint;
  Tensor constraint_noise;
  if (constraint) constraint_noise = draw_noise(graph, shape, step, kStreamConstraintNoise);
  const Tensor start =
      constraint ? constraint.project(x, constraint.marginal(t), constraint_noise) : x;

  StepInputs in{.x = start, .output = {}, .noise = {}, .coefficients = {}, .history = {}};
  in.coefficients = table_row({sampler.coefficients.begin(), sampler.coefficients.end()},
                              static_cast<int64_t>(sampler.columns.size()), step);
  Shape output_shape = shape;
  output_shape[-1] *= sampler.output_multiple;
  if (options.denoiser) {
    in.output = options.denoiser(start, t);
    CHECK(in.output.shape() == output_shape,
          "sampling with " + sampler.name + ": the denoiser gives " +
              in.output.shape().to_string() + ", expected " + output_shape.to_string());
  } else {
    in.output = input(graph, kModelOutput, output_shape);
  }
  if (sampler.needs_noise()) {
    in.noise = options.noise_input ? input(graph, kNoise, shape)
                                   : draw_noise(graph, shape, step, kStreamStepNoise);
  }
  for (const std::string& name : sampler.history)
    in.history.push_back(input(graph, kHistory + name, shape));

  StepResult result = sampler.build(in);
  if (constraint)
    result.x = constrain_last(constraint, result.x, step, sampler.steps(), constraint_noise);
  CHECK(result.history.size() == in.history.size(), "sampling: a step must keep its history");
  if (options.x0_output) program.output(kX0, result.x0);
  program.update(x, result.x);
  for (size_t i = 0; i < in.history.size(); ++i) program.update(in.history[i], result.history[i]);
  program.update(divergence, updated_divergence(divergence, {{in.output}}, result.x, step));
  program.update(step, step + scalar(graph, 1, DType::kU32));
  return program;
}

Program initial_noise_program(const Shape& shape, double scale) {
  Program program;
  program.name = "initial_noise";
  Graph& graph = *program.graph;
  const Tensor step = scalar(graph, 0, DType::kU32);
  const Tensor noise = draw_noise(graph, shape, step, kStreamInitialNoise);
  program.update(input(graph, kX, shape), noise * scale);
  return program;
}

Program forward_noise_program(const Shape& shape, double alpha_bar) {
  CHECK(alpha_bar >= 0 && alpha_bar <= 1, "forward noise: alpha_bar outside [0, 1]");
  Program program;
  program.name = "forward_noise";
  Graph& graph = *program.graph;
  const Tensor x0 = input(graph, kX, shape);
  const Tensor noise = draw_noise(graph, shape, scalar(graph, 0, DType::kU32), kStreamForwardNoise);
  program.update(x0, add_noise(x0, noise, scalar(graph, std::sqrt(alpha_bar)),
                               scalar(graph, std::sqrt(1 - alpha_bar))));
  return program;
}

}  // namespace ito
