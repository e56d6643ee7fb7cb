// What the op families share: errors that name the node, operand checks, strided walks.
// Not mathematics.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "graph/graph.h"

namespace ito {

// "add at down.0.conv1".
std::string node_title(const Node& node);
// "f32[2,3], f32[3]".
std::string operand_list(const Graph& graph, const Node& node);

template <typename... Args>
Error node_error(const Graph& graph, const Node& node, fmt::format_string<Args...> text,
                 Args&&... args) {
  return invalid_argument("{}: {}; operands are ({})", node_title(node),
                          fmt::format(text, std::forward<Args>(args)...),
                          operand_list(graph, node));
}

inline const Node& operand(const Graph& graph, const Node& node, size_t i) {
  return graph.node(node.inputs[i]);
}

// Every operand has the node's dtype, which is a float type.
Status check_float_operands(const Graph& graph, const Node& node);

// Calls fn(i, offset) for i = 0, 1, ... over `shape` in row-major order, where offset is
// base + sum of index times stride.
template <typename Fn>
void walk(const Shape& shape, int64_t base, const std::vector<int64_t>& strides, Fn fn) {
  const int rank = shape.rank();
  std::vector<int64_t> index(static_cast<size_t>(rank), 0);
  int64_t offset = base;
  const int64_t count = shape.numel();
  for (int64_t i = 0; i < count; ++i) {
    fn(i, offset);
    for (int axis = rank - 1; axis >= 0; --axis) {
      size_t a = static_cast<size_t>(axis);
      offset += strides[a];
      if (++index[a] < shape[axis]) break;
      offset -= strides[a] * shape[axis];
      index[a] = 0;
    }
  }
}

// Row-major strides of `inner` seen from indices of `outer` (same rank): 0 along axes that `inner`
// has with extent 1.
std::vector<int64_t> broadcast_strides(const Shape& inner, const Shape& outer);

// The shape with the given axes set to extent 1.
Shape reduced_shape(Shape shape, const std::vector<int64_t>& axes);

// An operand as a contraction multiplies it: rounded to `multiply`. `buffer` holds what is not the
// operand itself.
const std::vector<double>& factor(const HostValue& x, DType multiply, std::vector<double>& buffer);

inline HostValue host_zeros(const Shape& shape) {
  return {shape, std::vector<double>(static_cast<size_t>(shape.numel()), 0)};
}

}  // namespace ito
