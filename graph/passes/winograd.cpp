#include "graph/passes/winograd.h"

#include <algorithm>

#include "base/integer.h"
#include "graph/kernels/contract_tiling.h"
#include "graph/kernels/tile_transform.h"
#include "graph/passes/lowering.h"

namespace ito {
namespace {

constexpr int64_t kTile = 4, kTaps = 3, kPoints = kTile + kTaps - 1;
constexpr int64_t kProducts = kPoints * kPoints;
constexpr int64_t kNominalPixels = 64;

struct Matrix {
  int64_t rows = 0, columns = 0;
  std::vector<double> values;
  double& at(int64_t i, int64_t j) { return values[static_cast<size_t>(i * columns + j)]; }
  double at(int64_t i, int64_t j) const { return values[static_cast<size_t>(i * columns + j)]; }
};

Matrix zeros(int64_t rows, int64_t columns) {
  return {rows, columns, std::vector<double>(static_cast<size_t>(rows * columns), 0)};
}

Matrix transposed(const Matrix& m) {
  Matrix t = zeros(m.columns, m.rows);
  for (int64_t i = 0; i < m.rows; ++i)
    for (int64_t j = 0; j < m.columns; ++j) t.at(j, i) = m.at(i, j);
  return t;
}

// y = output (weights g * input d), element by element: along one axis, 4 results y of 6 pixels d
// and 3 taps g.
struct Transforms {
  Matrix input;    // [6, 6]
  Matrix weights;  // [6, 3]
  Matrix output;   // [4, 6]
};

// Toom and Cook's interpolation through the points, transposed: row j of `weights` evaluates the
// polynomial of the taps at a_j, over prod (a_j - a_l); row j of `input` are the coefficients of
// prod (x - a_l) over all other finite points l. The last point is infinity.
Transforms make_transforms() {
  constexpr std::array<double, kPoints - 1> kAt = {0, 1, -1, 0.5, -2};
  Transforms t{zeros(kPoints, kPoints), zeros(kPoints, kTaps), zeros(kTile, kPoints)};
  for (int64_t j = 0; j < kPoints; ++j) {
    const bool finite = j + 1 < kPoints;
    std::vector<double> product = {1};  // of (x - a_l), lowest power first
    double scale = 1;
    for (int64_t l = 0; l + 1 < kPoints; ++l) {
      if (l == j) continue;
      product.insert(product.begin(), 0);
      for (size_t k = 0; k + 1 < product.size(); ++k)
        product[k] -= kAt[static_cast<size_t>(l)] * product[k + 1];
      if (finite) scale *= kAt[static_cast<size_t>(j)] - kAt[static_cast<size_t>(l)];
    }
    for (size_t k = 0; k < product.size(); ++k) t.input.at(j, static_cast<int64_t>(k)) = product[k];
    if (!finite) {
      t.weights.at(j, kTaps - 1) = t.output.at(kTile - 1, j) = 1;
      continue;
    }
    double power = 1;
    for (int64_t i = 0; i < kTile; ++i, power *= kAt[static_cast<size_t>(j)]) {
      t.output.at(i, j) = power;
      if (i < kTaps) t.weights.at(j, i) = power / scale;
    }
  }
  return t;
}

const Transforms& transforms() {
  static const Transforms kTransforms = make_transforms();
  return kTransforms;
}

TileTransformAttr transform(const Matrix& matrix, std::vector<TileTransformAttr::Dim> dims,
                            std::array<int64_t, 2> in_step, std::array<int64_t, 2> out_step,
                            int64_t in_offset = 0) {
  TileTransformAttr attr;
  attr.matrix = matrix.values;
  attr.rows = matrix.rows;
  attr.taps = matrix.columns;
  std::erase_if(dims, [](const auto& dim) { return dim.size == 1; });
  attr.dims = std::move(dims);
  attr.in_step = in_step;
  attr.out_step = out_step;
  attr.in_offset = in_offset;
  return attr;
}

Tensor add_transform(Graph& graph, NodeId base, TileTransformAttr attr, Shape shape) {
  const Tensor operands[] = {Tensor(&graph, base)};
  return graph.add(Op::kTileTransform, DType::kF32, std::move(shape), operands, std::move(attr));
}

// Tiles of n pictures: how many, and along each axis.
struct Tiling {
  int64_t n = 1, h = 1, w = 1;
  int64_t count() const { return n * h * w; }
};

Tiling tiling_of(const Shape& out) {
  return {out[0], ceil_div(out[1], kTile), ceil_div(out[2], kTile)};
}

// From pictures [n,h,w,c] at addresses to [36, tiles, c].
TileTransformAttr into_points(const Matrix& matrix, const AffineView& x, const Tiling& tiles,
                              int64_t c) {
  const auto& s = x.strides;
  return transform(matrix,
                   {{tiles.n, s[0], tiles.h * tiles.w * c},
                    {tiles.h, kTile * s[1], tiles.w * c},
                    {tiles.w, kTile * s[2], c},
                    {c, s[3], 1}},
                   {s[1], s[2]}, {kPoints * tiles.count() * c, tiles.count() * c}, x.offset);
}

// From products [36, tiles, c] to pictures of whole tiles.
TileTransformAttr from_points(const Tiling& tiles, int64_t c) {
  const int64_t row = tiles.w * kTile * c;
  return transform(transforms().output,
                   {{tiles.n, tiles.h * tiles.w * c, tiles.h * kTile * row},
                    {tiles.h, tiles.w * c, kTile * row},
                    {tiles.w, c, kTile * c},
                    {c, 1, 1}},
                   {kPoints * tiles.count() * c, tiles.count() * c}, {row, c});
}

// Channels of the results that lie together: lanes read them as one vector.
int64_t panel_of(int64_t channels, const DeviceCaps& caps) {
  const int64_t lanes = std::max<uint32_t>(1, caps.subgroup_size);
  return channels % lanes == 0 ? lanes : channels;
}

// To [36, co / panel, ci, panel].
TileTransformAttr weights_into_points(const WinogradWeights& w, int64_t ci, int64_t co,
                                      int64_t panel) {
  return transform(transforms().weights,
                   {{ci, w.channel_in, panel},
                    {co / panel, panel * w.channel_out, ci * panel},
                    {panel, w.channel_out, 1}},
                   w.step, {kPoints * ci * co, ci * co}, w.offset);
}

ContractAttr products(int64_t tiles, int64_t ci, int64_t co, int64_t panel) {
  return {.dims = {{kProducts, tiles * ci, ci * co, tiles * co},
                   {tiles, ci, 0, co},
                   {co / panel, 0, ci * panel, panel},
                   {panel, 0, 1, 1},
                   {ci, 1, panel, 0}}};
}

ContractAttr products_over_tiles(int64_t tiles, int64_t ci, int64_t co) {
  return {.dims = {{kProducts, tiles * ci, tiles * co, ci * co},
                   {ci, 1, 0, co},
                   {co, 0, 1, 1},
                   {tiles, ci, co, 0}}};
}

double contract_cycles(const ContractAttr& attr, const DeviceCaps& caps) {
  return choose_register_tiling(simplify_contract(attr), caps).cycles;
}

AffineView row_major(const Shape& shape) { return {kNoNode, 0, shape.strides()}; }

// Whether tiles fit what a device holds in one piece and addresses in 32 bits.
bool fits(int64_t tiles, int64_t ci, int64_t co, const DeviceCaps& caps) {
  const int64_t most = std::max(kProducts * tiles * std::max(ci, co), kProducts * ci * co);
  return most < (int64_t{1} << 30) && static_cast<uint64_t>(most) * 4 <= caps.max_allocation_bytes;
}

// Decided as if there were so many images as are nominal: an image's bits must not depend on how
// many others are computed with it. `kept`: weights are transformed once, not at each evaluation,
// which few pixels of a single image do not repay.
bool pays(const Shape& out, int64_t ci, bool kept, const DeviceCaps& caps) {
  if (!caps.is_cpu || out[1] * out[2] < kNominalPixels) return false;
  Shape some = out;
  some[0] = nominal_images(caps);
  const int64_t co = out[3], panel = panel_of(co, caps);
  const Tiling tiles = tiling_of(some);
  const Shape padded{some[0], out[1] + 2, out[2] + 2, ci};
  const AffineView x = row_major(padded);
  const ContractAttr direct{.dims = {{some[0], x.strides[0], 0, out[1] * out[2] * co},
                                     {out[1], x.strides[1], 0, out[2] * co},
                                     {out[2], ci, 0, co},
                                     {co, 0, 1, 1},
                                     {kTaps, x.strides[1], kTaps * ci * co, 0},
                                     {kTaps, ci, ci * co, 0},
                                     {ci, 1, co, 0}}};
  const WinogradWeights w{.step = {kTaps * ci * co, ci * co}, .channel_in = co, .channel_out = 1};
  double transformed = transform_cycles(into_points(transforms().input, x, tiles, ci), caps) +
                       transform_cycles(from_points(tiles, co), caps) +
                       contract_cycles(products(tiles.count(), ci, co, panel), caps) +
                       2 * kDispatchCycles;
  if (!kept)
    transformed += transform_cycles(weights_into_points(w, ci, co, panel), caps) + kDispatchCycles;
  return transformed < contract_cycles(direct, caps);
}

}  // namespace

Tensor winograd_conv(Tensor x, std::array<int64_t, 4> pad, const WinogradWeights& w,
                     const Shape& out, const DeviceCaps& caps, PrologueRoom& prologue) {
  Graph& graph = x.graph();
  const int64_t ci = x.dim(3), co = out[3], panel = panel_of(co, caps);
  const Tiling tiles = tiling_of(out);
  if (!fits(tiles.count(), ci, co, caps)) return {};
  const uint64_t weight_bytes = static_cast<uint64_t>(kProducts * ci * co) * sizeof(float);
  const bool kept =
      pays(out, ci, true, caps) && prologue.keeps(graph, w.base, w.offset, weight_bytes);
  if (!kept && !pays(out, ci, false, caps)) return {};
  const Shape whole{out[0], tiles.h * kTile, tiles.w * kTile, co};
  x = pad_or_cut(x, pad[0], pad[1] + whole[1] - out[1], pad[2], pad[3] + whole[2] - out[2]);
  const AffineView view = operand_view(x);
  const Tensor pictures =
      add_transform(graph, view.base, into_points(transforms().input, view, tiles, ci),
                    {kProducts, tiles.count(), ci});
  const Tensor weights = add_transform(graph, w.base, weights_into_points(w, ci, co, panel),
                                       {kProducts, co / panel, ci, panel});
  const AffineView a = operand_view(pictures), b = operand_view(weights);
  const Tensor summed =
      build_contract(graph, products(tiles.count(), ci, co, panel), {kProducts, tiles.count(), co},
                     a, b, caps, ImageDim::kUnknown);
  const Tensor y = add_transform(graph, summed.id(), from_points(tiles, co), whole);
  return whole == out ? y : slice(y, {0, 0, 0, 0}, out.dims());
}

Tensor winograd_grad_weight(Tensor x, std::array<int64_t, 4> pad, Tensor dy, const Shape& out,
                            const DeviceCaps& caps) {
  Graph& graph = x.graph();
  const int64_t ci = out[2], co = out[3], h = dy.dim(1), w = dy.dim(2);
  const Tiling tiles = tiling_of(dy.shape());
  if (!pays(dy.shape(), ci, false, caps) || !fits(tiles.count(), ci, co, caps)) return {};
  const int64_t more_h = tiles.h * kTile - h, more_w = tiles.w * kTile - w;
  x = pad_or_cut(x, pad[0], pad[1] + more_h, pad[2], pad[3] + more_w);
  dy = pad_or_cut(dy, 0, more_h, 0, more_w);
  const AffineView view = operand_view(x), dy_view = operand_view(dy);
  TileTransformAttr of_pictures = into_points(transforms().input, view, tiles, ci);
  of_pictures.copy = 1;
  const Tensor pictures =
      add_transform(graph, view.base, std::move(of_pictures), {kProducts, tiles.count(), ci});
  const Tensor gradients = add_transform(
      graph, dy_view.base, into_points(transposed(transforms().output), dy_view, tiles, co),
      {kProducts, tiles.count(), co});
  const AffineView a = operand_view(pictures), b = operand_view(gradients);
  const Tensor summed = build_contract(graph, products_over_tiles(tiles.count(), ci, co),
                                       {kProducts, ci, co}, a, b, caps, ImageDim::kSummed);
  const AffineView sums = operand_view(summed);
  return add_transform(
      graph, sums.base,
      transform(transposed(transforms().weights), {{ci * co, 1, 1}}, {kPoints * ci * co, ci * co},
                {kTaps * ci * co, ci * co}, sums.offset),
      out);
}

}  // namespace ito
