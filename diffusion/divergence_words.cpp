#include "diffusion/divergence_words.h"

#include <limits>

#include "base/check.h"
#include "base/error.h"
#include "graph/builder.h"

namespace ito {
namespace {

constexpr double kLargestFloat = std::numeric_limits<float>::max();

// 1 if a magnitude exceeds the limit or is NaN, else 0: f32 []. Asks for what is good, as every
// comparison with NaN is false.
Tensor any_bad(Tensor values, double limit) {
  Graph& graph = values.graph();
  const Shape& shape = values.shape();
  const Tensor good = less(abs(values), full(graph, shape, limit));
  const Tensor bad = select(good, full(graph, shape, 0), full(graph, shape, 1));
  return max(reshape(bad, {shape.numel()}), {0});
}

// The step's number, counted from 1, where nothing was recorded and something is bad: u32 [1].
Tensor first_bad(Tensor recorded, Tensor bad, Tensor step) {
  Graph& graph = step.graph();
  const Tensor now = cast(bad, DType::kU32) * (step + scalar(graph, 1, DType::kU32));
  return select(equal(recorded, full(graph, {1}, 0, DType::kU32)), reshape(now, {1}), recorded);
}

}  // namespace

Tensor updated_divergence(Tensor divergence, std::span<const Tensor> outputs, Tensor x, Tensor step,
                          double limit) {
  Tensor bad_output = scalar(step.graph(), 0);
  for (const Tensor output : outputs)
    bad_output = maximum(bad_output, any_bad(output, kLargestFloat));
  return concat({first_bad(slice_axis(divergence, 0, 0, 1), bad_output, step),
                 first_bad(slice_axis(divergence, 0, 1, 2), any_bad(x, limit), step)},
                0);
}

Status check_divergence(std::span<const uint32_t> divergence, std::string_view method) {
  CHECK(divergence.size() == 2, "divergence is two words");
  const uint32_t output = divergence[0], sample = divergence[1];
  if (output != 0 && (sample == 0 || output <= sample))
    return diverged("{}: the model's output is not finite at step {}", method, output);
  if (sample != 0)
    return diverged(
        "{}: the sample diverged at step {}: it is not finite or absurdly large; the step size or "
        "a guidance scale is too large",
        method, sample);
  return {};
}

}  // namespace ito
