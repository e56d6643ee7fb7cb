#include "diffusion/constraint.h"

#include <cmath>
#include <utility>

#include "base/error.h"
#include "graph/builder.h"

namespace ito {
namespace {

using namespace constraint_names;  // the names of externals, which are this file's subject

// Squares stay finite in float32.
constexpr float kUnobserved = 1e18f;

struct Observed {
  Tensor coefficients, std;
};

Observed observed_inputs(Graph& graph, const Measurement& measurement) {
  const Shape& image = measurement.image();
  const Shape shape{1, image[0], image[1], image[2]};
  return {.coefficients = input(graph, kObserved, shape), .std = input(graph, kObservedStd, shape)};
}

}  // namespace

Constraint measurement_constraint(Measurement measurement, MarginalFunction marginal) {
  Constraint constraint;
  constraint.marginal = std::move(marginal);
  constraint.project = [measurement = std::move(measurement)](Tensor x, const Marginal& level,
                                                              Tensor noise) {
    const Observed y = observed_inputs(x.graph(), measurement);
    const Tensor a = per_image(level.mean, x.rank()), s = per_image(level.std, x.rank());
    const Tensor own = a * y.std;
    const Tensor missing = sqrt(maximum(square(s) - square(own), scalar(x.graph(), 0)));
    const Tensor noised = a * y.coefficients + missing * noise;
    const Tensor known =
        logical_not(less(broadcast_to(s, x.shape()), broadcast_to(own, x.shape())));
    return measurement.synthesise(select(known, noised, measurement.analyse(x)));
  };
  return constraint;
}

Tensor constrain_last(const Constraint& constraint, Tensor x, Tensor step, int64_t steps,
                      Tensor noise) {
  Graph& graph = x.graph();
  const Marginal clean{.mean = full(graph, {x.dim(0)}, 1), .std = full(graph, {x.dim(0)}, 0)};
  const Tensor before = less(step, scalar(graph, static_cast<double>(steps - 1), DType::kU32));
  return select(before, x, constraint.project(x, clean, noise));
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

LogProbability measurement_log_likelihood(Measurement measurement, Denoiser denoised,
                                          MarginalFunction marginal, double prior_variance) {
  return [measurement = std::move(measurement), denoised = std::move(denoised),
          marginal = std::move(marginal), prior_variance](Tensor x, Tensor t) {
    const Observed y = observed_inputs(x.graph(), measurement);
    const Marginal level = marginal(t);
    const Tensor v_s = square(level.std) * prior_variance;
    const Tensor remaining = v_s / (square(level.mean) * prior_variance + square(level.std));
    const Tensor variance = per_image(remaining, x.rank()) + square(y.std);
    const Tensor error = y.coefficients - measurement.analyse(denoised(x, t));
    return sum(square(error) / variance, {1, 2, 3}) * -0.5;
  };
}

}  // namespace ito
