#include "diffusion/class_dropout.h"

#include "diffusion/streams.h"
#include "graph/builder.h"

namespace ito {

Tensor drop_labels(Tensor labels, int null_class, double probability, Tensor key, Tensor image,
                   Tensor step) {
  Graph& graph = labels.graph();
  const Shape shape = labels.shape();
  const Tensor u = random_uniform(shape, key, image, step, kStreamClassDropout);
  return select(less(u, full(graph, shape, probability)),
                full(graph, shape, null_class, DType::kU32), labels);
}

}  // namespace ito
