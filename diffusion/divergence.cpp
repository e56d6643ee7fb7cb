#include "diffusion/divergence.h"

#include <utility>
#include <vector>

#include "base/check.h"
#include "graph/builder.h"

namespace ito {

Tensor quadratic_form(Tensor score, Tensor x, Tensor v) {
  CHECK(v.shape() == x.shape(), "quadratic form: the vectors are " + v.shape().to_string() +
                                    ", expected " + x.shape().to_string());
  const Tensor jt_v = grad(sum_all(score * v), {x})[0];
  return sum_per_image(jt_v * v);
}

Tensor quadratic_forms(Tensor x, Tensor t, Tensor v, const ScoreFunction& score) {
  const int64_t m = v.dim(0), n = x.dim(0);
  const Tensor copies = repeat_batch(x, m);
  const Tensor s = score(copies, repeat_batch(t, m));
  return reshape(quadratic_form(s, copies, reshape(v, copies.shape())), {m, n});
}

Tensor exact_divergence(Tensor x, Tensor t, const ScoreFunction& score) {
  const int64_t n = x.dim(0), dimensions = x.shape().numel() / n;
  const Shape table = {dimensions, n, dimensions};
  const Tensor one_hot =
      cast(equal(iota(x.graph(), table, 0), iota(x.graph(), table, 2)), DType::kF32);
  return sum(quadratic_forms(x, t, one_hot, score), {0});
}

Tensor repeat_batch(Tensor x, int64_t m) {
  std::vector<int64_t> dims = x.shape().dims();
  dims.insert(dims.begin(), 1);
  const Tensor row = reshape(x, Shape(dims));
  dims[0] = m;
  const Tensor copies = broadcast_to(row, Shape(dims));
  dims.erase(dims.begin());
  dims[0] *= m;
  return reshape(copies, Shape(std::move(dims)));
}

Tensor sum_per_image(Tensor x) {
  std::vector<int64_t> axes;
  for (int axis = 1; axis < x.rank(); ++axis) axes.push_back(axis);
  return axes.empty() ? x : sum(x, std::move(axes));
}

}  // namespace ito
