#include "graph/kernels/contract_tiling.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/check.h"
#include "base/integer.h"

namespace ito {
namespace {

using Dim = ContractAttr::Dim;

bool continues(const Dim& outer, const Dim& inner) {
  return outer.a == inner.a * inner.size && outer.b == inner.b * inner.size &&
         outer.out == inner.out * inner.size;
}

// Costs in cycles of one vector multiply-add; measured on lavapipe at 512 bits.
constexpr double kUnitLoad = 1.0;
constexpr double kStridedLanePerLane = 1.0;
constexpr double kGatherPerLane = 4.0;
constexpr double kSharedBroadcast = 0.5;     // a uniform value kept for several rows
constexpr double kLoopIteration = 40;        // masks and counters
constexpr double kStorePerVector = 40;       // scatter and index arithmetic
constexpr double kTile = 200;                // workgroup start
constexpr int64_t kCachedBytes = 384 << 10;  // of a core's own cache, for the lane operand
constexpr double kUncachedStep = 4;          // where the operands of a tile fit no core's cache
constexpr double kTileBytes = 320 << 10;
constexpr int64_t kBodySteps = 128;  // multiply-adds in the unrolled body, about
constexpr double kShortWork = 2e6;   // multiply-adds of elements
constexpr int64_t kMaxUnroll = 16;
constexpr int64_t kMaxLaneLoads = 16;  // lane loads in the body: they cost compile time

// Of GPUs: units where their number is not known, and invocations that keep one busy.
constexpr int64_t kUnits = 32;
constexpr int64_t kLanesPerUnit = 256;
// Outputs of an invocation, at most.
constexpr int64_t kAccumulators = 64, kNarrowAccumulators = 32;

// The wider an invocation's part, the more multiply-adds for each load from shared memory; the
// narrower, the more workgroups.
constexpr SharedTiling kTilings[] = {
    {128, 128, 8, 8, 8}, {128, 64, 16, 8, 8}, {64, 128, 16, 8, 8}, {128, 64, 16, 8, 4},
    {64, 128, 16, 4, 8}, {64, 64, 16, 8, 8},  {64, 64, 16, 8, 4},  {64, 64, 16, 4, 8},
    {64, 64, 8, 8, 4},   {64, 64, 16, 4, 4},  {64, 32, 16, 4, 4},  {32, 64, 16, 4, 4},
    {32, 32, 16, 4, 4},  {64, 16, 16, 4, 2},  {16, 64, 16, 2, 4},  {16, 16, 16, 2, 2},
};

double load_cost(LaneAccess access, int64_t lanes, int64_t other_rows) {
  switch (access) {
    case LaneAccess::kUniform:
      return other_rows > 1 ? kSharedBroadcast : 0;
    case LaneAccess::kUnit:
      return kUnitLoad;
    case LaneAccess::kStrided:
      return kStridedLanePerLane * static_cast<double>(lanes);
    case LaneAccess::kGather:
      return kGatherPerLane * static_cast<double>(lanes);
  }
  return 0;
}

LaneAccess lane_access(const ContractAttr& attr, const std::vector<int>& lane_dims,
                       int64_t Dim::*stride) {
  bool varies = false;
  for (int d : lane_dims) varies |= attr.dims[static_cast<size_t>(d)].*stride != 0;
  if (!varies) return LaneAccess::kUniform;
  if (lane_dims.size() > 1) return LaneAccess::kGather;
  return attr.dims[static_cast<size_t>(lane_dims[0])].*stride == 1 ? LaneAccess::kUnit
                                                                   : LaneAccess::kStrided;
}

// Most accumulators: with 16 vector registers (narrow vectors) more would spill.
int64_t max_rows(const DeviceCaps&) { return 16; }

// Steps of the loop body: whole inner dims while they fit, then a part of the next one. A part
// that divides the dim is preferred, unless that loses half of it.
void choose_unroll(const ContractAttr& attr, RegisterTiling& tiling) {
  const int64_t rows = tiling.rows_a * tiling.rows_b;
  // The driver compiles in proportion to the body: a short contraction does not repay a long one.
  double work = 1;
  for (const Dim& dim : attr.dims) work *= static_cast<double>(dim.size);
  const int64_t body = work < kShortWork ? kBodySteps / 4 : kBodySteps;
  int64_t lane_loads = 0;
  if (tiling.a != LaneAccess::kUniform) lane_loads += tiling.rows_a;
  if (tiling.b != LaneAccess::kUniform) lane_loads += tiling.rows_b;
  int64_t target = std::clamp<int64_t>(body / rows, 1, kMaxUnroll);
  if (lane_loads > 0) target = std::clamp<int64_t>(kMaxLaneLoads / lane_loads, 1, target);
  tiling.unroll = 1;
  for (size_t d = attr.dims.size(); d-- > 0 && attr.dims[d].reduced();) {
    const int64_t size = attr.dims[d].size;
    const int64_t room = target / tiling.unroll;
    if (room < 2) break;
    int64_t part = std::min(size, room);
    if (size > room) {
      int64_t divisor = part;
      while (size % divisor != 0) --divisor;
      if (divisor * 2 >= part) part = divisor;
    }
    tiling.tile[d] = part;
    tiling.unroll *= part;
    if (part < size) break;
  }
}

class TilingSearch {
 public:
  TilingSearch(const ContractAttr& attr, const DeviceCaps& caps) : attr_(attr), caps_(caps) {
    lanes_ = std::max<uint32_t>(1, caps.subgroup_size);
    workers_ = caps.compute_units == 0 ? 8 : caps.compute_units;
    for (const Dim& dim : attr.dims)
      if (dim.reduced()) steps_ *= dim.size;
  }

  void try_lanes(std::vector<int> lane_dims) {
    current_ = RegisterTiling{};
    current_.lane_dims = std::move(lane_dims);
    current_.tile.assign(attr_.dims.size(), 1);
    current_.a = lane_access(attr_, current_.lane_dims, &Dim::a);
    current_.b = lane_access(attr_, current_.lane_dims, &Dim::b);
    current_.lane_total = 1;
    for (int d : current_.lane_dims) current_.lane_total *= attr_.dims[static_cast<size_t>(d)].size;
    extend(attr_.dims.size());
  }

  RegisterTiling best() const {
    RegisterTiling t = best_;
    const int64_t lane_tiles = ceil_div(t.lane_total, lanes_);
    const int64_t panel = steps_ * lanes_ * 4;
    t.lane_chunk = 1;
    for (int64_t chunk = 2; chunk <= lane_tiles && chunk * panel <= kCachedBytes; ++chunk)
      if (lane_tiles % chunk == 0) t.lane_chunk = chunk;
    return t;
  }

 private:
  // Chooses the tile of every output dim before `end`, innermost first.
  void extend(size_t end) {
    size_t d = end;
    while (d > 0 && !tileable(d - 1)) --d;
    if (d == 0) {
      rate();
      return;
    }
    --d;
    const Dim& dim = attr_.dims[d];
    const int64_t rows = current_.rows_a * current_.rows_b;
    int64_t& own = dim.a != 0 ? current_.rows_a : current_.rows_b;
    for (int64_t tile = 1; tile <= dim.size && rows * tile <= max_rows(caps_); ++tile) {
      current_.tile[d] = tile;
      own *= tile;
      extend(d);
      own /= tile;
    }
    current_.tile[d] = 1;
  }

  bool tileable(size_t d) const {
    const Dim& dim = attr_.dims[d];
    if (dim.reduced() || (dim.a != 0) == (dim.b != 0)) return false;
    return std::find(current_.lane_dims.begin(), current_.lane_dims.end(), static_cast<int>(d)) ==
           current_.lane_dims.end();
  }

  void rate() {
    RegisterTiling t = current_;
    choose_unroll(attr_, t);
    t.tiles = ceil_div(t.lane_total, lanes_);
    double extent = 0;  // bytes between the first and the last row
    for (size_t d = 0; d < attr_.dims.size(); ++d) {
      const bool lane = std::find(t.lane_dims.begin(), t.lane_dims.end(), static_cast<int>(d)) !=
                        t.lane_dims.end();
      if (attr_.dims[d].reduced() || lane) continue;
      t.tiles *= ceil_div(attr_.dims[d].size, t.tile[d]);
      extent += 4.0 * static_cast<double>((t.tile[d] - 1) * std::max(std::abs(attr_.dims[d].a),
                                                                     std::abs(attr_.dims[d].b)));
    }
    const double rows = static_cast<double>(t.rows_a * t.rows_b);
    const bool uncached =
        panel_bytes(t.a, t.rows_a, &Dim::a) + panel_bytes(t.b, t.rows_b, &Dim::b) > kTileBytes;
    const double step = rows + (uncached ? kUncachedStep : 0) +
                        static_cast<double>(t.rows_a) * load_cost(t.a, lanes_, t.rows_b) +
                        static_cast<double>(t.rows_b) * load_cost(t.b, lanes_, t.rows_a) +
                        kLoopIteration / static_cast<double>(t.unroll);
    const bool stores_lanes = t.stores_lanes(attr_, static_cast<uint32_t>(lanes_));
    const double one = kTile + rows * kStorePerVector * (stores_lanes ? 1 : 2) +
                       static_cast<double>(steps_) * step;
    // The slowest worker decides. Rows that lie far apart share no cache lines.
    t.cycles = one * static_cast<double>(ceil_div(t.tiles, workers_) * workers_) *
               (1 + 0.005 * std::log2(1 + extent));
    if (best_.tile.empty() || t.cycles < best_.cycles) best_ = std::move(t);
  }

  // Memory that one tile's loop goes through, in cache lines of 64 bytes where it jumps.
  double panel_bytes(LaneAccess access, int64_t rows, int64_t Dim::*stride) const {
    double step = 4.0 * static_cast<double>(rows);
    if (access != LaneAccess::kUniform) step *= static_cast<double>(lanes_);
    const bool in_order = !attr_.dims.empty() && attr_.dims.back().reduced() &&
                          std::abs(attr_.dims.back().*stride) == 1;
    if (!in_order) step = std::max(step, 64.0);
    return static_cast<double>(steps_) * step;
  }

  const ContractAttr& attr_;
  const DeviceCaps& caps_;
  int64_t lanes_ = 1;
  int64_t workers_ = 1;
  int64_t steps_ = 1;
  RegisterTiling current_;
  RegisterTiling best_;
};

}  // namespace

ContractAttr simplify_contract(const ContractAttr& attr) {
  ContractAttr result;
  result.a_offset = attr.a_offset;
  result.b_offset = attr.b_offset;
  result.multiply = attr.multiply;
  std::vector<Dim> out, reduced;
  for (const Dim& dim : attr.dims) {
    CHECK(dim.size > 0, "a contraction dim of size 0");
    if (dim.size == 1) continue;
    (dim.reduced() ? reduced : out).push_back(dim);
  }
  // Loops over memory in order: large strides outside.
  std::stable_sort(reduced.begin(), reduced.end(), [](const Dim& x, const Dim& y) {
    return std::abs(x.a) + std::abs(x.b) > std::abs(y.a) + std::abs(y.b);
  });
  for (const std::vector<Dim>* dims : {&out, &reduced}) {
    const size_t first = result.dims.size();
    for (const Dim& dim : *dims) {
      if (result.dims.size() > first && continues(result.dims.back(), dim)) {
        const int64_t size = result.dims.back().size * dim.size;
        result.dims.back() = dim;
        result.dims.back().size = size;
      } else {
        result.dims.push_back(dim);
      }
    }
  }
  return result;
}

RegisterTiling choose_register_tiling(const ContractAttr& attr, const DeviceCaps& caps) {
  TilingSearch search(attr, caps);
  std::vector<int> only_a, only_b, all;
  for (size_t d = 0; d < attr.dims.size(); ++d) {
    const Dim& dim = attr.dims[d];
    if (dim.reduced()) continue;
    const int index = static_cast<int>(d);
    search.try_lanes({index});
    all.push_back(index);
    if (dim.a != 0 && dim.b == 0) only_a.push_back(index);
    if (dim.b != 0 && dim.a == 0) only_b.push_back(index);
  }
  if (all.empty()) search.try_lanes({});
  for (const std::vector<int>* lanes : {&only_a, &only_b, &all})
    if (lanes->size() > 1) search.try_lanes(*lanes);
  return search.best();
}

MatrixView matrix_view(const ContractAttr& attr) {
  MatrixView view;
  for (size_t d = 0; d < attr.dims.size(); ++d) {
    const Dim& dim = attr.dims[d];
    const int index = static_cast<int>(d);
    if (dim.reduced()) {
      view.k.push_back(index);
      view.k_size *= dim.size;
    } else if (dim.a != 0 && dim.b == 0) {
      view.m.push_back(index);
      view.m_size *= dim.size;
    } else if (dim.b != 0 && dim.a == 0) {
      view.n.push_back(index);
      view.n_size *= dim.size;
    } else {
      view.batch.push_back(index);
      view.batch_size *= dim.size;
    }
  }
  return view;
}

bool has_narrow_registers(const DeviceCaps& caps) {
  return caps.min_subgroup_size != 0 && caps.min_subgroup_size < 32;
}

std::span<const SharedTiling> shared_tilings() { return kTilings; }

SharedTiling choose_shared_tiling(const MatrixView& view, const DeviceCaps& caps) {
  const uint32_t invocations = std::min(caps.max_workgroup_invocations, caps.max_workgroup_size_x);
  const int64_t units = caps.compute_units == 0 ? kUnits : caps.compute_units;
  SharedTiling best = kTilings[std::size(kTilings) - 1];
  double least = 0;
  for (const SharedTiling& tiling : kTilings) {
    const int64_t accumulators = tiling.micro_m * tiling.micro_n;
    if (tiling.invocations() > invocations || tiling.shared_bytes() > caps.shared_memory_bytes ||
        accumulators > (has_narrow_registers(caps) ? kNarrowAccumulators : kAccumulators))
      continue;
    const auto tiles = static_cast<double>(ceil_div(view.m_size, tiling.block_m) *
                                           ceil_div(view.n_size, tiling.block_n) * view.batch_size);
    // Multiply-adds among the loop's instructions, about: wide loads, and what else a step takes.
    const double product = static_cast<double>(accumulators);
    const double share =
        product / (product + static_cast<double>(tiling.micro_m + tiling.micro_n) / 2 + 1);
    // A device is busy when each unit has kLanesPerUnit invocations.
    const double busy =
        std::min(1.0, tiles * tiling.invocations() / static_cast<double>(units * kLanesPerUnit));
    const double cost =
        tiles * static_cast<double>(tiling.block_m * tiling.block_n) / (share * busy);
    if (least == 0 || cost < least) {
      least = cost;
      best = tiling;
    }
  }
  return best;
}

namespace {

// A product of fragments of f16, added up in f32 by a subgroup; null where the device has none.
const MatrixShape* half_product(const DeviceCaps& caps) {
  for (const MatrixShape& shape : caps.matrix_shapes)
    if (shape.a == MatrixElement::kF16 && shape.b == MatrixElement::kF16 &&
        shape.c == MatrixElement::kF32 && shape.result == MatrixElement::kF32 &&
        shape.scope == MatrixScope::kSubgroup && !shape.saturating && shape.k % 4 == 0 &&
        shape.n % 4 == 0)
      return &shape;
  return nullptr;
}

// Fragments of a subgroup and subgroups of a workgroup, along m and n.
struct MatrixSplit {
  int64_t fragments_m, fragments_n, subgroups_m, subgroups_n;
};
constexpr MatrixSplit kMatrixSplits[] = {{4, 4, 4, 2}, {4, 4, 2, 2}, {4, 4, 4, 1}, {4, 2, 2, 2},
                                         {2, 4, 2, 2}, {2, 2, 4, 4}, {2, 2, 4, 2}, {2, 2, 2, 2},
                                         {4, 1, 4, 1}, {1, 4, 1, 4}, {2, 1, 4, 1}, {1, 1, 2, 2},
                                         {1, 1, 1, 1}};
// Whether groups of four elements lie together in an operand, each at a multiple of four.
bool has_fours(const ContractAttr& attr, int64_t Dim::*stride, int64_t offset) {
  int odd = 0;
  for (const Dim& dim : attr.dims) {
    if (dim.*stride < 0) return false;
    if (dim.*stride % 4 == 0) continue;
    if (dim.*stride != 1 || dim.size % 4 != 0) return false;
    ++odd;
  }
  return odd == 1 && offset % 4 == 0;
}

// Steps of the reduction that lie in shared memory at a time, at least.
constexpr int64_t kMatrixSteps = 16;
// Numbers of an invocation's results, at most.
constexpr int64_t kMatrixResults = 128, kNarrowMatrixResults = 32;
// Elements that an invocation loads of a block, at most.
constexpr int64_t kMatrixLoads = 36, kNarrowMatrixLoads = 24;

}  // namespace

std::vector<MatrixTiling> matrix_tilings(DType multiply, const DeviceCaps& caps) {
  std::vector<MatrixTiling> tilings;
  const MatrixShape* shape = half_product(caps);
  if (multiply != DType::kF16 || !caps.cooperative_matrix || !caps.shader_float16 ||
      shape == nullptr)
    return tilings;
  const bool narrow = has_narrow_registers(caps);
  const uint32_t invocations = std::min(caps.max_workgroup_invocations, caps.max_workgroup_size_x);
  for (const MatrixSplit& split : kMatrixSplits) {
    MatrixTiling tiling{.shape = *shape,
                        .fragments_m = split.fragments_m,
                        .fragments_n = split.fragments_n,
                        .subgroups_m = split.subgroups_m,
                        .subgroups_n = split.subgroups_n,
                        .block_k = std::max<int64_t>(shape->k, kMatrixSteps),
                        .loads_ahead = !narrow};
    // The narrowest subgroups hold the most of a fragment each, and waste none of it.
    tiling.subgroup_size = caps.required_subgroup_size && caps.min_subgroup_size != 0
                               ? caps.min_subgroup_size
                               : caps.subgroup_size;
    const int64_t results = tiling.subgroup_m() * tiling.subgroup_n() / tiling.subgroup_size;
    const int64_t loads =
        (tiling.block_m() + tiling.block_n()) * tiling.block_k / tiling.invocations();
    if (loads > (narrow ? kNarrowMatrixLoads : kMatrixLoads)) continue;
    if (tiling.invocations() <= invocations && tiling.shared_bytes() <= caps.shared_memory_bytes &&
        results <= (narrow ? kNarrowMatrixResults : kMatrixResults))
      tilings.push_back(tiling);
  }
  return tilings;
}

std::optional<MatrixTiling> choose_matrix_tiling(const ContractAttr& attr, const DeviceCaps& caps) {
  if (has_narrow_registers(caps) &&
      !(has_fours(attr, &Dim::a, attr.a_offset) && has_fours(attr, &Dim::b, attr.b_offset)))
    return std::nullopt;
  const MatrixView view = matrix_view(attr);
  // On subgroups of eight lanes the addresses of one more index spill (21 registers on dg2).
  if (has_narrow_registers(caps) && caps.min_subgroup_size < 16 && !view.batch.empty())
    return std::nullopt;
  const int64_t units = caps.compute_units == 0 ? kUnits : caps.compute_units;
  std::optional<MatrixTiling> best;
  double least = 0;
  for (const MatrixTiling& tiling : matrix_tilings(attr.multiply, caps)) {
    const auto tiles =
        static_cast<double>(ceil_div(view.m_size, tiling.block_m()) *
                            ceil_div(view.n_size, tiling.block_n()) * view.batch_size);
    // As for shared memory: matrix instructions among the loop's, and how busy the device is.
    const auto product = static_cast<double>(tiling.fragments_m * tiling.fragments_n);
    const double share =
        product / (product + static_cast<double>(tiling.fragments_m + tiling.fragments_n));
    const double busy =
        std::min(1.0, tiles * tiling.invocations() / static_cast<double>(units * kLanesPerUnit));
    const double cost =
        tiles * static_cast<double>(tiling.block_m() * tiling.block_n()) / (share * busy);
    if (!best || cost < least) {
      least = cost;
      best = tiling;
    }
  }
  return best;
}

}  // namespace ito
