#include "diffusion/sampling_program.h"

#include "diffusion/parameterization.h"
#include "diffusion/streams.h"
#include "graph/builder.h"

namespace ito {
namespace {

using namespace sampling_ports;  // which are this file's subject

Tensor draw_noise(Graph& graph, const Shape& shape, uint32_t stream) {
  const Tensor key = input(graph, kKey, {2});
  const Tensor image = input(graph, kImage, {shape[0]});
  return random_normal(shape, key, image, scalar(graph, 0, DType::kU32), stream);
}

}  // namespace

Program initial_noise_program(const Shape& shape, double scale) {
  Program program;
  program.name = "initial_noise";
  Graph& graph = *program.graph;
  const Tensor noise = draw_noise(graph, shape, kStreamInitialNoise);
  program.update(input(graph, kX, shape), noise * scale);
  return program;
}

Program forward_noise_program(const Shape& shape, double mean, double std) {
  Program program;
  program.name = "forward_noise";
  Graph& graph = *program.graph;
  const Tensor x0 = input(graph, kPicture, shape);
  const Tensor noise = draw_noise(graph, shape, kStreamForwardNoise);
  program.update(input(graph, kX, shape),
                 add_noise(x0, noise, scalar(graph, mean), scalar(graph, std)));
  return program;
}

}  // namespace ito
