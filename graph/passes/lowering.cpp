#include "graph/passes/lowering.h"

#include <algorithm>

namespace ito {
namespace {

bool is_movement(const Node& node) { return op_def(node.op).op_class == OpClass::kMovement; }

// The padded tensor of which x is the inside, padded with zeros; empty where x is none.
Tensor padding_around(Tensor x) {
  if (x.node().op != Op::kSlice) return {};
  Tensor padded(&x.graph(), x.node().inputs[0]);
  if (padded.node().op != Op::kPad) return {};
  const auto& pad = std::get<PadAttr>(padded.node().attrs);
  const auto& slice = std::get<SliceAttr>(x.node().attrs);
  const bool spread =
      std::any_of(pad.interior.begin(), pad.interior.end(), [](int64_t n) { return n != 0; });
  const bool inside =
      slice.start == pad.low && x.shape() == x.graph().node(padded.node().inputs[0]).shape &&
      std::all_of(slice.step.begin(), slice.step.end(), [](int64_t step) { return step == 1; });
  return inside && !spread && pad.value == 0 ? padded : Tensor();
}

}  // namespace

AffineView operand_view(Tensor x) {
  const Graph& graph = x.graph();
  return view_of(graph, x.id(), [&](NodeId id) {
    const Node& node = graph.node(id);
    return !is_movement(node) || node.op == Op::kPad || node.op == Op::kConcat;
  });
}

Tensor build_contract(Graph& graph, ContractAttr attr, Shape shape, const AffineView& a,
                      const AffineView& b, const DeviceCaps& caps, ImageDim images) {
  attr.a_offset = a.offset;
  attr.b_offset = b.offset;
  Tensor operands[] = {Tensor(&graph, a.base), Tensor(&graph, b.base)};
  const int64_t parts = split_reduction(attr, caps, images);
  // Dims of one element carry no information; dropping them keeps kernels equal.
  std::erase_if(attr.dims, [](const ContractAttr::Dim& dim) { return dim.size == 1; });
  if (parts == 1) return graph.add(Op::kContract, DType::kF32, std::move(shape), operands, attr);
  Shape partial{parts, shape.numel()};
  Tensor pieces = graph.add(Op::kContract, DType::kF32, partial, operands, attr);
  return reshape(sum(pieces, {0}), std::move(shape));
}

Tensor pad_or_cut(Tensor x, int64_t top, int64_t bottom, int64_t left, int64_t right,
                  int64_t interior_h, int64_t interior_w) {
  if (Tensor padded = padding_around(x); padded && interior_h == 0 && interior_w == 0) {
    const auto& pad = std::get<PadAttr>(padded.node().attrs);
    if (pad.low == std::vector<int64_t>{0, top, left, 0} &&
        pad.high == std::vector<int64_t>{0, bottom, right, 0})
      return padded;
  }
  auto positive = [](int64_t v) { return std::max<int64_t>(v, 0); };
  if (top > 0 || bottom > 0 || left > 0 || right > 0 || interior_h > 0 || interior_w > 0)
    x = pad(x, {0, positive(top), positive(left), 0}, {0, positive(bottom), positive(right), 0}, 0,
            {0, interior_h, interior_w, 0});
  if (top < 0 || bottom < 0 || left < 0 || right < 0)
    x = slice(x, {0, positive(-top), positive(-left), 0},
              {x.dim(0), x.dim(1) - positive(-bottom), x.dim(2) - positive(-right), x.dim(3)});
  return x;
}

}  // namespace ito
