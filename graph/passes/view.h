// AffineView: a chain of movement ops seen as addresses into one stored tensor. What lets a
// contraction or a load read through reshape, permute, slice and broadcast without a copy.
#pragma once

#include <functional>
#include <optional>

#include "graph/graph.h"

namespace ito {

struct AffineView {
  NodeId base = kNoNode;
  int64_t offset = 0;            // elements
  std::vector<int64_t> strides;  // elements, one per axis of the viewed node; 0 where broadcast

  // Whether the viewed elements are consecutive in row-major order of `shape`.
  bool contiguous(const Shape& shape) const;
};

// A reshape cut into the smallest runs of axes, from [from_begin, from_end) to [to_begin, to_end),
// that hold equally many elements: no element leaves its run.
struct ReshapeSegment {
  int from_begin = 0, from_end = 0;
  int to_begin = 0, to_end = 0;
};
std::vector<ReshapeSegment> reshape_segments(const Shape& from, const Shape& to);

// Follows movement ops from `id` down as far as addresses stay affine. `stop(node)` says that a
// node is stored itself and must not be looked through.
AffineView view_of(const Graph& graph, NodeId id, const std::function<bool(NodeId)>& stop);

}  // namespace ito
