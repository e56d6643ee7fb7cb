// Several kernels in one text: what each of them computes is done by workgroups of its own, a range
// of gl_WorkGroupID.x. So kernels that do not depend on each other are one dispatch. Not which they
// are (graph/passes/join.h).
#pragma once

#include <span>
#include <string>

#include "graph/kernels/kernel_writer.h"

namespace ito {

// A kernel, and how many times it is there with arguments of its own.
struct JoinedPart {
  const KernelWriter* writer = nullptr;  // finished; unless alone, with a prefix that no other has
  uint32_t groups = 1;                   // along x, the only axis
  uint32_t count = 1;
};

// The arguments are in tables in memory: one for each part, with a row of addresses for each time
// that it is there. What is pushed are the addresses of the tables, which are the kernel's
// arguments. Workgroups are those of the first part's first row, of its second, and so on. What the
// parts ask of a device (Kernel's other fields) is for the caller to say.
Kernel join_kernels(std::string name, std::array<uint32_t, 3> local_size,
                    std::span<const JoinedPart> parts);

}  // namespace ito
