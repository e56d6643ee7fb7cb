// The shared-memory form of a contraction, for GPUs: a blocked matrix product over linear indices
// of the m, n, batch and k dims, each decoded by constant divisions.
// Not the choice of the tile (contract_tiling.h).
#pragma once

#include <string>

#include "graph/kernels/contract.h"
#include "graph/kernels/contract_tiling.h"

namespace ito {

// As emit_contract; `attr` is simplified.
GridKernel emit_contract_shared(KernelWriter& writer, const std::string& name,
                                const ContractAttr& attr, const SharedTiling& tiling,
                                const std::string& a, const std::string& b,
                                const std::string& store, const DeviceCaps& caps);

}  // namespace ito
