#include <algorithm>

#include "base/integer.h"
#include "graph/kernels/contract.h"
#include "graph/kernels/contract_tiling.h"

namespace ito {
namespace {

using Dim = ContractAttr::Dim;

// Below this many steps a part is not worth its start and its share of the final sum.
constexpr int64_t kMinSteps = 64;
// Cycles of the sum of parts per element.
constexpr double kSumPerElement = 3;
// More parts than workers pay where a part's operands then fit a core's cache.
constexpr int64_t kMaxCpuParts = 16;

struct MatrixExtents {
  int64_t outputs = 1;
  int64_t steps = 1;
};

MatrixExtents extents(const ContractAttr& attr) {
  MatrixExtents e;
  for (const Dim& dim : attr.dims) (dim.reduced() ? e.steps : e.outputs) *= dim.size;
  return e;
}

ContractAttr with_split(const ContractAttr& attr, size_t d, int64_t parts) {
  ContractAttr result = attr;
  Dim& reduced = result.dims[d];
  reduced.size /= parts;
  const Dim part{parts, reduced.a * reduced.size, reduced.b * reduced.size, extents(attr).outputs};
  result.dims.insert(result.dims.begin(), part);
  return result;
}

double cpu_cycles(const ContractAttr& attr, const DeviceCaps& caps) {
  return choose_register_tiling(simplify_contract(attr), caps).cycles;
}

int64_t gpu_tiles(const ContractAttr& attr, const DeviceCaps& caps) {
  const ContractAttr simple = simplify_contract(attr);
  const MatrixView view = matrix_view(simple);
  if (const auto tiling = choose_matrix_tiling(simple, caps))
    return ceil_div(view.m_size, tiling->block_m()) * ceil_div(view.n_size, tiling->block_n()) *
           view.batch_size;
  const SharedTiling tiling = choose_shared_tiling(view, caps);
  return ceil_div(view.m_size, tiling.block_m) * ceil_div(view.n_size, tiling.block_n) *
         view.batch_size;
}

struct Split {
  int64_t parts = 1;
  size_t dim = 0;
};

Split cpu_split(const ContractAttr& attr, const DeviceCaps& caps) {
  const MatrixExtents whole = extents(attr);
  const int64_t units = caps.compute_units == 0 ? 8 : caps.compute_units;
  Split best;
  double best_cycles = cpu_cycles(attr, caps);
  for (size_t d = 0; d < attr.dims.size(); ++d) {
    if (!attr.dims[d].reduced()) continue;
    const int64_t most =
        std::min({attr.dims[d].size, std::max(2 * units, kMaxCpuParts), whole.steps / kMinSteps});
    for (int64_t parts = 2; parts <= most; ++parts) {
      if (attr.dims[d].size % parts != 0) continue;
      const double cycles = cpu_cycles(with_split(attr, d, parts), caps) + kDispatchCycles +
                            kSumPerElement * static_cast<double>(parts * whole.outputs);
      if (cycles < best_cycles) {
        best_cycles = cycles;
        best = {parts, d};
      }
    }
  }
  return best;
}

// Only where the tiles leave a third of the device idle and the reduction is long.
Split gpu_split(const ContractAttr& attr, const DeviceCaps& caps) {
  const MatrixExtents whole = extents(attr);
  const int64_t units = caps.compute_units == 0 ? 8 : caps.compute_units;
  const int64_t tiles = gpu_tiles(attr, caps);
  Split best;
  if (whole.steps < 2048 || tiles * 3 >= units * 2) return best;
  const int64_t wanted = std::min(2 * units / tiles, whole.steps / 256);
  for (size_t d = 0; d < attr.dims.size(); ++d) {
    if (!attr.dims[d].reduced()) continue;
    for (int64_t parts = 2; parts <= std::min(wanted, attr.dims[d].size); ++parts)
      if (attr.dims[d].size % parts == 0 && parts > best.parts) best = {parts, d};
  }
  return best;
}

}  // namespace

int64_t nominal_images(const DeviceCaps& caps) { return caps.is_cpu ? 32 : 4; }

int64_t split_reduction(ContractAttr& attr, const DeviceCaps& caps, ImageDim images) {
  if (images == ImageDim::kUnknown) return 1;
  ContractAttr nominal = attr;
  if (images == ImageDim::kFirst) nominal.dims[0].size = nominal_images(caps);
  const Split split = caps.is_cpu ? cpu_split(nominal, caps) : gpu_split(nominal, caps);
  if (split.parts > 1) attr = with_split(attr, split.dim, split.parts);
  return split.parts;
}

}  // namespace ito
