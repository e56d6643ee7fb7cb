#include "api/objective.h"

#include "api/task.h"
#include "graph/builder.h"

namespace ito {

Batch batch_inputs(Graph& graph, const BatchPorts& ports, const Shape& shape) {
  Batch batch{.images = input(graph, batch_ports::kImages, shape)};
  if (ports.labels) batch.labels = input(graph, batch_ports::kLabels, {shape[0]});
  return batch;
}

LossFunction batch_loss(const Objective& objective, const Shape& shape, bool part) {
  return [loss = objective.loss, ports = objective.ports, shape, part](
             Graph& graph, const Scope& parameters, Tensor counter) {
    Randomness random{.image = iota(graph, {shape[0]}, 0), .step = counter};
    if (part) random.image = random.image + input(graph, batch_ports::kFirstImage, {});
    if (ports.randomness) random.key = input(graph, batch_ports::kKey, {2});
    return loss(parameters.drawing(random), batch_inputs(graph, ports, shape), random);
  };
}

}  // namespace ito
