// `ito toy` in this process: every objective and both networks after a short training, against a
// Gaussian, whose density is known.
#include <cmath>

#include "studies/toy.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

struct Case {
  const char* objective;
  bool energy;
};

ToyOptions options_of(const Case& c, int64_t steps) {
  return {.data = "gaussian",
          .objective = c.objective,
          .energy = c.energy,
          .steps = steps,
          .batch = 128,
          .hidden = 16,
          .learning_rate = 1e-2};
}

// Mean of |ln p - ln N| over the density's grid, weighted by the exact density at its noise level.
double density_error(const ToyResult& result, const ToyModel& model) {
  const double a = model.sde().mean(model.shown_time());
  const std::vector<float> at = result.density_grid.points();
  double sum = 0, weights = 0;
  for (size_t i = 0; i < result.log_density.size(); ++i) {
    const std::vector<double> x = {at[2 * i], at[2 * i + 1]};
    const double truth = mixture_log_density(model.data().mixture, x, a, result.density_sigma);
    sum += std::exp(truth) * std::fabs(result.log_density[i] - truth);
    weights += std::exp(truth);
  }
  return sum / weights;
}

class ToyRunOnDevice : public VulkanTest {};

// Every objective with a score network, and the energy network with one of each kind. A network
// that has learnt nothing is near the score of N(0, 3 I), whose samples have an energy distance of
// 0.25 or more from the data and whose log-densities err by 0.35 or more.
TEST_F(ToyRunOnDevice, EveryObjectiveLearnsAGaussian) {
  ASSERT_OK_AND_ASSIGN(const ToyResult untrained, run_toy(device(), options_of({"ve", false}, 1)));
  EXPECT_GT(untrained.energy_distance, 0.2);
  std::vector<Case> cases = {{"ism", true}, {"dsm", true}, {"ve", true}};
  for (const ToyObjective& row : toy_objective_rows())
    cases.push_back({row.name.name.data(), false});
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.objective) + (c.energy ? " energy" : " score"));
    // VP and sub-VP need longer: their scores are far from nothing at all times up to the prior.
    const bool vp = c.objective == std::string("vp") || c.objective == std::string("subvp");
    const int64_t steps = vp ? 1000 : 200;
    const ToyOptions options = options_of(c, steps);
    ASSERT_OK_AND_ASSIGN(const ToyModel model, ToyModel::create(options));
    ASSERT_OK_AND_ASSIGN(const ToyResult result, run_toy(device(), options));
    ASSERT_EQ(result.losses.size(), static_cast<size_t>(steps));
    EXPECT_LT(std::fabs(result.energy_distance), 0.15 * untrained.energy_distance);
    EXPECT_LT(density_error(result, model), 0.2);
    EXPECT_LT(*result.fisher_divergence, 0.1 * *result.fisher_scale);
    if (result.density_method == "probability flow") {
      EXPECT_NEAR(result.density_mass, 1, 0.03);
    }
  }
  EXPECT_EQ(cases.size(), 11u);
}

}  // namespace
}  // namespace ito::test
