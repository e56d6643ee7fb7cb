// Group norm (Wu and He 2018) and layer norm (Ba et al. 2016). Statistics are rebuilt by the same
// calls in decompose() and in the gradients, so that value numbering computes them once.
#include <cmath>

#include "graph/builder.h"
#include "graph/ops/families.h"
#include "graph/ops/support.h"

namespace ito {
namespace {

using Inputs = std::span<const Tensor>;
using Grads = std::vector<Tensor>;

// x centred and scaled to unit variance over `axes`, and the factor that scaled it.
struct Normalised {
  Tensor x_hat, rstd;
};

// Mean and variance from one pass: of the distances from one element of each group and of their
// squares. These are of the size of the deviation, however far from zero x lies, so that nothing
// cancels in the difference. The element is a constant to the gradient, which does not depend on
// it.
Normalised normalise(Tensor x, const std::vector<int64_t>& axes, double eps) {
  Tensor pivot = x;
  for (int64_t axis : axes) pivot = slice_axis(pivot, static_cast<int>(axis), 0, 1);
  pivot = stop_gradient(pivot);
  const Tensor distance = x - pivot;
  const Tensor shift = mean(distance, axes, true);
  const Tensor rstd = rsqrt(mean(square(distance), axes, true) - square(shift) + eps);
  return {(x - (pivot + shift)) * rstd, rstd};
}

Status check_scale_and_shift(const Graph& graph, const Node& node) {
  ITO_TRY(check_float_operands(graph, node));
  const auto* attr = std::get_if<NormAttr>(&node.attrs);
  if (!attr || attr->groups < 1) return node_error(graph, node, "needs its groups and eps");
  const Shape& x = operand(graph, node, 0).shape;
  if (x.rank() < 2) return node_error(graph, node, "the operand needs at least two axes");
  Shape channels{x[-1]};
  if (operand(graph, node, 1).shape != channels || operand(graph, node, 2).shape != channels)
    return node_error(graph, node, "scale and shift must be {}", channels.to_string());
  return {};
}

const NormAttr& norm_attr(const Node& node) { return std::get<NormAttr>(node.attrs); }

// --- group norm -------------------------------------------------------------------------------

// [n, ..., c] as [n, s, groups, c / groups]; statistics run over the axes 1 and 3.
Shape grouped_shape(const Shape& x, int64_t groups) {
  int64_t n = x[0], c = x[-1];
  return {n, x.numel() / (n * c), groups, c / groups};
}

std::vector<int64_t> group_axes() { return {1, 3}; }

Normalised normalise_groups(Tensor x, const NormAttr& attr) {
  return normalise(reshape(x, grouped_shape(x.shape(), attr.groups)), group_axes(), attr.eps);
}

Result<Shape> infer_group_norm(const Graph& graph, const Node& node) {
  ITO_TRY(check_scale_and_shift(graph, node));
  const Shape& x = operand(graph, node, 0).shape;
  if (x[-1] % norm_attr(node).groups != 0)
    return node_error(graph, node, "{} channels are no multiple of {} groups", x[-1],
                      norm_attr(node).groups);
  return x;
}

// One (image, group): spatial positions times channels of the group.
HostValue eval_group_norm(const Node& node, std::span<const HostValue* const> in) {
  const NormAttr& attr = norm_attr(node);
  const Shape s = grouped_shape(node.shape, attr.groups);
  const std::vector<double>& x = in[0]->data;
  HostValue y{node.shape, std::vector<double>(x.size())};
  const double count = static_cast<double>(s[1] * s[3]);
  for (int64_t n = 0; n < s[0]; ++n)
    for (int64_t g = 0; g < s[2]; ++g) {
      auto each = [&](auto fn) {
        for (int64_t p = 0; p < s[1]; ++p)
          for (int64_t c = 0; c < s[3]; ++c)
            fn(size_t(((n * s[1] + p) * s[2] + g) * s[3] + c), size_t(g * s[3] + c));
      };
      double mean = 0, variance = 0;
      each([&](size_t i, size_t) { mean += x[i] / count; });
      each([&](size_t i, size_t) { variance += (x[i] - mean) * (x[i] - mean) / count; });
      const double rstd = 1 / std::sqrt(variance + attr.eps);
      each([&](size_t i, size_t c) {
        y.data[i] = (x[i] - mean) * rstd * in[1]->data[c] + in[2]->data[c];
      });
    }
  return y;
}

Tensor decompose_group_norm(Tensor self, Inputs x) {
  Tensor x_hat = normalise_groups(x[0], norm_attr(self.node())).x_hat;
  return reshape(x_hat, x[0].shape()) * x[1] + x[2];
}

// With x_hat = (x - mean) rstd and m(.) the mean over a group:
//   dx = rstd (dy γ - m(dy γ) - x_hat m(dy γ x_hat)), dγ = sum dy x_hat, dβ = sum dy.
// All four sums follow from two sums per (image, channel) over the positions, taken in one pass.
Grads grad_group_norm(Tensor self, Inputs x, Tensor dy) {
  const NormAttr& attr = norm_attr(self.node());
  const Shape s = grouped_shape(x[0].shape(), attr.groups);
  const Normalised norm = normalise_groups(x[0], attr);
  const Tensor gamma = reshape(x[1], Shape{1, 1, s[2], s[3]});
  const Tensor dy_grouped = reshape(dy, s);
  const Tensor sum_dy = sum(dy_grouped, {1}, true);                 // [n,1,groups,c/groups]
  const Tensor sum_dy_x = sum(dy_grouped * norm.x_hat, {1}, true);  // likewise
  const double inverse_count = 1 / static_cast<double>(s[1] * s[3]);
  const Tensor mean_dy = sum(sum_dy * gamma, {3}, true) * inverse_count;      // [n,1,groups,1]
  const Tensor mean_dy_x = sum(sum_dy_x * gamma, {3}, true) * inverse_count;  // likewise
  const Tensor dx = norm.rstd * (dy_grouped * gamma - mean_dy - norm.x_hat * mean_dy_x);
  return {reshape(dx, x[0].shape()), reshape(sum(sum_dy_x, {0}), x[1].shape()),
          reshape(sum(sum_dy, {0}), x[2].shape())};
}

// --- layer norm -------------------------------------------------------------------------------

Result<Shape> infer_layer_norm(const Graph& graph, const Node& node) {
  ITO_TRY(check_scale_and_shift(graph, node));
  return operand(graph, node, 0).shape;
}

HostValue eval_layer_norm(const Node& node, std::span<const HostValue* const> in) {
  const int64_t width = node.shape[-1];
  HostValue y{node.shape, in[0]->data};
  for (size_t row = 0; row < y.data.size(); row += size_t(width)) {
    std::span<double> v(y.data.data() + row, size_t(width));
    double mean = 0, variance = 0;
    for (double e : v) mean += e / static_cast<double>(width);
    for (double e : v) variance += (e - mean) * (e - mean) / static_cast<double>(width);
    const double rstd = 1 / std::sqrt(variance + norm_attr(node).eps);
    for (size_t c = 0; c < v.size(); ++c)
      v[c] = (v[c] - mean) * rstd * in[1]->data[c] + in[2]->data[c];
  }
  return y;
}

Tensor decompose_layer_norm(Tensor self, Inputs x) {
  Tensor x_hat = normalise(x[0], {x[0].rank() - 1}, norm_attr(self.node()).eps).x_hat;
  return x_hat * x[1] + x[2];
}

// As for group norm, with one group per row.
Grads grad_layer_norm(Tensor self, Inputs x, Tensor dy) {
  const std::vector<int64_t> last = {x[0].rank() - 1};
  const Normalised norm = normalise(x[0], last, norm_attr(self.node()).eps);
  const Tensor scaled = dy * x[1];
  const Tensor dx = norm.rstd * (scaled - mean(scaled, last, true) -
                                 norm.x_hat * mean(scaled * norm.x_hat, last, true));
  std::vector<int64_t> rows;
  for (int i = 0; i + 1 < x[0].rank(); ++i) rows.push_back(i);
  return {dx, sum(dy * norm.x_hat, rows), sum(dy, rows)};
}

constexpr OpDef kNormOps[] = {
    {.op = Op::kGroupNorm,
     .name = "group_norm",
     .op_class = OpClass::kComposite,
     .arity = 3,
     .infer = infer_group_norm,
     .eval = eval_group_norm,
     .grad = grad_group_norm,
     .decompose = decompose_group_norm},
    {.op = Op::kLayerNorm,
     .name = "layer_norm",
     .op_class = OpClass::kComposite,
     .arity = 3,
     .infer = infer_layer_norm,
     .eval = eval_layer_norm,
     .grad = grad_layer_norm,
     .decompose = decompose_layer_norm},
};

}  // namespace

std::span<const OpDef> norm_ops() { return kNormOps; }

}  // namespace ito
