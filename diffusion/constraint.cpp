#include "diffusion/constraint.h"

#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "graph/builder.h"

namespace ito {
namespace {

using namespace constraint_ports;  // which are this file's subject

// Squares stay finite in float32.
constexpr float kUnobserved = 1e18f;
// Of what the observation adds; keeps ε over it finite in float32.
constexpr double kLeastVariance = 1e-20;

struct Observed {
  Tensor coefficients, std;
};

// The observation at a level of noise, for every coefficient of every image.
struct Levelled {
  Tensor y;         // mean ȳ
  Tensor variance;  // std² - mean² τ²: of what it lacks of x's noise
  Tensor known;     // bool: nothing is lacking the other way round
};

Observed observed_inputs(Graph& graph, const Measurement& measurement) {
  const Shape& image = measurement.image();
  const Shape shape{1, image[0], image[1], image[2]};
  return {.coefficients = input(graph, kObserved, shape), .std = input(graph, kObservedStd, shape)};
}

Levelled at_level(const Observed& y, const Marginal& level, const Shape& shape) {
  const int rank = shape.rank();
  const Tensor a = per_image(level.mean, rank), s = per_image(level.std, rank), own = a * y.std;
  return {.y = a * y.coefficients,
          .variance = square(s) - square(own),
          .known = logical_not(less(broadcast_to(s, shape), broadcast_to(own, shape)))};
}

// x' = m + (x + change - m - κ (x - m))/(1 + κ), κ = ε/2v: half of the pull to m = mean ȳ before
// the move, half after it.
Tensor settled(Tensor x, Tensor moved, Tensor size, const Levelled& y) {
  const Tensor variance = maximum(-y.variance, scalar(x.graph(), kLeastVariance));
  const Tensor pull = select(y.known, full(x.graph(), x.shape(), 0),
                             broadcast_to(size * 0.5 / variance, x.shape()));
  return y.y + (moved - y.y - pull * (x - y.y)) / (pull + 1.0);
}

}  // namespace

Constraint measurement_constraint(Measurement measurement, MarginalFunction marginal) {
  Constraint constraint;
  constraint.marginal = std::move(marginal);
  constraint.project = [measurement](Tensor x, const Marginal& level, Tensor noise) {
    const Levelled y = at_level(observed_inputs(x.graph(), measurement), level, x.shape());
    const Tensor noised = y.y + sqrt(maximum(y.variance, scalar(x.graph(), 0))) * noise;
    return measurement.synthesise(select(y.known, noised, measurement.analyse(x)));
  };
  constraint.settle = [measurement](Tensor x, Tensor moved, Tensor size, const Marginal& level) {
    const Levelled y = at_level(observed_inputs(x.graph(), measurement), level, x.shape());
    return measurement.synthesise(
        settled(measurement.analyse(x), measurement.analyse(moved), size, y));
  };
  return constraint;
}

Tensor constrain_last(const Constraint& constraint, Tensor x, Tensor step, int64_t steps,
                      Tensor noise) {
  Graph& graph = x.graph();
  const Marginal clean{.mean = full(graph, {x.dim(0)}, 1), .std = full(graph, {x.dim(0)}, 0)};
  const Tensor before = less(step, scalar(graph, static_cast<double>(steps - 1), DType::kU32));
  const Tensor agreed = constraint.project(x, clean, noise);
  return select(before, x, constraint.finish ? constraint.finish(agreed) : agreed);
}

Tensor colours_in_range(Tensor x) {
  CHECK(x.rank() == 4 && x.dim(3) == 3, "colours of " + x.shape().to_string());
  Graph& graph = x.graph();
  const Tensor grey = mean(x, {3}, true), least = scalar(graph, 1e-6);
  const Tensor colour = x - grey;
  // How often the room between grey and ±1 goes into the colour.
  const Tensor above = colour / maximum(1.0 - grey, least);
  const Tensor below = -colour / maximum(grey + 1.0, least);
  const Tensor excess = maximum(max(maximum(above, below), {3}, true), scalar(graph, 1));
  return select(broadcast_to(less(scalar(graph, 1), excess), x.shape()), grey + colour / excess, x);
}

Result<std::vector<float>> observed_std(const Measurement& measurement, double noise_std) {
  if (!(noise_std >= 0) || !std::isfinite(noise_std))
    return invalid_argument("the observation's noise has deviation {}, expected 0 or more",
                            noise_std);
  std::vector<float> values;
  for (double s : measurement.singular())
    values.push_back(s == 0 ? kUnobserved : static_cast<float>(noise_std / std::fabs(s)));
  return values;
}

Program observation_program(const Measurement& measurement) {
  Program program;
  program.name = "observation";
  const Shape& shape = measurement.observation();
  const Tensor y = input(*program.graph, kObservation, {1, shape[0], shape[1], shape[2]});
  const Tensor state = observed_inputs(*program.graph, measurement).coefficients;
  program.update(state, measurement.observed_coefficients(y));
  return program;
}

MaskedInputs masked_inputs(Graph& graph, const Shape& shape, double threshold) {
  const Tensor mask = input(graph, masked_ports::kMask, {1, shape[1], shape[2], 1});
  return {.picture = input(graph, masked_ports::kPicture, {1, shape[1], shape[2], shape[3]}),
          .known = logical_not(less(mask, scalar(graph, threshold)))};
}

Program masked_observation_program(const Shape& shape, double threshold) {
  Program program;
  program.name = "masked_observation";
  Graph& graph = *program.graph;
  const MaskedInputs inputs = masked_inputs(graph, shape, threshold);
  const Shape& image = inputs.picture.shape();
  const Tensor known = broadcast_to(inputs.known, image);
  const Tensor zero = full(graph, image, 0);
  program.output(kObserved, select(known, inputs.picture, zero));
  program.output(kObservedStd, select(known, zero, full(graph, image, double{kUnobserved})));
  return program;
}

}  // namespace ito
