// Dropout (Srivastava et al. 2014) as PyTorch's nn.Dropout has it: in training each number is zero
// with probability p, and the others are 1/(1 - p) times as large. Not the leaving out of labels
// (diffusion/class_dropout.h).
#pragma once

#include "nn/scope.h"

namespace ito {

// x [n, ...] with p in [0, 1]. x itself where the scope draws nothing (Scope::drawing): sampling,
// validation and whatever else is no training. What is zero is a function of key, image, step and
// the scope's path: a layer evaluated twice in one step leaves out the same. n may be a multiple of
// the batch that the scope's randomness is for: then x holds copies of the batch, one after the
// other, which leave out the same too.
Tensor dropout(const Scope& scope, Tensor x, double p);

}  // namespace ito
