#include "graph/simplify.h"

#include <algorithm>
#include <optional>

namespace ito {
namespace {

std::optional<double> full_value(Tensor x) {
  if (x.node().op != Op::kFull) return std::nullopt;
  return std::get<FullAttr>(x.node().attrs).value;
}

Tensor make_full(Graph& graph, DType dtype, const Shape& shape, double value) {
  return graph.add(Op::kFull, dtype, shape, {}, FullAttr{value});
}

bool is_full_of(Tensor x, double value) { return full_value(x) == value; }

// The op evaluated on single elements: every operand is one value repeated.
Tensor fold_fulls(Graph& graph, const OpDef& def, DType dtype, const Shape& shape,
                  std::span<const Tensor> inputs, const Attrs& attrs) {
  // A copy that a pass asks for stays one, or a result that is a constant could never get a place.
  if (def.op == Op::kStopGradient) return {};
  std::vector<HostValue> values;
  Node node{def.op, dtype, Shape{}, {}, attrs, ""};
  for (Tensor x : inputs) {
    std::optional<double> value = full_value(x);
    if (!value) return {};
    values.push_back({Shape{}, {*value}});
  }
  std::vector<const HostValue*> pointers;
  for (const HostValue& value : values) pointers.push_back(&value);
  return make_full(graph, dtype, shape, def.eval(node, pointers).data[0]);
}

Tensor simplify_elementwise(Graph& graph, Op op, DType dtype, const Shape& shape,
                            std::span<const Tensor> x, const Attrs& attrs) {
  if (op == Op::kStopGradient) return {};  // also an explicit copy, which must be a node of its own
  if (Tensor folded = fold_fulls(graph, op_def(op), dtype, shape, x, attrs)) return folded;
  switch (op) {
    case Op::kNeg:
      if (x[0].node().op == Op::kNeg) return Tensor(&graph, x[0].node().inputs[0]);
      return {};
    case Op::kCast:
      return x[0].dtype() == dtype ? x[0] : Tensor();
    case Op::kAdd:
      if (is_full_of(x[1], 0)) return x[0];
      if (is_full_of(x[0], 0)) return x[1];
      return {};
    case Op::kSub:
      if (is_full_of(x[1], 0)) return x[0];
      if (is_full_of(x[0], 0)) return graph.add(Op::kNeg, dtype, shape, x.subspan(1));
      return {};
    case Op::kMul:
      for (size_t i = 0; i < 2; ++i) {
        if (is_full_of(x[i], 1)) return x[1 - i];
        if (is_full_of(x[i], -1)) return graph.add(Op::kNeg, dtype, shape, x.subspan(1 - i, 1));
      }
      return {};
    case Op::kDiv:
      return is_full_of(x[1], 1) ? x[0] : Tensor();
    case Op::kSelect:
      if (std::optional<double> condition = full_value(x[0])) return *condition != 0 ? x[1] : x[2];
      return x[1] == x[2] ? x[1] : Tensor();
    default:
      return {};
  }
}

Tensor simplify_permute(Graph& graph, DType dtype, const Shape& shape, Tensor x,
                        const std::vector<int64_t>& axes) {
  if (std::is_sorted(axes.begin(), axes.end())) return x;
  if (x.node().op != Op::kPermute) return {};
  const std::vector<int64_t>& inner = std::get<AxesAttr>(x.node().attrs).axes;
  std::vector<int64_t> combined;
  for (int64_t axis : axes) combined.push_back(inner[static_cast<size_t>(axis)]);
  Tensor source(&graph, x.node().inputs[0]);
  return graph.add(Op::kPermute, dtype, shape, std::span(&source, 1), AxesAttr{combined});
}

Tensor simplify_movement(Graph& graph, Op op, DType dtype, const Shape& shape,
                         std::span<const Tensor> x, const Attrs& attrs) {
  if (op == Op::kConcat && x.size() == 1) return x[0];
  // Moving equal elements gives equal elements.
  std::optional<double> value = full_value(x[0]);
  bool same = value.has_value();
  for (Tensor other : x) same = same && full_value(other) == value;
  if (op == Op::kPad) same = same && std::get<PadAttr>(attrs).value == value;
  if (same) return make_full(graph, dtype, shape, *value);

  switch (op) {
    case Op::kReshape:
    case Op::kBroadcast: {
      if (x[0].shape() == shape) return x[0];
      if (x[0].node().op != op) return {};
      Tensor source(&graph, x[0].node().inputs[0]);
      return graph.add(op, dtype, shape, std::span(&source, 1));
    }
    case Op::kPermute:
      return simplify_permute(graph, dtype, shape, x[0], std::get<AxesAttr>(attrs).axes);
    case Op::kSlice: {
      const SliceAttr& slice = std::get<SliceAttr>(attrs);
      bool forward =
          std::all_of(slice.step.begin(), slice.step.end(), [](int64_t step) { return step > 0; });
      return forward && x[0].shape() == shape ? x[0] : Tensor();
    }
    case Op::kPad:
      return x[0].shape() == shape ? x[0] : Tensor();
    default:
      return {};
  }
}

Tensor simplify_reduce(Graph& graph, Op op, DType dtype, const Shape& shape, Tensor x) {
  if (x.shape() == shape) return x;
  std::optional<double> value = full_value(x);
  if (!value) return {};
  double count = static_cast<double>(x.shape().numel() / shape.numel());
  if (op == Op::kReduceSum && !is_float(dtype)) return {};
  return make_full(graph, dtype, shape, op == Op::kReduceSum ? *value * count : *value);
}

}  // namespace

Tensor simplify(Graph& graph, Op op, DType dtype, const Shape& shape,
                std::span<const Tensor> inputs, const Attrs& attrs) {
  switch (op_def(op).op_class) {
    case OpClass::kElementwise:
      return simplify_elementwise(graph, op, dtype, shape, inputs, attrs);
    case OpClass::kMovement:
      return simplify_movement(graph, op, dtype, shape, inputs, attrs);
    case OpClass::kReduce:
      return simplify_reduce(graph, op, dtype, shape, inputs[0]);
    case OpClass::kIndexed:
      if (std::optional<double> value = full_value(inputs[0]); value && op == Op::kGather)
        return make_full(graph, dtype, shape, *value);
      return {};
    default:
      return {};
  }
}

}  // namespace ito
