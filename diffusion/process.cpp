#include "diffusion/process.h"

#include "base/check.h"
#include "diffusion/processes/rows.h"

namespace ito {
std::span<const ProcessRow> process_rows() {
  static const ProcessRow kRows[] = {
      discrete_process(), ve_process(),   vp_process(),          subvp_process(),
      edm_process(),      flow_process(), consistency_process(),
  };
  return kRows;
}

const ProcessRow& process_row(ProcessKind kind) {
  for (const ProcessRow& row : process_rows())
    if (row.kind == kind) return row;
  CHECK(false, "a process without a row");
}

std::string process_name(ProcessKind kind) { return std::string(process_row(kind).name.name); }

}  // namespace ito
