// Flow matching: a network learns the velocity of a path x_t = a(t) x_0 + s(t) ε from data at t = 0
// to noise at t = 1, E|v(x_t, t) - (a' x_0 + s' ε)|² (Lipman et al. 2023, eq. 9 with their time
// turned round; Liu et al. 2023; Albergo & Vanden-Eijnden 2023). Not for sampling.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/registry.h"
#include "base/result.h"
#include "diffusion/denoiser.h"
#include "diffusion/loss.h"

namespace ito {

enum class FlowPath : uint8_t {
  // (1-t) x_0 + t ε: the rectified flow. The target is ε - x_0, the network is told T t.
  kLinear,
  // cos(πt/2) x_0 + sin(πt/2) ε, which preserves the variance. The target is the velocity over π/2,
  // cos(πt/2) ε - sin(πt/2) x_0, which is the v of Salimans & Ho 2022; so the model is a
  // v-prediction of the discrete chain of trigonometric_betas too. The network is told T t - 1/2.
  kTrigonometric,
};

struct FlowPathRow {
  Name name;
  FlowPath path;
};
std::span<const FlowPathRow> flow_path_rows();
Result<FlowPath> flow_path_from_name(const std::string& name);

// a and s of the path and of the target (target = on_x0 x_0 + on_noise ε) at time t, on the host.
struct FlowPoint {
  double a, s, on_x0, on_noise;
};
FlowPoint flow_point(FlowPath path, double t);

// β_i of the chain with ᾱ_i = cos²(π/2 (i + 1/2)/T), i = 0 .. T-1: what a trigonometric path visits
// at its timesteps.
std::vector<double> trigonometric_betas(int timesteps);

// What a model of the path is saved as: a flow-matching process (linear), or the chain that the
// trigonometric one is, with v-prediction. T timesteps.
SchedulerConfig flow_scheduler(FlowPath path, int timesteps);

enum class FlowTimes : uint8_t {
  kUniform,
  kLogitNormal,  // sigmoid(mean + std z) (Esser et al. 2024, section 3.1)
};

struct FlowTimesRow {
  Name name;
  FlowTimes times;
};
std::span<const FlowTimesRow> flow_times_rows();
Result<FlowTimes> flow_times_from_name(const std::string& name);

struct FlowOptions {
  FlowPath path = FlowPath::kLinear;
  int timesteps = 1000;  // T
  FlowTimes times = FlowTimes::kUniform;
  double mean = 0, std = 1;  // of kLogitNormal
};
// Errors: timesteps < 1; std negative or not finite.
Status check_flow_options(const FlowOptions& options);

struct FlowDraw {
  Tensor time;   // f32 [n], in (0, 1)
  Tensor noise;  // x_0's shape
};
// key, image and step as of draw_training (diffusion/loss.h).
FlowDraw draw_flow(const Shape& shape, Tensor key, Tensor image, Tensor step,
                   const FlowOptions& options);

// Mean squared error of the velocity. network: (x_t, what it is told) → x_0's shape.
TrainingLoss flow_matching_loss(Tensor x0, const FlowDraw& draw, const Denoiser& network,
                                const FlowOptions& options);

}  // namespace ito
