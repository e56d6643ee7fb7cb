#include "diffusion/parameterization.h"

#include "base/check.h"
#include "base/error.h"
#include "graph/builder.h"

namespace ito {

Result<Prediction> prediction_from_name(const std::string& name) {
  if (name == "epsilon") return Prediction::kEpsilon;
  if (name == "sample") return Prediction::kSample;
  if (name == "v_prediction") return Prediction::kV;
  if (name == "flow_prediction") return Prediction::kFlow;
  return invalid_argument(
      "scheduler config: prediction_type is \"{}\", expected epsilon, sample, v_prediction or "
      "flow_prediction",
      name);
}

LinearForm x0_form(Prediction prediction, double a, double s) {
  switch (prediction) {
    case Prediction::kEpsilon:
      return {1, -s, 1 / a};
    case Prediction::kSample:
      return {0, 1, 1};
    case Prediction::kV:
      return {a, -s, 1};
    case Prediction::kScore:
      return {1, s * s, 1 / a};
    case Prediction::kFlow:
      return {1, -s, 1 / (a + s)};
  }
  CHECK(false, "unknown prediction");
}

LinearForm epsilon_form(Prediction prediction, double a, double s) {
  switch (prediction) {
    case Prediction::kEpsilon:
      return {0, 1, 1};
    case Prediction::kSample:
      return {1, -a, 1 / s};
    case Prediction::kV:
      return {s, a, 1};
    case Prediction::kScore:
      return {0, -s, 1};
    case Prediction::kFlow:
      return {1, a, 1 / (a + s)};
  }
  CHECK(false, "unknown prediction");
}

Tensor predicted_x0(Prediction prediction, Tensor x, Tensor output, Tensor a, Tensor s) {
  switch (prediction) {
    case Prediction::kEpsilon:
      return (x - s * output) / a;
    case Prediction::kSample:
      return output;
    case Prediction::kV:
      return a * x - s * output;
    case Prediction::kScore:
      return (x + square(s) * output) / a;
    case Prediction::kFlow:
      return (x - s * output) / (a + s);
  }
  CHECK(false, "unknown prediction");
}

Tensor predicted_epsilon(Prediction prediction, Tensor x, Tensor output, Tensor a, Tensor s) {
  switch (prediction) {
    case Prediction::kEpsilon:
      return output;
    case Prediction::kSample:
      return (x - a * output) / s;
    case Prediction::kV:
      return s * x + a * output;
    case Prediction::kScore:
      return -(s * output);
    case Prediction::kFlow:
      return (x + a * output) / (a + s);
  }
  CHECK(false, "unknown prediction");
}

Tensor predicted_v(Prediction prediction, Tensor x, Tensor output, Tensor a, Tensor s) {
  if (prediction == Prediction::kV) return output;
  return a * predicted_epsilon(prediction, x, output, a, s) -
         s * predicted_x0(prediction, x, output, a, s);
}

Tensor predicted_score(Prediction prediction, Tensor x, Tensor output, Tensor a, Tensor s) {
  if (prediction == Prediction::kScore) return output;
  return -(predicted_epsilon(prediction, x, output, a, s) / s);
}

Tensor add_noise(Tensor x0, Tensor epsilon, Tensor a, Tensor s) { return a * x0 + s * epsilon; }

Tensor prediction_target(Prediction prediction, Tensor x0, Tensor epsilon, Tensor a, Tensor s) {
  switch (prediction) {
    case Prediction::kEpsilon:
      return epsilon;
    case Prediction::kSample:
      return x0;
    case Prediction::kV:
      return a * epsilon - s * x0;
    case Prediction::kScore:
      return -(epsilon / s);
    case Prediction::kFlow:
      return epsilon - x0;
  }
  CHECK(false, "unknown prediction");
}

}  // namespace ito
