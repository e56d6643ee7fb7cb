#include "graph/passes/view.h"

namespace ito {
namespace {

// Strides of `to` such that element order is kept, or nothing if a merged axis is not regular.
std::optional<std::vector<int64_t>> reshape_strides(const Shape& from,
                                                    const std::vector<int64_t>& strides,
                                                    const Shape& to) {
  std::vector<int64_t> result(static_cast<size_t>(to.rank()), 0);
  for (const ReshapeSegment& segment : reshape_segments(from, to)) {
    // The axes of the segment on the old side must be walkable with one stride.
    int64_t inner = 0;
    int64_t expected = -1;
    for (int k = segment.from_end - 1; k >= segment.from_begin; --k) {
      if (from[k] == 1) continue;
      int64_t stride = strides[static_cast<size_t>(k)];
      if (expected < 0)
        inner = stride;
      else if (stride != expected)
        return std::nullopt;
      expected = stride * from[k];
    }
    for (int k = segment.to_end - 1; k >= segment.to_begin; --k) {
      result[static_cast<size_t>(k)] = inner;
      inner *= to[k];
    }
  }
  return result;
}

}  // namespace

std::vector<ReshapeSegment> reshape_segments(const Shape& from, const Shape& to) {
  std::vector<ReshapeSegment> segments;
  int i = 0, j = 0;
  while (i < from.rank() || j < to.rank()) {
    ReshapeSegment segment{i, i, j, j};
    int64_t from_product = i < from.rank() ? from[i++] : 1;
    int64_t to_product = j < to.rank() ? to[j++] : 1;
    while (from_product != to_product) {
      if (from_product < to_product)
        from_product *= from[i++];
      else
        to_product *= to[j++];
    }
    segment.from_end = i;
    segment.to_end = j;
    segments.push_back(segment);
  }
  return segments;
}

bool AffineView::contiguous(const Shape& shape) const {
  int64_t expected = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] == 1) continue;
    if (strides[static_cast<size_t>(i)] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

AffineView view_of(const Graph& graph, NodeId id, const std::function<bool(NodeId)>& stop) {
  const Node& node = graph.node(id);
  AffineView self{id, 0, node.shape.strides()};
  if (stop(id)) return self;
  switch (node.op) {
    case Op::kReshape: {
      AffineView inner = view_of(graph, node.inputs[0], stop);
      auto strides = reshape_strides(graph.node(node.inputs[0]).shape, inner.strides, node.shape);
      if (!strides) return self;
      return {inner.base, inner.offset, *strides};
    }
    case Op::kPermute: {
      AffineView inner = view_of(graph, node.inputs[0], stop);
      const auto& axes = std::get<AxesAttr>(node.attrs).axes;
      AffineView view{inner.base, inner.offset, {}};
      for (int64_t axis : axes) view.strides.push_back(inner.strides[static_cast<size_t>(axis)]);
      return view;
    }
    case Op::kSlice: {
      AffineView view = view_of(graph, node.inputs[0], stop);
      const auto& attr = std::get<SliceAttr>(node.attrs);
      for (size_t i = 0; i < attr.start.size(); ++i) {
        if (attr.step[i] < 0 && node.shape[static_cast<int>(i)] > 1) return self;
        view.offset += attr.start[i] * view.strides[i];
        view.strides[i] *= attr.step[i];
      }
      return view;
    }
    case Op::kBroadcast: {
      AffineView view = view_of(graph, node.inputs[0], stop);
      const Shape& from = graph.node(node.inputs[0]).shape;
      for (int i = 0; i < from.rank(); ++i)
        if (from[i] != node.shape[i]) view.strides[static_cast<size_t>(i)] = 0;
      return view;
    }
    default:
      return self;
  }
}

}  // namespace ito
