// Movement: which element is where, never its value.
#include <algorithm>
#include <cstdlib>

#include "graph/builder.h"
#include "graph/ops/families.h"
#include "graph/ops/support.h"

namespace ito {
namespace {

using Inputs = std::span<const Tensor>;
using Grads = std::vector<Tensor>;

const std::vector<int64_t>* axes_of(const Node& node) {
  const auto* attr = std::get_if<AxesAttr>(&node.attrs);
  return attr ? &attr->axes : nullptr;
}

Status check_dtype(const Graph& graph, const Node& node) {
  for (size_t i = 0; i < node.inputs.size(); ++i)
    if (operand(graph, node, i).dtype != node.dtype)
      return node_error(graph, node, "result must be of the operand's dtype, found {}",
                        dtype_name(node.dtype));
  return {};
}

// out[i] = in[base + sum of index times stride] over the result's indices.
HostValue read_strided(const Shape& shape, const HostValue& in, int64_t base,
                       const std::vector<int64_t>& strides) {
  HostValue out{shape, std::vector<double>(static_cast<size_t>(shape.numel()))};
  walk(shape, base, strides,
       [&](int64_t i, int64_t from) { out.data[size_t(i)] = in.data[size_t(from)]; });
  return out;
}

// --- reshape ---

Result<Shape> infer_reshape(const Graph& graph, const Node& node) {
  ITO_TRY(check_dtype(graph, node));
  if (operand(graph, node, 0).shape.numel() != node.shape.numel())
    return node_error(graph, node, "{} has another number of elements", node.shape.to_string());
  return node.shape;
}

HostValue eval_reshape(const Node& node, std::span<const HostValue* const> in) {
  return {node.shape, in[0]->data};
}

Grads grad_reshape(Tensor, Inputs x, Tensor dy) { return {reshape(dy, x[0].shape())}; }

// --- permute ---

Result<Shape> infer_permute(const Graph& graph, const Node& node) {
  ITO_TRY(check_dtype(graph, node));
  const Shape& x = operand(graph, node, 0).shape;
  const std::vector<int64_t>* axes = axes_of(node);
  std::vector<int64_t> sorted = axes ? *axes : std::vector<int64_t>();
  std::sort(sorted.begin(), sorted.end());
  bool legal = static_cast<int>(sorted.size()) == x.rank();
  for (size_t i = 0; legal && i < sorted.size(); ++i) legal = sorted[i] == static_cast<int64_t>(i);
  if (!legal)
    return node_error(graph, node, "axes must be a permutation, found {}",
                      attrs_to_string(node.attrs));
  std::vector<int64_t> dims;
  for (int64_t axis : *axes) dims.push_back(x[static_cast<int>(axis)]);
  return Shape(std::move(dims));
}

HostValue eval_permute(const Node& node, std::span<const HostValue* const> in) {
  std::vector<int64_t> source = in[0]->shape.strides(), strides;
  for (int64_t axis : *axes_of(node)) strides.push_back(source[static_cast<size_t>(axis)]);
  return read_strided(node.shape, *in[0], 0, strides);
}

Grads grad_permute(Tensor y, Inputs, Tensor dy) {
  const std::vector<int64_t>& axes = *axes_of(y.node());
  std::vector<int64_t> inverse(axes.size());
  for (size_t i = 0; i < axes.size(); ++i)
    inverse[static_cast<size_t>(axes[i])] = static_cast<int64_t>(i);
  return {permute(dy, inverse)};
}

// --- broadcast ---

Result<Shape> infer_broadcast(const Graph& graph, const Node& node) {
  ITO_TRY(check_dtype(graph, node));
  const Shape& x = operand(graph, node, 0).shape;
  bool legal = x.rank() == node.shape.rank();
  for (int i = 0; legal && i < x.rank(); ++i) legal = x[i] == node.shape[i] || x[i] == 1;
  if (!legal) return node_error(graph, node, "cannot broadcast to {}", node.shape.to_string());
  return node.shape;
}

HostValue eval_broadcast(const Node& node, std::span<const HostValue* const> in) {
  return read_strided(node.shape, *in[0], 0, broadcast_strides(in[0]->shape, node.shape));
}

Grads grad_broadcast(Tensor y, Inputs x, Tensor dy) {
  std::vector<int64_t> axes;
  for (int i = 0; i < y.rank(); ++i)
    if (x[0].dim(i) != y.dim(i)) axes.push_back(i);
  return {sum(dy, axes, true)};
}

// --- slice ---

Result<Shape> infer_slice(const Graph& graph, const Node& node) {
  ITO_TRY(check_dtype(graph, node));
  const Shape& x = operand(graph, node, 0).shape;
  const auto* attr = std::get_if<SliceAttr>(&node.attrs);
  size_t rank = static_cast<size_t>(x.rank());
  if (!attr || attr->start.size() != rank || attr->step.size() != rank ||
      node.shape.rank() != x.rank())
    return node_error(graph, node, "start, step and result need one entry per axis");
  for (size_t i = 0; i < rank; ++i) {
    int axis = static_cast<int>(i);
    int64_t last = attr->start[i] + (node.shape[axis] - 1) * attr->step[i];
    if (attr->step[i] == 0 || attr->start[i] < 0 || attr->start[i] >= x[axis] || last < 0 ||
        last >= x[axis])
      return node_error(graph, node, "axis {}: start {}, step {}, extent {} leave the operand",
                        axis, attr->start[i], attr->step[i], node.shape[axis]);
  }
  return node.shape;
}

HostValue eval_slice(const Node& node, std::span<const HostValue* const> in) {
  const SliceAttr& attr = std::get<SliceAttr>(node.attrs);
  std::vector<int64_t> strides = in[0]->shape.strides();
  int64_t base = 0;
  for (size_t i = 0; i < strides.size(); ++i) {
    base += attr.start[i] * strides[i];
    strides[i] *= attr.step[i];
  }
  return read_strided(node.shape, *in[0], base, strides);
}

// Zeros around and between; axes that were walked backwards are flipped first.
Grads grad_slice(Tensor y, Inputs x, Tensor dy) {
  const SliceAttr& attr = std::get<SliceAttr>(y.node().attrs);
  std::vector<int64_t> low, high, interior, backwards;
  for (int i = 0; i < y.rank(); ++i) {
    size_t k = static_cast<size_t>(i);
    int64_t last = attr.start[k] + (y.dim(i) - 1) * attr.step[k];
    if (attr.step[k] < 0) backwards.push_back(i);
    low.push_back(std::min(attr.start[k], last));
    high.push_back(x[0].dim(i) - 1 - std::max(attr.start[k], last));
    interior.push_back(std::abs(attr.step[k]) - 1);
  }
  return {pad(flip(dy, backwards), low, high, 0, interior)};
}

// --- pad ---

Result<Shape> infer_pad(const Graph& graph, const Node& node) {
  ITO_TRY(check_dtype(graph, node));
  const Shape& x = operand(graph, node, 0).shape;
  const auto* attr = std::get_if<PadAttr>(&node.attrs);
  size_t rank = static_cast<size_t>(x.rank());
  if (!attr || attr->low.size() != rank || attr->high.size() != rank ||
      attr->interior.size() != rank)
    return node_error(graph, node, "low, high and interior need one entry per axis");
  std::vector<int64_t> dims;
  for (size_t i = 0; i < rank; ++i) {
    if (attr->low[i] < 0 || attr->high[i] < 0 || attr->interior[i] < 0)
      return node_error(graph, node, "axis {}: padding must not be negative", i);
    int64_t extent = x[static_cast<int>(i)];
    dims.push_back(attr->low[i] + attr->high[i] + extent + (extent - 1) * attr->interior[i]);
  }
  return Shape(std::move(dims));
}

HostValue eval_pad(const Node& node, std::span<const HostValue* const> in) {
  const PadAttr& attr = std::get<PadAttr>(node.attrs);
  HostValue out{node.shape, std::vector<double>(size_t(node.shape.numel()), attr.value)};
  std::vector<int64_t> strides = node.shape.strides();
  int64_t base = 0;
  for (size_t i = 0; i < strides.size(); ++i) {
    base += attr.low[i] * strides[i];
    strides[i] *= attr.interior[i] + 1;
  }
  walk(in[0]->shape, base, strides,
       [&](int64_t i, int64_t to) { out.data[size_t(to)] = in[0]->data[size_t(i)]; });
  return out;
}

Grads grad_pad(Tensor y, Inputs x, Tensor dy) {
  const PadAttr& attr = std::get<PadAttr>(y.node().attrs);
  std::vector<int64_t> stop, step;
  for (int i = 0; i < y.rank(); ++i) {
    size_t k = static_cast<size_t>(i);
    step.push_back(attr.interior[k] + 1);
    stop.push_back(attr.low[k] + (x[0].dim(i) - 1) * step.back() + 1);
  }
  return {slice(dy, attr.low, stop, step)};
}

// --- concat ---

Result<Shape> infer_concat(const Graph& graph, const Node& node) {
  ITO_TRY(check_dtype(graph, node));
  const std::vector<int64_t>* axes = axes_of(node);
  if (node.inputs.empty()) return node_error(graph, node, "nothing to concatenate");
  Shape shape = operand(graph, node, 0).shape;
  if (!axes || axes->size() != 1 || (*axes)[0] < 0 || (*axes)[0] >= shape.rank())
    return node_error(graph, node, "needs one axis inside {}", shape.to_string());
  int axis = static_cast<int>((*axes)[0]);
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    Shape other = operand(graph, node, i).shape;
    if (other.rank() != shape.rank()) return node_error(graph, node, "operands differ in rank");
    int64_t extent = other[axis];
    other[axis] = shape[axis];
    if (other != shape)
      return node_error(graph, node, "operands may differ along axis {} only", axis);
    shape[axis] += extent;
  }
  return shape;
}

HostValue eval_concat(const Node& node, std::span<const HostValue* const> in) {
  HostValue out{node.shape, std::vector<double>(static_cast<size_t>(node.shape.numel()))};
  size_t axis = static_cast<size_t>((*axes_of(node))[0]);
  std::vector<int64_t> strides = node.shape.strides();
  int64_t start = 0;
  for (const HostValue* part : in) {
    walk(part->shape, start * strides[axis], strides,
         [&](int64_t i, int64_t to) { out.data[size_t(to)] = part->data[size_t(i)]; });
    start += part->shape[static_cast<int>(axis)];
  }
  return out;
}

Grads grad_concat(Tensor y, Inputs x, Tensor dy) {
  int axis = static_cast<int>((*axes_of(y.node()))[0]);
  Grads parts;
  int64_t start = 0;
  for (Tensor part : x) {
    parts.push_back(slice_axis(dy, axis, start, start + part.dim(axis)));
    start += part.dim(axis);
  }
  return parts;
}

constexpr OpDef row(Op op, std::string_view name, int arity, decltype(OpDef::infer) infer,
                    decltype(OpDef::eval) eval, decltype(OpDef::grad) grad) {
  OpDef def;
  def.op = op;
  def.name = name;
  def.op_class = OpClass::kMovement;
  def.arity = arity;
  def.infer = infer;
  def.eval = eval;
  def.grad = grad;
  return def;
}

constexpr OpDef kMovementOps[] = {
    row(Op::kReshape, "reshape", 1, infer_reshape, eval_reshape, grad_reshape),
    row(Op::kPermute, "permute", 1, infer_permute, eval_permute, grad_permute),
    row(Op::kBroadcast, "broadcast", 1, infer_broadcast, eval_broadcast, grad_broadcast),
    row(Op::kSlice, "slice", 1, infer_slice, eval_slice, grad_slice),
    row(Op::kPad, "pad", 1, infer_pad, eval_pad, grad_pad),
    row(Op::kConcat, "concat", -1, infer_concat, eval_concat, grad_concat),
};

}  // namespace

std::span<const OpDef> movement_ops() { return kMovementOps; }

}  // namespace ito
