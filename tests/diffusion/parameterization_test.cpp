#include "diffusion/parameterization.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graph/builder.h"
#include "graph/interpret.h"

namespace ito {
namespace {

constexpr Prediction kAll[] = {Prediction::kEpsilon, Prediction::kSample, Prediction::kV,
                               Prediction::kScore, Prediction::kFlow};

struct Level {
  double a, s;
};
Level level(double alpha_bar) { return {std::sqrt(alpha_bar), std::sqrt(1 - alpha_bar)}; }

double target_of(Prediction prediction, double x0, double epsilon, Level l) {
  switch (prediction) {
    case Prediction::kEpsilon:
      return epsilon;
    case Prediction::kSample:
      return x0;
    case Prediction::kV:
      return l.a * epsilon - l.s * x0;
    case Prediction::kScore:
      return -epsilon / l.s;
    case Prediction::kFlow:
      return epsilon - x0;
  }
  return 0;
}

TEST(Parameterization, HostFormsRecoverX0AndEpsilonFromEveryTarget) {
  for (double alpha_bar : {0.999, 0.5, 0.01}) {
    const Level l = level(alpha_bar);
    const double x0 = -0.7, epsilon = 1.3, x = l.a * x0 + l.s * epsilon;
    for (Prediction prediction : kAll) {
      const double output = target_of(prediction, x0, epsilon, l);
      EXPECT_NEAR(x0_form(prediction, l.a, l.s)(x, output), x0, 1e-12);
      EXPECT_NEAR(epsilon_form(prediction, l.a, l.s)(x, output), epsilon, 1e-12);
    }
  }
}

TEST(Parameterization, GraphConvertsBetweenAllMeanings) {
  const Level l = level(0.3);
  const double x0 = 0.4, epsilon = -1.1;
  for (Prediction prediction : kAll) {
    Graph graph;
    const auto number = [&](double value) { return full(graph, {1, 2}, value); };
    const Tensor a = scalar(graph, l.a), s = scalar(graph, l.s);
    const Tensor noisy = add_noise(number(x0), number(epsilon), a, s);
    const Tensor output = prediction_target(prediction, number(x0), number(epsilon), a, s);
    const auto values = interpret({noisy, output, predicted_x0(prediction, noisy, output, a, s),
                                   predicted_epsilon(prediction, noisy, output, a, s),
                                   predicted_score(prediction, noisy, output, a, s)},
                                  {});
    ASSERT_TRUE(values.ok()) << values.error().message;
    const double expected[] = {l.a * x0 + l.s * epsilon, target_of(prediction, x0, epsilon, l), x0,
                               epsilon, -epsilon / l.s};
    for (size_t i = 0; i < 5; ++i) EXPECT_NEAR((*values)[i].data[1], expected[i], 1e-12) << i;
  }
}

// Tweedie: the score is -(x_t - a x̂_0)/s².
TEST(Parameterization, ScoreIsTweediesFormula) {
  const Level l = level(0.6);
  const double x0 = 0.25, epsilon = 0.8, x = l.a * x0 + l.s * epsilon;
  EXPECT_NEAR(target_of(Prediction::kScore, x0, epsilon, l), -(x - l.a * x0) / (l.s * l.s), 1e-12);
}

TEST(Parameterization, NamesAreThoseOfDiffusers) {
  EXPECT_EQ(prediction_from_name("epsilon").value(), Prediction::kEpsilon);
  EXPECT_EQ(prediction_from_name("sample").value(), Prediction::kSample);
  EXPECT_EQ(prediction_from_name("v_prediction").value(), Prediction::kV);
  EXPECT_FALSE(prediction_from_name("velocity").ok());
}

}  // namespace
}  // namespace ito
