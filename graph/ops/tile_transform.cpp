// One linear map over both axes of every tile (TileTransformAttr). Introduced by passes/lower after
// differentiation, hence without gradient.
#include <algorithm>

#include "graph/ops/families.h"
#include "graph/ops/support.h"

namespace ito {
namespace {

using TransformDim = TileTransformAttr::Dim;

// Every combination of indices over `sizes`, the last one fastest, as offsets into two tensors.
template <typename Fn>
void for_each_tile(const TileTransformAttr& attr, Fn fn) {
  std::vector<int64_t> index(attr.dims.size(), 0);
  int64_t in = attr.in_offset, out = 0;
  while (true) {
    fn(in, out);
    size_t i = attr.dims.size();
    for (;;) {
      if (i == 0) return;
      const TransformDim& dim = attr.dims[--i];
      in += dim.in, out += dim.out;
      if (++index[i] < dim.size) break;
      in -= dim.in * dim.size, out -= dim.out * dim.size;
      index[i] = 0;
    }
  }
}

Result<Shape> infer_tile_transform(const Graph& graph, const Node& node) {
  const auto* attr = std::get_if<TileTransformAttr>(&node.attrs);
  if (!attr) return node_error(graph, node, "needs its dims");
  ITO_TRY(check_float_operands(graph, node));
  if (attr->rows < 1 || attr->taps < 1 ||
      attr->matrix.size() != static_cast<size_t>(attr->rows * attr->taps))
    return node_error(graph, node, "a matrix of {} numbers is not [{}, {}]", attr->matrix.size(),
                      attr->rows, attr->taps);
  int64_t outputs = attr->rows * attr->rows;
  int64_t low = attr->in_offset, high = attr->in_offset, last = 0;
  for (const TransformDim& dim : attr->dims) {
    if (dim.size < 1) return node_error(graph, node, "a dim of size {}", dim.size);
    if (dim.in < 0 || dim.out < 0)
      return node_error(graph, node, "a dim of strides {}, {}; kernels take none below 0", dim.in,
                        dim.out);
    outputs *= dim.size;
    high += (dim.size - 1) * dim.in;
    last += (dim.size - 1) * dim.out;
  }
  for (const int64_t step : attr->in_step) {
    low += std::min<int64_t>(0, step * (attr->taps - 1));
    high += std::max<int64_t>(0, step * (attr->taps - 1));
  }
  for (const int64_t step : attr->out_step) {
    if (step < 0) return node_error(graph, node, "a result written backwards");
    last += step * (attr->rows - 1);
  }
  if (low < 0 || high >= operand(graph, node, 0).shape.numel())
    return node_error(graph, node, "addresses {}..{} leave the operand", low, high);
  if (outputs != node.shape.numel() || last >= outputs)
    return node_error(graph, node, "{} outputs do not fill the result {}", outputs,
                      node.shape.to_string());
  return node.shape;
}

HostValue eval_tile_transform(const Node& node, std::span<const HostValue* const> in) {
  const auto& attr = std::get<TileTransformAttr>(node.attrs);
  const auto entry = [&](int64_t row, int64_t tap) {
    return attr.matrix[static_cast<size_t>(row * attr.taps + tap)];
  };
  HostValue y{node.shape, std::vector<double>(static_cast<size_t>(node.shape.numel()), 0)};
  for_each_tile(attr, [&](int64_t from, int64_t to) {
    for (int64_t p = 0; p < attr.rows; ++p)
      for (int64_t q = 0; q < attr.rows; ++q) {
        double sum = 0;
        for (int64_t i = 0; i < attr.taps; ++i)
          for (int64_t j = 0; j < attr.taps; ++j)
            sum +=
                entry(p, i) * entry(q, j) *
                in[0]->data[static_cast<size_t>(from + i * attr.in_step[0] + j * attr.in_step[1])];
        y.data[static_cast<size_t>(to + p * attr.out_step[0] + q * attr.out_step[1])] = sum;
      }
  });
  return y;
}

constexpr OpDef kTileTransformOps[] = {{.op = Op::kTileTransform,
                                        .name = "tile_transform",
                                        .op_class = OpClass::kContraction,
                                        .arity = 1,
                                        .infer = infer_tile_transform,
                                        .eval = eval_tile_transform,
                                        .differentiable = false}};

}  // namespace

std::span<const OpDef> tile_transform_ops() { return kTileTransformOps; }

}  // namespace ito
