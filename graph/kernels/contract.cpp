#include "graph/kernels/contract.h"

#include "graph/kernels/contract_registers.h"
#include "graph/kernels/contract_shared.h"
#include "graph/kernels/contract_tiling.h"

namespace ito {

bool contract_stores_lanes(const ContractAttr& attr, const DeviceCaps& caps) {
  if (!caps.is_cpu || caps.subgroup_size < 2) return false;
  const ContractAttr simple = simplify_contract(attr);
  return choose_register_tiling(simple, caps).stores_lanes(simple, caps.subgroup_size);
}

ContractKernel emit_contract(KernelWriter& writer, const std::string& name,
                             const ContractAttr& attr, const std::string& a, const std::string& b,
                             const std::string& store, const DeviceCaps& caps) {
  const ContractAttr simple = simplify_contract(attr);
  if (caps.is_cpu)
    return emit_contract_registers(writer, name, simple, choose_register_tiling(simple, caps), a, b,
                                   store, caps);
  return emit_contract_shared(writer, name, simple, choose_shared_tiling(matrix_view(simple), caps),
                              a, b, store, caps);
}

}  // namespace ito
