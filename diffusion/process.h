// The noising processes by name: the rows that `--sde`, messages and documentation read. What a
// process is in numbers: diffusion/schedule.h (the discrete chain), diffusion/sde.h (VE, VP,
// sub-VP, EDM), diffusion/flow_matching.h (straight paths) and diffusion/edm.h.
#pragma once

#include <span>
#include <string>

#include "base/config.h"
#include "base/registry.h"

namespace ito {

struct ProcessRow {
  Name name;
  ProcessKind kind;
};

std::span<const ProcessRow> process_rows();
std::string process_name(ProcessKind kind);

}  // namespace ito
