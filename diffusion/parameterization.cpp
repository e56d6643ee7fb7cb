#include "diffusion/parameterization.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "base/check.h"
#include "base/registry.h"
#include "diffusion/choices.h"
#include "graph/builder.h"

namespace ito {

namespace {

struct PredictionRow {
  Name name;
  Prediction prediction;
};
constexpr PredictionRow kPredictions[] = {
    {{"epsilon", "the noise", "Ho et al. 2020", ""}, Prediction::kEpsilon},
    {{"sample", "x_0", "Ho et al. 2020", ""}, Prediction::kSample},
    {{"v_prediction", "a e - s x_0", "Salimans & Ho 2022, appendix D", ""}, Prediction::kV},
    {{"flow_prediction", "the velocity e - x_0", "Liu et al. 2022; Lipman et al. 2022", ""},
     Prediction::kFlow},
};
constexpr const char* kField = "scheduler config: prediction_type";

}  // namespace

std::vector<Name> prediction_choices() { return names_of(kPredictions); }

Result<Prediction> prediction_from_name(const std::string& name) {
  ITO_ASSIGN(const PredictionRow* row,
             row_called(std::span<const PredictionRow>(kPredictions), name, kField));
  return row->prediction;
}

Result<Prediction> prediction_among(const std::string& name,
                                    std::initializer_list<Prediction> known,
                                    const std::string& who) {
  ITO_ASSIGN(const Prediction prediction, prediction_from_name(name));
  std::vector<PredictionRow> rows;
  for (const PredictionRow& row : kPredictions)
    if (std::find(known.begin(), known.end(), row.prediction) != known.end()) rows.push_back(row);
  ITO_TRY(row_called(std::span<const PredictionRow>(rows), name, who + ": prediction_type"));
  return prediction;
}

bool needs_signal(Prediction prediction) { return prediction == Prediction::kEpsilon; }
bool needs_noise(Prediction prediction) { return prediction == Prediction::kSample; }
bool is_of_straight_path(Prediction prediction) { return prediction == Prediction::kFlow; }

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

std::pair<LinearForm, LinearForm> sigma_forms(Prediction prediction, double a, double s,
                                              double sigma_hat) {
  switch (prediction) {
    case Prediction::kEpsilon:
      return {{1, -sigma_hat, 1}, {0, 1, 1}};
    case Prediction::kSample:
      return {{0, 1, 1}, {1, -1, 1 / sigma_hat}};
    case Prediction::kV:
      // Of the network's α x: x_0 = α (α x) - σα v; x - x_0 = (σα)² x + σα v.
      return {{a * a, -s, 1}, {s, 1, s / sigma_hat}};
    default:
      CHECK(false, "sigma_forms: a prediction that sigma_run refuses");
  }
}

bool is_told_level(Prediction prediction) { return prediction == Prediction::kV; }

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

Tensor predicted_score(Prediction prediction, Tensor x, Tensor output, Tensor a, Tensor s) {
  if (prediction == Prediction::kScore) return output;
  return -(predicted_epsilon(prediction, x, output, a, s) / s);
}

Tensor change_by_score(Prediction prediction, Tensor g, Tensor a, Tensor s, Tensor signal) {
  switch (prediction) {
    case Prediction::kEpsilon:
      return -(s * g);
    case Prediction::kSample:
      return square(s) / signal * g;
    case Prediction::kV:  // a ε - s x_0, and a² + s² = 1
      return -(s / signal * g);
    case Prediction::kScore:
      return g;
    case Prediction::kFlow:  // ε - x_0
      return -(s * (a + s) / signal * g);
  }
  CHECK(false, "unknown prediction");
}

double weight_of_error(Prediction prediction, double w, double snr, double alpha_bar) {
  switch (prediction) {
    case Prediction::kEpsilon:
      return w / snr;
    case Prediction::kSample:
      return w;
    case Prediction::kV:
      return w / (snr + 1);
    case Prediction::kScore:
      return w / snr * (1 - alpha_bar);
    case Prediction::kFlow: {  // at a fixed x_t the error of ε - x_0 is (a + s)/s that of x_0
      const double ratio = 1 / (std::sqrt(snr) + 1);
      return w * ratio * ratio;
    }
  }
  CHECK(false, "unknown prediction");
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
