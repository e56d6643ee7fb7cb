// Which attention nodes keep a kernel of their own and which are decomposed.
// Not the kernels (graph/kernels/attention.h).
#pragma once

#include <vector>

#include "graph/compile.h"

namespace ito {

// By node: an attention op that is computed by its own kernel. With kFastest, these are the ones
// for which decision 6's measurements say so; and never those whose scores the program computes
// anyway, as it does where gradients of attention have been differentiated.
std::vector<bool> attention_with_kernels(const Program& program, const DeviceCaps& caps,
                                         AttentionForm form);

}  // namespace ito
