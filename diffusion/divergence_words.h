// The state "divergence" of programs that step through a loop: two words of device memory, the
// first step (counted from 1) at which what the model gave was not finite, and the first at which
// the sample was not finite or absurdly large; 0 while there was none. Kept by chain and sampling
// programs, so that a loop needs no look at its values to know whether they are still numbers. Not
// for polling (api/divergence_watch.h), nor for the divergence of a vector field
// (diffusion/divergence.h).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "graph/graph.h"

namespace ito {

inline constexpr double kDivergenceLimit = 1e8;  // |x| beyond this counts as divergence

// The state (u32 [2]) after step `step` (u32 [], counted from 0), which asked the model for
// `outputs` (any float shapes) and ended at x.
Tensor updated_divergence(Tensor divergence, std::span<const Tensor> outputs, Tensor x, Tensor step,
                          double limit = kDivergenceLimit);

// An error naming the method, the first bad step and whether the model's output or the sample went
// wrong there; fine while both words are zero.
Status check_divergence(std::span<const uint32_t> divergence, std::string_view method);

}  // namespace ito
