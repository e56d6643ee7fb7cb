// Langevin chains against exact moments, on the interpreter; and what they refuse.
#include "diffusion/langevin.h"

#include <gtest/gtest.h>

#include "graph/builder.h"
#include "tests/diffusion/method_loop.h"

namespace ito::test {
namespace {

const GaussianMixture kGaussian{{1.0}, {{0.5}}, {{0.25}}};
const Sde kClean{.kind = Sde::Kind::kEdm, .sigma_min = 0.002, .sigma_max = 80};  // data at time 0

// The fixed point of a² V + η = V with a = 1 - η/(2 s²): s²/(1 - η/(4 s²)).
TEST(Langevin, UnadjustedVarianceIsTheTheorys) {
  for (double eta : {0.02, 0.1, 0.4}) {
    const Method chain =
        langevin(mixture_score(kGaussian, kClean), {.step_size = eta, .steps = 600}).value();
    const Moments end = method_moments(chain, {.mean = 3, .variance = 0}).back();
    EXPECT_NEAR(end.mean, 0.5, 1e-5);
    EXPECT_NEAR(end.variance, 0.25 / (1 - eta), 1e-4) << eta;
  }
}

// A network's energy moves the chain as its score does.
TEST(Langevin, EnergyGivesTheSameChainAsItsScore) {
  const GaussianMixture data{{0.4, 0.6}, {{-1.0}, {1.0}}, {{0.09}, {0.04}}};
  std::vector<std::vector<double>> ends;
  for (const ScoreFunction& score :
       {mixture_score(data, kClean), energy_score(mixture_energy(data, kClean))}) {
    const Method chain = langevin(score, {.step_size = 0.01, .steps = 20}).value();
    Externals externals = method_start(chain, {4, 1});
    replay_method(chain, {.shape = {4, 1}}, externals);
    ends.push_back(externals["x"].data);
  }
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(ends[0][i], ends[1][i], 1e-4);
  EXPECT_GT(std::fabs(ends[0][0] - ends[0][1]), 1e-3);  // images have noise of their own
}

TEST(Langevin, WithoutNoiseItAscends) {
  const GaussianMixture data{{0.4, 0.6}, {{-1.0}, {1.0}}, {{0.09}, {0.04}}};
  const Method chain =
      langevin(mixture_score(data, kClean), {.step_size = 0.02, .steps = 400, .noise = false})
          .value();
  EXPECT_EQ(chain.draws, 0);
  Externals externals = method_start(chain, {3, 1});
  externals["x"].data = {-2, 0.3, 1.7};
  const Program program = method_program(chain, {.shape = {3, 1}});
  const auto density = [&] {
    Graph graph;
    const Tensor x = constant(graph, {3, 1}, externals["x"].data);
    return interpret({mixture_energy(data, kClean)(x, full(graph, {3}, 0))}, {}).value()[0].data;
  };
  std::vector<double> last = density();
  for (int i = 0; i < 400; ++i) {
    replay(program, externals);
    const std::vector<double> now = density();
    for (size_t k = 0; k < 3; ++k) EXPECT_GE(now[k], last[k] - 1e-6) << i;
    last = now;
  }
  EXPECT_NEAR(externals["x"].data[0], -1, 1e-3);
  EXPECT_NEAR(externals["x"].data[1], 1, 1e-3);
  EXPECT_NEAR(externals["x"].data[2], 1, 1e-3);
}

// One adjusted step by hand, from ln p = -x²/2: the proposal, the ratio of proposal densities, and
// the decision by the uniform number.
TEST(MetropolisLangevin, AcceptsByTheRatio) {
  const double eta = 1.5;
  const EnergyFunction half_square = [](Tensor x, Tensor) { return sum(square(x), {1}) * -0.5; };
  const Method chain = metropolis_langevin(half_square, {.step_size = eta}).value();
  const int64_t n = 200;
  Externals externals = method_start(chain, {n, 1});
  std::vector<double> x, z;
  for (int64_t i = 0; i < n; ++i) {
    x.push_back(std::sin(static_cast<double>(i)) * 2);
    z.push_back(std::cos(static_cast<double>(3 * i)) * 2);
  }
  externals["x"].data = x;
  externals["noise.0"].data = z;
  replay(method_start_program(chain, {n, 1}), externals);
  EXPECT_NEAR(externals["history.score"].data[1], -x[1], 1e-6);
  EXPECT_NEAR(externals["history.log_density"].data[1], -x[1] * x[1] / 2, 1e-6);
  replay(method_program(chain, {.shape = {n, 1}, .noise_input = true}), externals);
  int accepted = 0;
  double probability = 0, variance = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double to = x[i] * (1 - eta / 2) + std::sqrt(eta) * z[i];
    const auto log_q = [&](double b, double a) {
      return -std::pow(b - a * (1 - eta / 2), 2) / (2 * eta);
    };
    const double log_ratio = -to * to / 2 + x[i] * x[i] / 2 + log_q(x[i], to) - log_q(to, x[i]);
    const bool moved = externals["history.accepted"].data[i] == 1;
    EXPECT_NEAR(externals["x"].data[i], moved ? to : x[i], 1e-5);
    EXPECT_NEAR(externals["history.score"].data[i], moved ? -to : -x[i], 1e-5);
    EXPECT_TRUE(moved || log_ratio < 0);
    accepted += moved ? 1 : 0;
    const double p = std::exp(std::min(log_ratio, 0.0));
    probability += p;
    variance += p * (1 - p);
  }
  EXPECT_NEAR(accepted, probability, 4 * std::sqrt(variance));
  EXPECT_GT(variance, 1);
}

TEST(Langevin, BadRequestsAreNamed) {
  const ScoreFunction score = mixture_score(kGaussian, kClean);
  const EnergyFunction energy = mixture_energy(kGaussian, kClean);
  EXPECT_NE(langevin(score, {.step_size = 0}).error().message.find("step_size"), std::string::npos);
  EXPECT_NE(langevin(score, {.step_size = NAN}).error().message.find("step_size"),
            std::string::npos);
  EXPECT_NE(langevin(score, {.steps = 0}).error().message.find("0 steps"), std::string::npos);
  EXPECT_NE(langevin(score, {.time = INFINITY}).error().message.find("time"), std::string::npos);
  EXPECT_NE(metropolis_langevin(energy, {.noise = false}).error().message.find("noise"),
            std::string::npos);
}

}  // namespace
}  // namespace ito::test
