#include "graph/kernels/contract.h"

#include "base/check.h"
#include "graph/kernels/contract_matrix.h"
#include "graph/kernels/contract_registers.h"
#include "graph/kernels/contract_shared.h"
#include "graph/kernels/contract_tiling.h"

namespace ito {
namespace {

// What a form is given: a simplified contraction and where its text goes.
struct Task {
  KernelWriter& writer;
  const std::string& name;
  const ContractAttr& attr;
  const std::string &a, &b, &store;
  const DeviceCaps& caps;
};

struct Form {
  bool (*suits)(const ContractAttr& attr, const DeviceCaps& caps);
  GridKernel (*emit)(const Task& t);
};

// The first one that suits is taken.
constexpr Form kForms[] = {
    {[](const ContractAttr&, const DeviceCaps& caps) { return caps.is_cpu; },
     [](const Task& t) {
       return emit_contract_registers(t.writer, t.name, t.attr,
                                      choose_register_tiling(t.attr, t.caps), t.a, t.b, t.store,
                                      t.caps);
     }},
    {[](const ContractAttr& attr, const DeviceCaps& caps) {
       return choose_matrix_tiling(attr, caps).has_value();
     },
     [](const Task& t) {
       return emit_contract_matrix(t.writer, t.name, t.attr, *choose_matrix_tiling(t.attr, t.caps),
                                   t.a, t.b, t.store, t.caps);
     }},
    {[](const ContractAttr&, const DeviceCaps&) { return true; },
     [](const Task& t) {
       return emit_contract_shared(t.writer, t.name, t.attr,
                                   choose_shared_tiling(matrix_view(t.attr), t.caps), t.a, t.b,
                                   t.store, t.caps);
     }},
};

}  // namespace

bool contract_stores_lanes(const ContractAttr& attr, const DeviceCaps& caps) {
  if (!caps.is_cpu || caps.subgroup_size < 2) return false;
  const ContractAttr simple = simplify_contract(attr);
  return choose_register_tiling(simple, caps).stores_lanes(simple, caps.subgroup_size);
}

GridKernel emit_contract(KernelWriter& writer, const std::string& name, const ContractAttr& attr,
                         const std::string& a, const std::string& b, const std::string& store,
                         const DeviceCaps& caps) {
  const ContractAttr simple = simplify_contract(attr);
  const Task task{writer, name, simple, a, b, store, caps};
  for (const Form& form : kForms)
    if (form.suits(simple, caps)) return form.emit(task);
  CHECK(false, "no form of a contraction suits the device");
  return {};
}

}  // namespace ito
