// What the cases of the family sde share: which SDE, which data, and layouts. Trajectories store
// [n, d] vectors, which are our [n, d] too.
#pragma once

#include "diffusion/gaussian_mixture.h"
#include "diffusion/sde.h"
#include "tests/golden_runner/case.h"

namespace ito::golden {

// "kind" with s0, s1 (ve) or b0, b1 (vp, subvp).
Result<Sde> sde_of(const Case& golden);

// gmm.means, gmm.vars, gmm.weights.
Result<GaussianMixture> mixture_of(const Case& golden);

}  // namespace ito::golden
