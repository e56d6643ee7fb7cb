// Simplifications made while a node is added: only those that leave every value as it is (up to the
// sign of zero). They keep graphs that come out of autodiff small.
// Not the compiler's canonicalisation, which sees whole programs (graph/passes).
#pragma once

#include <span>

#include "graph/graph.h"

namespace ito {

// The tensor which already is (or more simply gives) the described node, or an empty Tensor.
Tensor simplify(Graph& graph, Op op, DType dtype, const Shape& shape,
                std::span<const Tensor> inputs, const Attrs& attrs);

}  // namespace ito
