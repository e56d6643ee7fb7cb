// The two models of the golden schedulers' trajectories, as graph functions, in the coordinates
// that each scheduler gives its network (golden data, section "schedulers").
#pragma once

#include <functional>
#include <string>

#include "base/config.h"
#include "diffusion/denoiser.h"
#include "tests/golden_runner/case.h"

namespace ito::golden {

// Where the network of a scheduler is asked: what its input and its time say of the noise, and what
// its output means.
struct Space {
  Denoiser dummy;  // the model without structure
  // From the input and the time (f32 [n]): x_t = a x_0 + s ε, a and s f32 [n].
  struct Point {
    Tensor x, a, s;
  };
  std::function<Point(Tensor input, Tensor t)> point;
  // The network's output for E[x_0 | x_t] and E[ε | x_t] there. All of x's rank.
  std::function<Tensor(const Point& point, Tensor x0, Tensor epsilon)> output;
};

// "vp", "ve", "flow", "edm" or "cm".
Result<Space> golden_space(const std::string& name, const SchedulerConfig& config,
                           const std::string& prediction);

// The exact prediction for data from a mixture of Gaussians with diagonal covariances: means and
// variances [k,d], weights [k], x [n,...,d] with extents of 1 between. Reads gmm.means, gmm.vars
// and gmm.weights of the case.
Result<Denoiser> mixture_model(const Case& golden, const Space& space);

// The same with tanh(x) appended as the variance channels.
Denoiser with_variance(Denoiser model);

}  // namespace ito::golden
