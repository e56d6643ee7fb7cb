// Kolmogorov-Fokker-Planck, measured: the simulated forward SDE has the closed-form densities, and
// Langevin dynamics leaves the density of its score where it is.
#include "diffusion/forward_sde.h"
#include "diffusion/langevin.h"
#include "tests/diffusion/method_loop.h"
#include "tests/diffusion/mixture_statistics.h"

namespace ito::test {
namespace {

class Kolmogorov : public DeviceMethod {};

double distribution(const GaussianMixture& mixture, size_t axis, double x) {
  double sum = 0;
  for (size_t k = 0; k < mixture.weights.size(); ++k)
    sum += mixture.weights[k] *
           normal_cdf((x - mixture.means[k][axis]) / std::sqrt(mixture.variances[k][axis]));
  return sum;
}

// The share of samples in each of 24 cells of an axis, within 4 standard errors of the density's.
void expect_density(const std::vector<float>& x, const GaussianMixture& truth, double reach) {
  for (size_t axis = 0; axis < 2; ++axis) {
    for (int cell = 0; cell < 24; ++cell) {
      const double low = reach * (cell / 12.0 - 1), high = reach * ((cell + 1) / 12.0 - 1);
      const double expected = distribution(truth, axis, high) - distribution(truth, axis, low);
      const Estimate share = estimate(
          x, 2, [&](const float* p) { return p[axis] >= low && p[axis] < high ? 1.0 : 0.0; });
      const double error = std::sqrt(expected * (1 - expected) / double{kChains});
      EXPECT_NEAR(share.mean, expected, 4 * error + 1.0 / kChains)
          << "axis " << axis << " cell " << cell;
    }
  }
}

// m and std after the chain's steps: those of Euler-Maruyama, exactly.
Moments discrete_marginal(const Sde& sde, double end_time, int steps) {
  const Method chain = forward_process(sde, end_time, steps).value();
  const std::vector<double> on_x = chain.column("on_x"), noise = chain.column("noise");
  Moments now{.mean = 1, .variance = std::pow(sde.std(0), 2)};
  for (size_t i = 0; i < on_x.size(); ++i) {
    now.mean *= on_x[i];
    now.variance = on_x[i] * on_x[i] * now.variance + noise[i] * noise[i];
  }
  return now;
}

std::vector<Sde> sdes() {
  return {{.kind = Sde::Kind::kVe, .sigma_min = 0.1, .sigma_max = 3},
          {.kind = Sde::Kind::kVp, .beta_max = 8},
          {.kind = Sde::Kind::kSubVp, .beta_max = 8},
          {.kind = Sde::Kind::kEdm, .sigma_min = 0.1, .sigma_max = 3}};
}

// The discretised process tends to the marginal with weak order one.
TEST(ForwardSde, EulerMaruyamaTendsToTheMarginalWithOrderOne) {
  for (const Sde& sde : sdes()) {
    const double t = 0.7 * sde.end();
    const auto error = [&](int steps) {
      return std::fabs(discrete_marginal(sde, t, steps).variance / std::pow(sde.std(t), 2) - 1);
    };
    EXPECT_NEAR(std::log2(error(200) / error(400)), 1, 0.05) << sde_name(sde.kind);
    EXPECT_NEAR(discrete_marginal(sde, t, 400).mean, sde.mean(t), 0.02);
  }
}

TEST(ForwardSde, BadRequestsAreNamed) {
  EXPECT_FALSE(forward_process({}, 0.5, 0).ok());
  EXPECT_FALSE(forward_process({}, 0, 10).ok());
  EXPECT_FALSE(forward_process({}, 1.1, 10).ok());
}

TEST_F(Kolmogorov, SimulatedDensitiesAreTheMarginals) {
  for (const Sde& sde : sdes()) {
    SCOPED_TRACE(sde_name(sde.kind));
    const double t = 0.7 * sde.end();
    const Method chain = forward_process(sde, t, 40).value();
    const GaussianMixture start = noised(two_modes(), 1, sde.std(0));
    ASSERT_OK_AND_ASSIGN(const std::vector<float> x,
                         sample(chain, {.shape = {kChains, 2}, .initial_x = exact_samples(start)}));
    const Moments end = discrete_marginal(sde, t, 40);
    expect_density(x, noised(two_modes(), end.mean, std::sqrt(end.variance)), 4);
  }
}

// Metropolis-adjusted Langevin leaves the mixture as it is, cell by cell.
TEST_F(Kolmogorov, AdjustedLangevinLeavesTheDensity) {
  const Sde clean{.kind = Sde::Kind::kEdm, .sigma_min = 0.002, .sigma_max = 80};
  const Method chain =
      metropolis_langevin(mixture_energy(two_modes(), clean), {.step_size = 0.4, .steps = 20})
          .value();
  ASSERT_OK_AND_ASSIGN(
      const std::vector<float> x,
      sample(chain, {.shape = {kChains, 2}, .initial_x = exact_samples(two_modes())}));
  expect_density(x, two_modes(), 3);
}

}  // namespace
}  // namespace ito::test
