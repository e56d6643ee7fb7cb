#include <algorithm>
#include <map>

#include "graph/builder.h"
#include "graph/kernels/reduce.h"
#include "graph/passes/gradient_padding.h"
#include "graph/passes/lowering.h"
#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

namespace ito {
namespace {

// Fewer rows (or columns) than this do not repay a copy of the other operand.
constexpr int64_t kRowsWorthCopying = 128;
// Rows a multiple of this apart compete for the same few places of a CPU's caches.
constexpr int64_t kAliasingElements = 1024;
constexpr int64_t kAliasingSteps = 256;
constexpr int64_t kCacheLine = 16;  // elements

// On CPU devices: the right operand of a product of m rows, [..., k, n], stored again where lanes
// over n would read it with a stride, or its rows with a stride that caches do not hold: by panels
// of one vector of lanes, [..., n / panel, k, panel]. An empty tensor where that does not pay.
Tensor panels(Tensor y, bool transposed, const AffineView& view, int64_t m,
              const DeviceCaps& caps) {
  const int rank = y.shape().rank();
  const int n_axis = transposed ? rank - 2 : rank - 1, k_axis = transposed ? rank - 1 : rank - 2;
  const int64_t n = y.dim(n_axis), k = y.dim(k_axis), lanes = caps.subgroup_size;
  const bool strided = view.strides[static_cast<size_t>(n_axis)] != 1;
  const bool aliases =
      k >= kAliasingSteps && view.strides[static_cast<size_t>(k_axis)] % kAliasingElements == 0;
  if (!caps.is_cpu || m < kRowsWorthCopying || n < lanes || !(strided || aliases)) return {};
  for (int i = 0; i + 2 < rank; ++i)  // the copy would be as often there as the batch is
    if (view.strides[static_cast<size_t>(i)] == 0 && y.dim(i) > 1) return {};
  if (transposed) y = transpose(y, rank - 2, rank - 1);
  const int64_t panel = n % lanes == 0 ? lanes : n;
  std::vector<int64_t> dims = y.shape().dims(), axes;
  dims.back() = n / panel;
  dims.push_back(panel);
  for (int i = 0; i + 2 < rank; ++i) axes.push_back(i);
  for (int i : {rank - 1, rank - 2, rank}) axes.push_back(i);
  return permute(reshape(y, Shape(dims)), axes);
}

// On CPU devices: the left operand of a product with n columns, its rows one cache line further
// apart, where a tile's rows would evict each other.
Tensor spread_rows(Tensor x, bool transposed, const AffineView& view, int64_t n,
                   const DeviceCaps& caps) {
  const size_t rank = static_cast<size_t>(x.rank());
  const bool aliases = !transposed && x.dim(-2) > 1 && view.strides[rank - 1] == 1 &&
                       view.strides[rank - 2] % kAliasingElements == 0;
  if (!caps.is_cpu || !aliases || n < kRowsWorthCopying || x.dim(-1) < kAliasingSteps) return x;
  std::vector<int64_t> low(rank, 0), high(rank, 0);
  high.back() = kCacheLine;
  return pad(x, low, high);
}

Tensor lower_matmul(Tensor x, Tensor y, const MatmulAttr& matmul, const Shape& out,
                    const DeviceCaps& caps) {
  const int64_t k = x.dim(matmul.transpose_a ? -2 : -1);
  x = spread_rows(x, matmul.transpose_a, operand_view(x), out[-1], caps);
  AffineView a = operand_view(x), b = operand_view(y);
  size_t rank = static_cast<size_t>(out.rank());
  size_t a_m = matmul.transpose_a ? rank - 1 : rank - 2;
  size_t a_k = matmul.transpose_a ? rank - 2 : rank - 1;
  size_t b_k = matmul.transpose_b ? rank - 1 : rank - 2;
  size_t b_n = matmul.transpose_b ? rank - 2 : rank - 1;
  std::vector<int64_t> so = out.strides();
  // A product of two matrices with the first transposed is the gradient of a weight; else its rows
  // may be images.
  const ImageDim images = rank > 2             ? ImageDim::kFirst
                          : matmul.transpose_a ? ImageDim::kSummed
                                               : ImageDim::kUnknown;
  ContractAttr attr;
  attr.multiply = matmul.multiply;
  for (size_t i = 0; i + 2 < rank; ++i)
    attr.dims.push_back({out[static_cast<int>(i)], a.strides[i], b.strides[i], so[i]});
  attr.dims.push_back({out[-2], a.strides[a_m], 0, so[rank - 2]});
  if (Tensor copy = panels(y, matmul.transpose_b, b, out[-2], caps)) {
    b = AffineView{copy.id(), 0, copy.shape().strides()};
    for (size_t i = 0; i + 2 < rank; ++i) attr.dims[i].b = b.strides[i];
    const int64_t panel = copy.dim(-1);
    attr.dims.push_back({out[-1] / panel, 0, b.strides[rank - 2], panel});
    attr.dims.push_back({panel, 0, 1, 1});
    attr.dims.push_back({k, a.strides[a_k], b.strides[rank - 1], 0});
    return build_contract(x.graph(), attr, out, a, b, caps, images);
  }
  attr.dims.push_back({out[-1], 0, b.strides[b_n], so[rank - 1]});
  attr.dims.push_back({k, a.strides[a_k], b.strides[b_k], 0});
  return build_contract(x.graph(), attr, out, a, b, caps, images);
}

// out[r, ...] = sum over j of (index[j] == r ? updates[j, ...] : 0), in order of j; an index out of
// range counts as the nearest row.
Tensor lower_scatter_add(Tensor updates, Tensor index, const Shape& out) {
  Graph& graph = updates.graph();
  int64_t rows = out[0], n = updates.dim(0), rest = updates.shape().numel() / n;
  index = minimum(index, full(graph, index.shape(), static_cast<double>(rows - 1), index.dtype()));
  if (index.dtype() == DType::kI32)
    index = maximum(index, full(graph, index.shape(), 0, DType::kI32));
  Tensor row = iota(graph, Shape{rows, n, rest}, 0, index.dtype());
  Tensor which = broadcast_to(reshape(index, Shape{1, n, 1}), Shape{rows, n, rest});
  Tensor value = broadcast_to(reshape(updates, Shape{1, n, rest}), Shape{rows, n, rest});
  Tensor zero = full(graph, value.shape(), 0, value.dtype());
  return reshape(sum(select(equal(row, which), value, zero), {1}), out);
}

// The axes of a shape, neighbours joined that are reduced alike and axes of one element dropped, so
// that reductions that walk in one way are seen to.
struct Runs {
  std::vector<int64_t> extents;
  std::vector<bool> reduced;
};

Runs runs_of(const Shape& shape, const std::vector<int64_t>& axes) {
  Runs runs;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 1) continue;
    const bool reduced = std::find(axes.begin(), axes.end(), i) != axes.end();
    if (!runs.reduced.empty() && runs.reduced.back() == reduced) {
      runs.extents.back() *= shape[i];
    } else {
      runs.extents.push_back(shape[i]);
      runs.reduced.push_back(reduced);
    }
  }
  return runs;
}

// The reduction over `axes`, which keep an extent of 1.
Tensor add_reduce(Tensor x, Op op, const std::vector<int64_t>& axes) {
  Shape kept = x.shape();
  for (int64_t axis : axes) kept[static_cast<int>(axis)] = 1;
  const Runs runs = runs_of(x.shape(), axes);
  std::vector<int64_t> joined;
  Shape shape(runs.extents);
  for (size_t i = 0; i < runs.extents.size(); ++i) {
    if (!runs.reduced[i]) continue;
    joined.push_back(static_cast<int64_t>(i));
    shape[static_cast<int>(i)] = 1;
  }
  Tensor inputs[] = {reshape(x, Shape(runs.extents))};
  return reshape(x.graph().add(op, x.dtype(), shape, inputs, AxesAttr{std::move(joined)}), kept);
}

// A workgroup that sums columns goes through this many rows at most.
constexpr int64_t kColumnWalk = 4096;

// Fewer outputs than this leave lanes or threads idle.
int64_t wanted_outputs(const DeviceCaps& caps) {
  return caps.is_cpu ? 16 * int64_t{caps.subgroup_size} : 4096;
}

// The largest divisor of n that is at most `limit`.
int64_t divisor_at_most(int64_t n, int64_t limit) {
  for (int64_t d = std::min(n, limit); d > 1; --d)
    if (n % d == 0) return d;
  return 1;
}

// Parts into which the first of the reduced axes is best cut, whose sums are then added up: more
// than one where there are few outputs of long sums.
int64_t reduction_parts(const Shape& shape, const std::vector<int64_t>& axes,
                        const DeviceCaps& caps) {
  int64_t length = 1;
  for (int64_t axis : axes) length *= shape[static_cast<int>(axis)];
  // The first axis may count images, which must not decide how one image is summed.
  int64_t outputs = shape.numel() / length;
  if (axes[0] != 0) outputs = outputs / shape[0] * nominal_images(caps);
  const Runs runs = runs_of(shape, axes);
  const bool columns = runs.reduced.size() > 1 &&
                       column_tile(Shape(runs.extents), runs.reduced, 1, caps).columns > 0;
  if (columns) outputs *= kColumnRows;
  const int64_t wanted = wanted_outputs(caps);
  int64_t parts = outputs < wanted ? std::max<int64_t>(2, wanted / outputs) : 1;
  if (columns) parts = std::max(parts, length / kColumnWalk);
  if (parts == 1 || length < 1024) return 1;
  return divisor_at_most(shape[static_cast<int>(axes[0])],
                         std::min({parts, int64_t{256}, length / 64}));
}

// Sums of fewer elements than this per image are not taken by themselves.
constexpr int64_t kImageWorthSumming = 64;

// Stages of a reduction, each with lanes on contiguous kept elements or enough parallel outputs;
// what the first leaves is finished by a second:
// 1. kept axes inside reduced ones: the outer axes first (lanes stay on the inner ones);
// 2. over images and more: each image first, which shares a walk with what is summed per image
//    anyway, the statistics of norms;
// 3. few outputs, long reduction: parts first.
Tensor lower_reduce(Tensor x, Op op, std::vector<int64_t> axes, const DeviceCaps& caps) {
  const Shape& shape = x.shape();
  std::erase_if(axes, [&](int64_t axis) { return shape[static_cast<int>(axis)] == 1; });
  std::sort(axes.begin(), axes.end());
  if (axes.empty()) return x;
  const auto length_of = [&](const std::vector<int64_t>& some) {
    int64_t length = 1;
    for (int64_t axis : some) length *= shape[static_cast<int>(axis)];
    return length;
  };
  auto reduced = [&](int axis) { return std::find(axes.begin(), axes.end(), axis) != axes.end(); };

  std::vector<int64_t> first, later;
  int tail = shape.rank();
  while (tail > 0 && (reduced(tail - 1) || shape[tail - 1] == 1)) --tail;
  for (int64_t axis : axes) (axis < tail ? first : later).push_back(axis);
  if (first.empty() || length_of(later) >= 64) {
    first = axes;
    later.clear();
  }
  if (first.size() > 1 && first[0] == 0 && length_of(first) / shape[0] >= kImageWorthSumming) {
    first.erase(first.begin());
    later.insert(later.begin(), 0);
  }

  const int64_t parts = op == Op::kReduceSum ? reduction_parts(shape, first, caps) : 1;
  if (parts > 1) {
    const int cut = static_cast<int>(first[0]);
    std::vector<int64_t> dims = shape.dims(), inside;
    dims[static_cast<size_t>(cut)] = parts;
    dims.insert(dims.begin() + cut + 1, shape[cut] / parts);
    for (int64_t axis : first) inside.push_back(axis + 1);
    Shape kept = shape;
    for (int64_t axis : first) kept[static_cast<int>(axis)] = 1;
    kept[cut] = parts;
    later.insert(std::upper_bound(later.begin(), later.end(), cut), cut);
    x = reshape(add_reduce(reshape(x, Shape(dims)), op, inside), kept);
  } else {
    x = add_reduce(x, op, first);
  }
  return later.empty() ? x : add_reduce(x, op, later);
}

}  // namespace

Program lower(const Program& program, const DeviceCaps& caps, uint64_t prologue_bytes) {
  PrologueRoom prologue(program, prologue_bytes);
  const std::map<NodeId, GradientPadding> padded = padded_gradients(program);
  const auto rule = [&](Graph& graph, Tensor old, std::span<const Tensor> in) -> Tensor {
    const Node& node = old.node();
    switch (node.op) {
      case Op::kConv2d:
      case Op::kConv2dGradInput:
      case Op::kConv2dGradWeight:
        return lower_convolution(node, in[0], in[1], caps, prologue);
      case Op::kMatmul:
        return lower_matmul(in[0], in[1], std::get<MatmulAttr>(node.attrs), node.shape, caps);
      case Op::kScatterAdd:
        return lower_scatter_add(in[0], in[1], node.shape);
      case Op::kReduceSum:
      case Op::kReduceMax:
        return lower_reduce(in[0], node.op, std::get<AxesAttr>(node.attrs).axes, caps);
      default:
        break;
    }
    const auto found = padded.find(old.id());
    if (found == padded.end()) return {};
    return inside_padding(graph.add(node.op, node.dtype, node.shape, in, node.attrs),
                          found->second);
  };
  return rewrite(program, rule);
}

}  // namespace ito
