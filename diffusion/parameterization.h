// What the network's output means, and the conversions between all meanings, at noise level
// x_t = a x_0 + s ε with a = √ᾱ_t, s = √(1-ᾱ_t).
//   ε       the noise (Ho et al. 2020)
//   sample  x_0 itself
//   v       a ε - s x_0 (Salimans & Ho 2022, appendix D)
//   score   ∇ log p(x_t) = -(x_t - a x_0)/s² = -ε/s (Tweedie; Song & Ermon 2019)
//   flow    ε - x_0, the velocity of the straight path (Liu et al. 2022; Lipman et al. 2022)
// Host forms are linear maps; graph functions take a and s as tensors that broadcast to x.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

#include "base/result.h"
#include "graph/graph.h"

namespace ito {

enum class Prediction : uint8_t { kEpsilon, kSample, kV, kScore, kFlow };

// From diffusers' prediction_type: "epsilon", "sample", "v_prediction" or "flow_prediction";
// the error names the field.
Result<Prediction> prediction_from_name(const std::string& name);
// The same for a method that knows some of them only, whose name `who` the error gives.
Result<Prediction> prediction_among(const std::string& name,
                                    std::initializer_list<Prediction> known,
                                    const std::string& who);

// Whether x_0 cannot be had of it where there is no signal (a = 0), and ε where there is no noise
// (s = 0).
bool needs_signal(Prediction prediction);
bool needs_noise(Prediction prediction);
// Whether it is of the straight path x_t = (1-σ) x_0 + σ ε.
bool is_of_straight_path(Prediction prediction);

// y = (on_x x + on_output m) scale. The scale is kept apart so that a cancelling difference is
// formed before it is magnified.
struct LinearForm {
  double on_x = 0;
  double on_output = 0;
  double scale = 1;
  double operator()(double x, double output) const {
    return (on_x * x + on_output * output) * scale;
  }
};

// x_0 and ε from x_t and a network output of the given meaning. a = 0 makes x0_form infinite for ε
// and score; s = 0 makes epsilon_form infinite for sample.
LinearForm x0_form(Prediction prediction, double a, double s);
LinearForm epsilon_form(Prediction prediction, double a, double s);

// The two where x = x_0 + σ ε and the network sees a x, which is a x_0 + s ε (a = 1/√(1 + σ²)): of
// v at that level, of the others with ε = (x - x_0)/sigma_hat for an x that has more noise than the
// network saw. CHECK: ε, sample or v.
std::pair<LinearForm, LinearForm> sigma_forms(Prediction prediction, double a, double s,
                                              double sigma_hat);
// Whether published schedulers that tell the network ln(σ)/4 do so of networks of this prediction.
bool is_told_level(Prediction prediction);

// The same in the graph, and the score.
Tensor predicted_x0(Prediction prediction, Tensor x, Tensor output, Tensor a, Tensor s);
Tensor predicted_epsilon(Prediction prediction, Tensor x, Tensor output, Tensor a, Tensor s);
Tensor predicted_score(Prediction prediction, Tensor x, Tensor output, Tensor a, Tensor s);

// What adding g to the score adds to a prediction; `signal` stands for a where it is divided by.
Tensor change_by_score(Prediction prediction, Tensor g, Tensor a, Tensor s, Tensor signal);

// The weight of a squared error of this prediction that is one of w for x_0's, at SNR a²/s².
double weight_of_error(Prediction prediction, double w, double snr, double alpha_bar);

// x_t = a x_0 + s ε.
Tensor add_noise(Tensor x0, Tensor epsilon, Tensor a, Tensor s);

// What the network is trained to output for given x_0 and ε.
Tensor prediction_target(Prediction prediction, Tensor x0, Tensor epsilon, Tensor a, Tensor s);

}  // namespace ito
