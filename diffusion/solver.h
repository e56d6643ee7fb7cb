// Solver: a fixed-step reverse-diffusion method as rows of numbers. A row is one evaluation of the
// network and what is made of it:
//
//   y  = network(input_scale x, t)                  split into output and variance if learned
//   x  ← x + churn z                                noise that the network has not seen
//   x̂₀ = (x0.on_x x + x0.on_output y) x0.scale      then clipped or thresholded
//   ε̂  = (epsilon.on_x x + epsilon.on_output y) epsilon.scale     (or of x̂₀ in place of y)
//   (x, states) ← A_i (x̂₀, ε̂, x, states, z)         one Affine each
//
// Every fixed-step method of diffusers is of this form: histories of multistep methods are states
// that begin at zero (and lower orders at the start zeros in A_i), the base point of Runge-Kutta
// and singlestep methods is a state, a corrector is composed with the predictor that follows it. So
// a scheduler is a function from schedule and options to rows, tested on the host without a device,
// and one program runs them all (solver_method).
// Not for methods whose step is no affine map (predictor_corrector.h, langevin.h) nor whose number
// of evaluations is decided while running (ode.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "diffusion/affine.h"
#include "diffusion/denoiser.h"
#include "diffusion/method.h"
#include "diffusion/parameterization.h"
#include "diffusion/x0_limit.h"

namespace ito {

struct SolverRow {
  double t = 0;            // what the network is told
  double input_scale = 1;  // of x, before the network sees it
  double churn = 0;
  // Noise is drawn, though its coefficients are zero: for sources of random numbers that are
  // consumed in order (PyTorch's generator).
  bool draws = false;
  // The level of x when it is evaluated: x = mean x_0 + std ε.
  double mean = 1;
  double std = 0;
  LinearForm x0 = {};
  LinearForm epsilon = {};
  // Ends of a learned range: log variance at v = -1 and v = 1.
  double log_variance_low = 0;
  double log_variance_high = 0;
  Affine x = {};                    // x after the row
  std::vector<Affine> states = {};  // one per Solver::states
};

// What the second half of the network's channels says, if it has one.
enum class LearnedVariance : uint8_t {
  kNone,     // the network has no second half
  kIgnored,  // it has, and the method does not use it
  kDirect,   // the variance: z is multiplied by its root
  kRange,    // v in [-1, 1] between the logarithms of the row (Nichol & Dhariwal 2021, eq. 15)
};

struct Solver {
  std::string name;
  std::vector<SolverRow> rows;
  std::vector<std::string> states;  // names of tensors of x's shape; zero before the first row
  double init_noise_sigma = 1;      // x before the first row is this times a standard normal
  X0Limit limit;
  bool epsilon_from_x0 = false;  // ε̂ is made of the limited x̂₀ instead of y
  LearnedVariance variance = LearnedVariance::kNone;

  int steps() const { return static_cast<int>(rows.size()); }
  std::vector<double> timesteps() const;  // of the rows
  // Whether a row takes noise.
  bool uses_noise(size_t row) const;
  bool needs_noise() const;
  // Channels of the network's output per channel of x.
  int output_multiple() const { return variance == LearnedVariance::kNone ? 1 : 2; }
  // For networks of that many channels: a variance that the method does not know is not used.
  // Error kUnsupported: other numbers than output_multiple() then.
  Status take_outputs(int multiple, std::string_view sampler);
};

// The output of a solver's method that is the limited x̂₀, and what it is as a port.
inline constexpr const char* kX0Output = "x0";
namespace solver_ports {
inline constexpr Port<float> kX0{"output.x0"};
// With recorded outputs: an input [n, ..., c output_multiple].
inline constexpr Port<float> kModelOutput{"model_output"};
}  // namespace solver_ports

// The solver as a method that asks `denoiser`, or, where that is empty, reads the network's outputs
// from the input "model_output" (replays of a recorded run). Columns of the table that are zero
// everywhere cost nothing. CHECK: the solver has rows, and each as many states as the solver.
Method solver_method(const Solver& solver, Denoiser denoiser);

}  // namespace ito
