// Two-dimensional convolution (cross-correlation, as in neural networks) and its two gradients, on
// channels-last images and [kh, kw, ci/groups, co] weights. The three are trilinear in
// (x, w, dy): each one's gradients are the other two, so derivatives exist to every order.
#include "graph/builder.h"
#include "graph/ops/families.h"
#include "graph/ops/support.h"

namespace ito {
namespace {

using Inputs = std::span<const Tensor>;
using Grads = std::vector<Tensor>;

// Checks x [n,h,w,ci], w [kh,kw,ci/groups,co]; returns y's shape.
Result<Shape> conv_shape(const Graph& graph, const Node& node, const Shape& x, const Shape& w) {
  const auto* attr = std::get_if<ConvAttr>(&node.attrs);
  if (!attr) return node_error(graph, node, "needs its convolution attributes");
  if (x.rank() != 4 || w.rank() != 4)
    return node_error(graph, node, "images and weights need four axes");
  if (attr->groups < 1 || x[3] % attr->groups != 0 || w[3] % attr->groups != 0 ||
      w[2] != x[3] / attr->groups)
    return node_error(graph, node, "image {} and weight {} do not fit {} groups", x.to_string(),
                      w.to_string(), attr->groups);
  int64_t extent[2];
  for (size_t i = 0; i < 2; ++i) {
    if (attr->stride[i] < 1 || attr->dilation[i] < 1 || attr->pad[2 * i] < 0 ||
        attr->pad[2 * i + 1] < 0)
      return node_error(graph, node, "illegal attributes {}", attrs_to_string(node.attrs));
    int axis = static_cast<int>(i);
    int64_t room = x[1 + axis] + attr->pad[2 * i] + attr->pad[2 * i + 1] -
                   ((w[axis] - 1) * attr->dilation[i] + 1);
    if (room < 0)
      return node_error(graph, node, "window {} is larger than the padded image {}", w.to_string(),
                        x.to_string());
    extent[i] = room / attr->stride[i] + 1;
  }
  return Shape{x[0], extent[0], extent[1], w[3]};
}

// Calls fn(x index, w index, y index) for every product of the convolution.
template <typename Fn>
void for_each_product(const Shape& x, const Shape& w, const Shape& y, const ConvAttr& a, Fn fn) {
  const int64_t ci_group = w[2], co_group = w[3] / a.groups;
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t oh = 0; oh < y[1]; ++oh)
      for (int64_t ow = 0; ow < y[2]; ++ow)
        for (int64_t kh = 0; kh < w[0]; ++kh) {
          const int64_t ih = oh * a.stride[0] - a.pad[0] + kh * a.dilation[0];
          if (ih < 0 || ih >= x[1]) continue;
          for (int64_t kw = 0; kw < w[1]; ++kw) {
            const int64_t iw = ow * a.stride[1] - a.pad[2] + kw * a.dilation[1];
            if (iw < 0 || iw >= x[2]) continue;
            const size_t x_row = size_t(((n * x[1] + ih) * x[2] + iw) * x[3]);
            const size_t y_row = size_t(((n * y[1] + oh) * y[2] + ow) * y[3]);
            for (int64_t g = 0; g < a.groups; ++g)
              for (int64_t ci = 0; ci < ci_group; ++ci) {
                const size_t w_row = size_t(((kh * w[1] + kw) * ci_group + ci) * w[3]);
                const size_t x_index = x_row + size_t(g * ci_group + ci);
                for (int64_t co = g * co_group; co < (g + 1) * co_group; ++co)
                  fn(x_index, w_row + size_t(co), y_row + size_t(co));
              }
          }
        }
}

const ConvAttr& conv_attr(const Node& node) { return std::get<ConvAttr>(node.attrs); }

// --- conv2d(x, w) ---

Result<Shape> infer_conv(const Graph& graph, const Node& node) {
  ITO_TRY(check_float_operands(graph, node));
  return conv_shape(graph, node, operand(graph, node, 0).shape, operand(graph, node, 1).shape);
}

HostValue eval_conv(const Node& node, std::span<const HostValue* const> in) {
  HostValue y = host_zeros(node.shape);
  std::vector<double> buffers[2];
  const std::vector<double>& a = factor(*in[0], conv_attr(node).multiply, buffers[0]);
  const std::vector<double>& b = factor(*in[1], conv_attr(node).multiply, buffers[1]);
  for_each_product(in[0]->shape, in[1]->shape, node.shape, conv_attr(node),
                   [&](size_t x, size_t w, size_t o) { y.data[o] += a[x] * b[w]; });
  return y;
}

Grads grad_conv(Tensor y, Inputs x, Tensor dy) {
  const ConvAttr& attr = conv_attr(y.node());
  return {conv2d_grad_input(dy, x[1], x[0].shape(), attr),
          conv2d_grad_weight(x[0], dy, x[1].shape(), attr)};
}

// --- conv2d_grad_input(dy, w) → x's shape ---

Result<Shape> infer_grad_input(const Graph& graph, const Node& node) {
  ITO_TRY(check_float_operands(graph, node));
  ITO_ASSIGN(Shape y, conv_shape(graph, node, node.shape, operand(graph, node, 1).shape));
  if (y != operand(graph, node, 0).shape)
    return node_error(graph, node, "an image {} gives {}, not dy's shape", node.shape.to_string(),
                      y.to_string());
  return node.shape;
}

HostValue eval_grad_input(const Node& node, std::span<const HostValue* const> in) {
  HostValue dx = host_zeros(node.shape);
  std::vector<double> buffers[2];
  const std::vector<double>& a = factor(*in[0], conv_attr(node).multiply, buffers[0]);
  const std::vector<double>& b = factor(*in[1], conv_attr(node).multiply, buffers[1]);
  for_each_product(node.shape, in[1]->shape, in[0]->shape, conv_attr(node),
                   [&](size_t x, size_t w, size_t o) { dx.data[x] += a[o] * b[w]; });
  return dx;
}

Grads grad_grad_input(Tensor y, Inputs x, Tensor g) {
  const ConvAttr& attr = conv_attr(y.node());
  return {conv2d(g, x[1], attr), conv2d_grad_weight(g, x[0], x[1].shape(), attr)};
}

// --- conv2d_grad_weight(x, dy) → w's shape ---

Result<Shape> infer_grad_weight(const Graph& graph, const Node& node) {
  ITO_TRY(check_float_operands(graph, node));
  ITO_ASSIGN(Shape y, conv_shape(graph, node, operand(graph, node, 0).shape, node.shape));
  if (y != operand(graph, node, 1).shape)
    return node_error(graph, node, "a weight {} gives {}, not dy's shape", node.shape.to_string(),
                      y.to_string());
  return node.shape;
}

HostValue eval_grad_weight(const Node& node, std::span<const HostValue* const> in) {
  HostValue dw = host_zeros(node.shape);
  std::vector<double> buffers[2];
  const std::vector<double>& a = factor(*in[0], conv_attr(node).multiply, buffers[0]);
  const std::vector<double>& b = factor(*in[1], conv_attr(node).multiply, buffers[1]);
  for_each_product(in[0]->shape, node.shape, in[1]->shape, conv_attr(node),
                   [&](size_t x, size_t w, size_t o) { dw.data[w] += a[x] * b[o]; });
  return dw;
}

Grads grad_grad_weight(Tensor y, Inputs x, Tensor g) {
  const ConvAttr& attr = conv_attr(y.node());
  return {conv2d_grad_input(x[1], g, x[0].shape(), attr), conv2d(x[0], g, attr)};
}

constexpr OpDef row(Op op, std::string_view name, decltype(OpDef::infer) infer,
                    decltype(OpDef::eval) eval, decltype(OpDef::grad) grad) {
  OpDef def;
  def.op = op;
  def.name = name;
  def.op_class = OpClass::kContraction;
  def.arity = 2;
  def.infer = infer;
  def.eval = eval;
  def.grad = grad;
  return def;
}

constexpr OpDef kConv2dOps[] = {
    row(Op::kConv2d, "conv2d", infer_conv, eval_conv, grad_conv),
    row(Op::kConv2dGradInput, "conv2d_grad_input", infer_grad_input, eval_grad_input,
        grad_grad_input),
    row(Op::kConv2dGradWeight, "conv2d_grad_weight", infer_grad_weight, eval_grad_weight,
        grad_grad_weight),
};

}  // namespace

std::span<const OpDef> conv2d_ops() { return kConv2dOps; }

}  // namespace ito
