#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/integer.h"
#include "graph/builder.h"
#include "graph/kernels/contract.h"
#include "graph/kernels/reduce.h"
#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"
#include "graph/passes/view.h"

namespace ito {
namespace {

using Dim = ContractAttr::Dim;

bool is_movement(const Node& node) { return op_def(node.op).op_class == OpClass::kMovement; }

// The stored tensor behind an operand, with the strides of the operand's axes in it.
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
  std::erase_if(attr.dims, [](const Dim& dim) { return dim.size == 1; });
  if (parts == 1) return graph.add(Op::kContract, DType::kF32, std::move(shape), operands, attr);
  Shape partial{parts, shape.numel()};
  Tensor pieces = graph.add(Op::kContract, DType::kF32, partial, operands, attr);
  return reshape(sum(pieces, {0}), std::move(shape));
}

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

// Pads two spatial axes of [n,h,w,c]; negative amounts cut.
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

Tensor lower_conv(Tensor x, Tensor w, const ConvAttr& conv, const Shape& out,
                  const DeviceCaps& caps) {
  x = pad_or_cut(x, conv.pad[0], conv.pad[1], conv.pad[2], conv.pad[3], 0, 0);
  AffineView a = operand_view(x), b = operand_view(w);
  const auto& sa = a.strides;
  const auto& sb = b.strides;
  int64_t g = conv.groups, ci = w.dim(2), co = w.dim(3) / g;
  int64_t row = out[2] * out[3];
  ContractAttr attr;
  attr.dims = {{out[0], sa[0], 0, out[1] * row},
               {out[1], conv.stride[0] * sa[1], 0, row},
               {out[2], conv.stride[1] * sa[2], 0, out[3]},
               {g, ci * sa[3], co * sb[3], co},
               {co, 0, sb[3], 1},
               {w.dim(0), conv.dilation[0] * sa[1], sb[0], 0},
               {w.dim(1), conv.dilation[1] * sa[2], sb[1], 0},
               {ci, sa[3], sb[2], 0}};
  return build_contract(x.graph(), attr, out, a, b, caps, ImageDim::kFirst);
}

// For strides 1 and 2. Pixel s i + p of dx (phase p < s) meets only the taps k with k = p + pad
// (mod s), and those in rows i + floor((p + pad) / s) - j of dy, where k = s j + (p + pad) mod s.
// So each phase is a convolution of dy with every s-th tap; with as many taps j for every phase
// (zeros where one has fewer: for 3 taps and stride 2, 4 of 9 products remain) all phases are one
// contraction, with the phase as an output dim of its own, that writes dx in its order.
Tensor lower_conv_grad_input_phases(Tensor dy, Tensor w, const ConvAttr& conv, const Shape& out,
                                    const DeviceCaps& caps) {
  int64_t taps[2], whole[2], low[2], high[2], step[2];
  std::vector<int64_t> reversed = {0, 2};
  for (int i = 0; i < 2; ++i) {
    const int64_t s = conv.stride[i], padding = conv.pad[2 * i];
    taps[i] = ceil_div(w.dim(i), s);
    whole[i] = ceil_div(out[1 + i], s) * s;
    low[i] = taps[i] - 1 - padding / s;
    high[i] = whole[i] / s - 1 + (s - 1 + padding) / s - (dy.dim(1 + i) - 1);
    step[i] = (s - 1 + padding) / s - padding / s;  // from the first phase's rows to the last's
    if (s == 2 && padding % 2 != 0) reversed.push_back(2 * i + 1);
  }
  dy = pad_or_cut(dy, low[0], high[0], low[1], high[1], 0, 0);
  const int64_t sh = conv.stride[0], sw = conv.stride[1], ci = w.dim(2), co = w.dim(3);
  w = pad(w, {0, 0, 0, 0}, {taps[0] * sh - w.dim(0), taps[1] * sw - w.dim(1), 0, 0});
  w = flip(reshape(w, {taps[0], sh, taps[1], sw, ci, co}), reversed);
  w = permute(w, {1, 3, 0, 2, 5, 4});  // phases, taps, co, ci: lanes over input channels
  const AffineView a = operand_view(dy), b{w.id(), 0, w.shape().strides()};
  const auto& sa = a.strides;
  const auto& sb = b.strides;
  const Shape all{out[0], whole[0], whole[1], ci};
  const int64_t row = whole[1] * ci;
  ContractAttr attr;
  attr.dims = {{out[0], sa[0], 0, whole[0] * row},
               {whole[0] / sh, sa[1], 0, sh * row},
               {sh, step[0] * sa[1], sb[0], row},
               {whole[1] / sw, sa[2], 0, sw * ci},
               {sw, step[1] * sa[2], sb[1], ci},
               {ci, 0, sb[5], 1},
               {taps[0], sa[1], sb[2], 0},
               {taps[1], sa[2], sb[3], 0},
               {co, sa[3], sb[4], 0}};
  Tensor dx = build_contract(dy.graph(), attr, all, a, b, caps, ImageDim::kFirst);
  return all == out ? dx : slice(dx, {0, 0, 0, 0}, out.dims());
}

bool has_phases(const ConvAttr& conv) {
  bool strided = false;
  for (size_t i = 0; i < 2; ++i) {
    if (conv.stride[i] > 2 || conv.dilation[i] != 1) return false;
    strided |= conv.stride[i] == 2;
  }
  return strided && conv.groups == 1;
}

// What lies around dy, by spatial axis, where its gradient is taken by the input.
struct GradientPadding {
  std::array<int64_t, 2> low, high;
};

GradientPadding gradient_padding(const Shape& dy, const Shape& w, const ConvAttr& conv,
                                 const Shape& out) {
  GradientPadding p{};
  for (int i = 0; i < 2; ++i) {
    const auto axis = static_cast<size_t>(i);
    const int64_t reach = conv.dilation[axis] * (w[i] - 1);
    const int64_t dilated = (dy[1 + i] - 1) * conv.stride[axis] + 1;
    p.low[axis] = reach - conv.pad[2 * axis];
    p.high[axis] = out[1 + i] + reach - p.low[axis] - dilated;
  }
  return p;
}

// dx = conv of dy (dilated by the stride, fully padded) with the flipped weight.
Tensor lower_conv_grad_input(Tensor dy, Tensor w, const ConvAttr& conv, const Shape& out,
                             const DeviceCaps& caps) {
  if (has_phases(conv)) return lower_conv_grad_input_phases(dy, w, conv, out, caps);
  const GradientPadding p = gradient_padding(dy.shape(), w.shape(), conv, out);
  dy = pad_or_cut(dy, p.low[0], p.high[0], p.low[1], p.high[1], conv.stride[0] - 1,
                  conv.stride[1] - 1);
  int64_t g = conv.groups, ci = w.dim(2), co = w.dim(3) / g;
  if (w.dim(0) > 1 || w.dim(1) > 1) w = flip(w, {0, 1});
  // Lanes run over input channels: a copy makes them contiguous, which the convolution repays many
  // times over. Looking through the permutation would read the weight with a stride.
  if (g == 1) w = permute(w, {0, 1, 3, 2});
  AffineView a = operand_view(dy);
  AffineView b = g == 1 ? AffineView{w.id(), 0, w.shape().strides()} : operand_view(w);
  const auto& sa = a.strides;
  int64_t b_ci = b.strides[g == 1 ? 3 : 2], b_co = b.strides[g == 1 ? 2 : 3];
  int64_t row = out[2] * out[3];
  ContractAttr attr;
  attr.dims = {{out[0], sa[0], 0, out[1] * row},
               {out[1], sa[1], 0, row},
               {out[2], sa[2], 0, out[3]},
               {g, co * sa[3], co * b_co, ci},
               {ci, 0, b_ci, 1},
               {w.dim(0), conv.dilation[0] * sa[1], b.strides[0], 0},
               {w.dim(1), conv.dilation[1] * sa[2], b.strides[1], 0},
               {co, sa[3], b_co, 0}};
  return build_contract(dy.graph(), attr, out, a, b, caps, ImageDim::kFirst);
}

Tensor lower_conv_grad_weight(Tensor x, Tensor dy, const ConvAttr& conv, const Shape& out,
                              const DeviceCaps& caps) {
  x = pad_or_cut(x, conv.pad[0], conv.pad[1], conv.pad[2], conv.pad[3], 0, 0);
  AffineView a = operand_view(x), b = operand_view(dy);
  const auto& sa = a.strides;
  const auto& sb = b.strides;
  int64_t g = conv.groups, ci = out[2], co = out[3] / g;
  ContractAttr attr;
  attr.dims = {{out[0], conv.dilation[0] * sa[1], 0, out[1] * ci * out[3]},
               {out[1], conv.dilation[1] * sa[2], 0, ci * out[3]},
               {ci, sa[3], 0, out[3]},
               {g, ci * sa[3], co * sb[3], co},
               {co, 0, sb[3], 1},
               {dy.dim(0), sa[0], sb[0], 0},
               {dy.dim(1), conv.stride[0] * sa[1], sb[1], 0},
               {dy.dim(2), conv.stride[1] * sa[2], sb[2], 0}};
  return build_contract(x.graph(), attr, out, a, b, caps, ImageDim::kSummed);
}

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

// Gradients that a convolution needs padded, with their padding. Others who need them take them out
// of the padded one, so that each is stored once: who computes it writes it with its padding.
std::map<NodeId, GradientPadding> padded_gradients(const Program& program) {
  const Graph& graph = *program.graph;
  std::set<NodeId> outputs;
  for (const ProgramOutput& output : program.outputs) outputs.insert(output.value.id());
  std::map<NodeId, GradientPadding> result;
  const std::vector<bool> live = live_nodes(program);
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (!live[id] || node.op != Op::kConv2dGradInput) continue;
    const auto& conv = std::get<ConvAttr>(node.attrs);
    const NodeId dy = node.inputs[0];
    NodeId made = dy;
    while (graph.node(made).op == Op::kReshape) made = graph.node(made).inputs[0];
    if (op_def(graph.node(made).op).op_class != OpClass::kElementwise || outputs.contains(dy) ||
        conv.stride != std::array<int64_t, 2>{1, 1})
      continue;
    const GradientPadding p =
        gradient_padding(graph.node(dy).shape, graph.node(node.inputs[1]).shape, conv, node.shape);
    const int64_t least = std::min({p.low[0], p.low[1], p.high[0], p.high[1]});
    const int64_t most = std::max({p.low[0], p.low[1], p.high[0], p.high[1]});
    if (least >= 0 && most > 0) result.try_emplace(dy, p);
  }
  return result;
}

Tensor inside_padding(Tensor x, const GradientPadding& p) {
  const Tensor padded = pad(x, {0, p.low[0], p.low[1], 0}, {0, p.high[0], p.high[1], 0});
  return slice(padded, {0, p.low[0], p.low[1], 0},
               {x.dim(0), p.low[0] + x.dim(1), p.low[1] + x.dim(2), x.dim(3)});
}

}  // namespace

Program lower(const Program& program, const DeviceCaps& caps) {
  const std::map<NodeId, GradientPadding> padded = padded_gradients(program);
  const auto rule = [&](Graph& graph, Tensor old, std::span<const Tensor> in) -> Tensor {
    const Node& node = old.node();
    switch (node.op) {
      case Op::kConv2d:
        return lower_conv(in[0], in[1], std::get<ConvAttr>(node.attrs), node.shape, caps);
      case Op::kConv2dGradInput:
        return lower_conv_grad_input(in[0], in[1], std::get<ConvAttr>(node.attrs), node.shape,
                                     caps);
      case Op::kConv2dGradWeight:
        return lower_conv_grad_weight(in[0], in[1], std::get<ConvAttr>(node.attrs), node.shape,
                                      caps);
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
