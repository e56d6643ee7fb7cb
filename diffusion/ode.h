// Ordinary differential equations dy/dt = f(t, y) on the device: adaptive Runge–Kutta 4(5) and
// fixed-step Heun as programs of which one replay is one (attempted) step. Every image of a batch
// has its own time, step size and error, so its result does not depend on its batch. Not the loop
// (api/ode_solver.h) and not what is integrated (probability_flow.h, likelihood.h).
//
// The adaptive method is the pair of Dormand & Prince 1980 (A family of embedded Runge–Kutta
// formulae, table 2) with local extrapolation: six evaluations per attempt, the last of which is
// the next attempt's first. Error norm, step controller and first step size are those of Hairer,
// Nørsett & Wanner 1993 (Solving ordinary differential equations I, II.4), with the constants that
// scipy's RK45 uses.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/port.h"
#include "graph/program.h"

namespace ito {

// One tensor of y.
struct OdeComponent {
  std::string name;
  Shape shape;  // [n, ...]
  // 0: a plain float32 number. A power of two: the value is kept as a multiple of it ("y.NAME") and
  // a rest ("rest.NAME") in [0, quantum), so that many small increments add up without losing the
  // bits of float32; values up to 2^24 quanta. For sums that are wanted to more than seven digits.
  double quantum = 0;
};

// dy/dt; t f32 [n], y in the order of the components (rests added).
using OdeFunction = std::function<std::vector<Tensor>(Tensor t, const std::vector<Tensor>& y)>;

struct OdeSystem {
  std::string name = "ode";
  std::vector<OdeComponent> components;  // at least one
  OdeFunction f;                         // may add inputs of its own to t.graph()

  int64_t images() const { return components[0].shape[0]; }
};

// Of the programs below, all per image ([n]) unless said otherwise.
namespace ode_ports {
inline constexpr PortFamily<float> kY{"y."};                  // states, by component, of its shape
inline constexpr PortFamily<float> kRest{"rest."};            // states of quantised components
inline constexpr PortFamily<float> kSlope{"slope."};          // states: f at the current point
inline constexpr Port<float> kTime{"t"};                      // state
inline constexpr Port<float> kTimeRest{"t_rest"};             // state, to be added to kTime
inline constexpr Port<float> kEnd{"t_end"};                   // input; before or after kTime
inline constexpr Port<float> kStepSize{"h"};                  // state, > 0
inline constexpr Port<uint32_t> kRejected{"rejected"};        // state: whether the last attempt was
inline constexpr Port<uint32_t> kStatus{"status"};            // state, an OdeStatus
inline constexpr Port<uint32_t> kFailedAt{"failed_at"};       // state: the attempt, from 1
inline constexpr Port<uint32_t> kEvaluations{"evaluations"};  // state
inline constexpr Port<uint32_t> kRejections{"rejections"};    // state
inline constexpr Port<uint32_t> kAttempts{"attempts"};        // state []
inline constexpr Port<float> kProgress{"progress"};  // output [2]: images under way, failed
}  // namespace ode_ports

enum class OdeStatus : uint32_t {
  kRunning = 0,
  kDone = 1,
  kNotFinite = 2,     // f or y is not finite, however short the step
  kStepTooSmall = 3,  // the tolerance cannot be met with times of float32
};

struct OdeOptions {
  double rtol = 1e-5, atol = 1e-5;
};
// rtol in [1e-6, 1): float32 cannot tell smaller errors from its own rounding; atol > 0, finite.
Status check_ode_options(const OdeOptions& options);

// Evaluations of f before the first attempt, and in each attempt.
inline constexpr int kOdeStartEvaluations = 2, kOdeStepEvaluations = 6;

// From "y.NAME", "t" and "t_end": sets the slopes, the first step size and all counters, and splits
// what is kept in two parts ("t" and quantised components are given whole, their rests are set).
Program ode_start_program(const OdeSystem& system, const OdeOptions& options);

// One attempted step of every image that is under way. A step is accepted if the largest over the
// components of  RMS(error / (atol + rtol max(|y|, |y_new|)))  is below 1 (for a single component
// this is scipy's norm). The last step ends exactly on "t_end". Not finite: the step is tried
// again with a fifth of its size.
Program ode_step_program(const OdeSystem& system, const OdeOptions& options);

}  // namespace ito
