// Choices of the contract archetype as plain values: how a contraction is cut into register tiles
// (CPU-like devices) or shared-memory tiles (GPUs). Depends on ContractAttr and DeviceCaps only.
// Not the GLSL text (contract_registers.cpp, contract_shared.cpp).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/device_caps.h"
#include "graph/attrs.h"

namespace ito {

// The same contraction with fewer dims: size 1 dropped, neighbours that are one longer dim in all
// three operands merged. Output dims first, then reduced dims with the smallest strides innermost.
ContractAttr simplify_contract(const ContractAttr& attr);

// How the 16 or so lanes of one subgroup read an operand.
enum class LaneAccess : uint8_t {
  kUniform,  // one address for all lanes: a scalar load and a broadcast
  kUnit,     // neighbouring lanes read neighbouring elements: one vector load
  kStrided,  // a constant distance between lanes: one scalar load per lane
  kGather,   // an address computed per lane
};

// One tile per workgroup of one subgroup: lanes x (rows of A) x (rows of B) accumulators, all in
// registers. Indices refer to the dims of the simplified attr.
struct RegisterTiling {
  std::vector<int> lane_dims;  // output dims whose linear index runs over the lanes, outer first
  int64_t lane_total = 1;      // product of their sizes
  std::vector<int64_t> tile;   // per dim: register rows (output) or unrolled steps (reduced)
  LaneAccess a = LaneAccess::kUniform;
  LaneAccess b = LaneAccess::kUniform;
  int64_t rows_a = 1;      // accumulator rows along dims that A varies with
  int64_t rows_b = 1;      // the same for B; their product is the number of accumulators
  int64_t unroll = 1;      // multiply-add steps in the loop body
  int64_t tiles = 1;       // workgroups
  int64_t lane_chunk = 1;  // lane tiles visited before the next rows: what they read stays cached
  double cycles = 0;       // estimated work of the whole contraction

  // Whether all lanes always hold neighbouring outputs, the first at a multiple of `lanes`.
  bool stores_lanes(const ContractAttr& attr, uint32_t lanes) const {
    return lane_dims.size() == 1 && attr.dims[static_cast<size_t>(lane_dims[0])].out == 1 &&
           lane_total % lanes == 0;
  }
};

// `attr` must be simplified.
RegisterTiling choose_register_tiling(const ContractAttr& attr, const DeviceCaps& caps);

// Shared-memory tiles of block_m x block_n outputs, at most block_k deep, two in turns; each
// invocation keeps micro_m x micro_n accumulators.
struct SharedTiling {
  int64_t block_m = 64, block_n = 64, block_k = 16;
  int64_t micro_m = 4, micro_n = 4;
  uint32_t invocations() const {
    return static_cast<uint32_t>(block_m / micro_m * (block_n / micro_n));
  }
  // Elements beyond a row, against bank conflicts; four, so that rows begin where wide loads may.
  static constexpr int64_t kRowPadding = 4;
  // Bytes of shared memory, at most.
  uint32_t shared_bytes() const {
    return static_cast<uint32_t>(2 * (block_m + block_n + 2 * kRowPadding) * block_k * 4);
  }
};

// Extents of the matrix view: m = dims that only A has, n = dims that only B has, batch = the
// other output dims, k = reduced dims.
struct MatrixView {
  std::vector<int> batch, m, n, k;
  int64_t batch_size = 1, m_size = 1, n_size = 1, k_size = 1;
};
MatrixView matrix_view(const ContractAttr& attr);

// Whether an invocation of a GPU has room for few numbers only: where subgroups may be as narrow as
// eight (Intel), 64 accumulators spill.
bool has_narrow_registers(const DeviceCaps& caps);

// All that choose_shared_tiling chooses among.
std::span<const SharedTiling> shared_tilings();

SharedTiling choose_shared_tiling(const MatrixView& view, const DeviceCaps& caps);

// Tiles of cooperative matrices. A subgroup keeps fragments_m x fragments_n results of shape.m x
// shape.n; a workgroup is subgroups_m x subgroups_n subgroups, and its operands, in 16 bits, lie in
// shared memory, at most block_k of the reduction at a time.
struct MatrixTiling {
  MatrixShape shape;
  uint32_t subgroup_size = 32;
  int64_t fragments_m = 4, fragments_n = 4;
  int64_t subgroups_m = 2, subgroups_n = 2;
  int64_t block_k = 16;  // a multiple of shape.k
  // The next block is kept in registers while one is multiplied, where there is room for it.
  bool loads_ahead = true;

  int64_t subgroup_m() const { return fragments_m * shape.m; }
  int64_t subgroup_n() const { return fragments_n * shape.n; }
  int64_t block_m() const { return subgroups_m * subgroup_m(); }
  int64_t block_n() const { return subgroups_n * subgroup_n(); }
  uint32_t invocations() const {
    return static_cast<uint32_t>(subgroups_m * subgroups_n) * subgroup_size;
  }
  // 8-byte words in which a row of `steps` elements lies in shared memory: two more than it fills,
  // against bank conflicts.
  static constexpr int64_t row_words(int64_t steps) { return steps / 4 + 2; }
  // Bytes of shared memory, at most: two tiles of both operands in turns, or the results.
  uint32_t shared_bytes() const {
    const int64_t tiles = 2 * (block_m() + block_n()) * row_words(block_k);
    const int64_t results = subgroups_m * subgroups_n * shape.m * (subgroup_n() / 2 + 2);
    return static_cast<uint32_t>(8 * std::max(tiles, results));
  }
};

// All tilings that choose_matrix_tiling chooses among: those that the device has room for. Empty
// where it has no product of cooperative matrices of `multiply` that adds up in f32.
std::vector<MatrixTiling> matrix_tilings(DType multiply, const DeviceCaps& caps);

// The one of least estimated cost for a simplified contraction. Nothing where there is none, and
// where an invocation has room for few numbers and the contraction wants many addresses: for
// operands that are loaded one by one, and on eight lanes for an index that both operands have.
// Which one it is never changes the order of a sum.
std::optional<MatrixTiling> choose_matrix_tiling(const ContractAttr& attr, const DeviceCaps& caps);

}  // namespace ito
