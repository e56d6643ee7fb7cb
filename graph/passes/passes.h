// The passes of compile(), each one free function in its own file, in the order they run.
#pragma once

#include "base/device_caps.h"
#include "graph/compile.h"
#include "graph/program.h"

namespace ito {

// Removes stop_gradient and dead code, folds constants, forwards trivial movement.
Program canonicalize(const Program& program);

// Replaces composites by simpler ops, except attention where its own kernel serves better
// (passes/attention_form.h).
Program decompose(const Program& program, const DeviceCaps& caps, AttentionForm form);

// Marks every matrix product and every direction of a convolution as multiplying in `multiply`
// (graph/attrs.h); all else stays in f32. What decompose() left of attention has kernels of its own
// and stays, too.
Program autocast(const Program& program, DType multiply);

// Rewrites contractions to kContract over explicitly padded operands, scatter-add to a masked sum,
// and splits long reductions so that they fill the device. The prologue keeps at most
// `prologue_bytes` (passes/prologue.h).
Program lower(const Program& program, const DeviceCaps& caps, uint64_t prologue_bytes = 0);

}  // namespace ito
