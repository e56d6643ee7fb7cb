// The cooperative-matrix form of a contraction, for GPUs with matrix units (KHR cooperative
// matrices): operands rounded to 16 bits, sums in f32. A blocked matrix product as
// contract_shared's, of fragments that a subgroup holds together. Not the choice of the tile
// (contract_tiling.h).
#pragma once

#include <string>

#include "graph/kernels/contract.h"
#include "graph/kernels/contract_tiling.h"

namespace ito {

// As emit_contract; `attr` is simplified and multiplies in the type of the tiling's shape.
GridKernel emit_contract_matrix(KernelWriter& writer, const std::string& name,
                                const ContractAttr& attr, const MatrixTiling& tiling,
                                const std::string& a, const std::string& b,
                                const std::string& store, const DeviceCaps& caps);

}  // namespace ito
