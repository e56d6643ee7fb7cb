// Method: how samples are moved, as a table of numbers and one function that builds a step, and the
// device-resident program that runs it: one replay is one step, and step counter, table, noise and
// what the method carries live on the device, so thousands of steps need nothing of the host.
// Every sampler is one: solvers with affine rows (diffusion/solver.h), predictor-corrector
// sampling, Langevin dynamics, and EDM's own. Not for methods whose number of evaluations is
// decided while running (diffusion/ode.h).
//
// Noise is a function of (key, seed of the image, step, draw, element): which images share a batch,
// and on which machine it runs, changes nothing for a method whose step looks at nothing but each
// image itself.
//
// The program keeps the state "divergence" (diffusion/divergence_words.h); what it watches as the
// model's output is MethodResult::watched, before any clipping could hide it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/shape.h"
#include "diffusion/constraint.h"
#include "diffusion/divergence_words.h"
#include "diffusion/marginal.h"
#include "diffusion/sampling_program.h"
#include "diffusion/streams.h"
#include "graph/program.h"

namespace ito {

// Of method programs beside all of sampling_ports.
namespace method_ports {
inline constexpr PortFamily<float> kNoise{"noise."};    // inputs as x, by draw (noise_input)
inline constexpr PortFamily<float> kOutput{"output."};  // outputs, by name (outputs)
}  // namespace method_ports

// What one step is built from.
struct MethodStep {
  Tensor x;                    // f32 [n, ...]
  std::vector<Tensor> row;     // f32 [], one per column of this step's row
  std::vector<Tensor> noise;   // Method::draws standard normals of x's shape
  Tensor uniform;              // f32 [n] in (0, 1); empty unless Method::uniform
  std::vector<Tensor> states;  // one per Method::states
  // x before a move of this step (1 to Method::moves - 1) as a constraint wants it; x itself
  // without one. MethodStep::x is already so before move 0.
  std::function<Tensor(Tensor x, int move)> agree;
  // `moved` = x + ε score + √(2ε) z, a Langevin move towards p(x_t), turned towards p(x_t | y)
  // where the constraint says more of y than agree does; `moved` itself without one. size: ε, f32
  // [] or broadcasting against x.
  std::function<Tensor(Tensor x, Tensor moved, Tensor size)> settle;

  // A value of the row, for every image: f32 [n].
  Tensor for_images(size_t column) const;
};

struct MethodResult {
  Tensor x;                     // after the step
  std::vector<Tensor> watched;  // what the model gave, to be watched for NaN
  std::vector<Tensor> states;   // what MethodStep::states will be in the next step
  std::vector<std::pair<std::string, Tensor>> outputs;  // what else can be looked at, f32
};

struct MethodState {
  std::string name;
  bool per_image = false;  // f32 [n], else of x's shape
};

struct Method {
  std::string name;
  int steps = 0;  // replays of a whole run. A method of one row may go on for as long as wanted
  std::vector<std::string> columns;
  std::vector<double> table;  // [rows, columns]; steps beyond the last repeat the last row
  int draws = 1;              // standard normals of x's shape per step
  uint32_t noise_stream = kStreamMethodNoise;  // of these draws (diffusion/streams.h)
  bool uniform = false;                        // whether a step draws one uniform number per image
  int moves = 1;  // of x in one step, with MethodStep::agree between them
  std::vector<MethodState> states;
  // The states before the first step, of x before the first step; empty: all zero.
  std::function<std::vector<Tensor>(Tensor x)> start;
  // The level of x before the step, which a constraint needs; empty: that of the column "time".
  std::function<Marginal(const MethodStep&)> level;
  std::function<MethodResult(const MethodStep&)> build;

  // The place of a column by its name, and its values. CHECK: there is one.
  size_t column_index(const std::string& name) const;
  std::vector<double> column(const std::string& name) const;
};

struct MethodOptions {
  Shape shape;               // of x
  bool noise_input = false;  // noise is the inputs kNoise, not drawn on the device
  bool outputs = false;      // also give the step's outputs as kOutput
  double divergence_limit = kDivergenceLimit;  // of |x|
  // If set, x is made to agree before each move of each step, at the level of the step's column
  // "time", or Method::level (Song et al. 2021, appendix I.2: before corrector and predictor
  // alike), and after the last. Without Method::level the method must have that column and no
  // states (which would belong to the x before). Always draws its noise on the device.
  Constraint constraint = {};
};

// One step of `method` from the states "x", "step", "divergence" and "history.NAME".
Program method_program(const Method& method, const MethodOptions& options);

// Sets the states "history.NAME" from the state "x", once x is there. CHECK: the method has a
// start.
Program method_start_program(const Method& method, const Shape& shape);

}  // namespace ito
