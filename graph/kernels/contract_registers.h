// The register-tiled form of a contraction, for CPU-like devices: one subgroup per workgroup, no
// shared memory, one vector load and many scalar loads per multiply-add step.
// Not the choice of the tile (contract_tiling.h).
#pragma once

#include <string>

#include "graph/kernels/contract.h"
#include "graph/kernels/contract_tiling.h"

namespace ito {

// As emit_contract; `attr` is simplified, `tiling` was chosen for it and `caps`.
GridKernel emit_contract_registers(KernelWriter& writer, const std::string& name,
                                   const ContractAttr& attr, const RegisterTiling& tiling,
                                   const std::string& a, const std::string& b,
                                   const std::string& store, const DeviceCaps& caps);

}  // namespace ito
