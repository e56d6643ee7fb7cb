// Langevin chains on an energy network f, a small perceptron less a confining quadratic, on the
// device: the density e^f is known by quadrature.
#include "diffusion/langevin.h"
#include "graph/builder.h"
#include "graph/interpret.h"
#include "nn/mlp.h"
#include "tests/diffusion/exact_law.h"
#include "tests/diffusion/mixture_statistics.h"

namespace ito::test {
namespace {

class LangevinOnANetwork : public DeviceMethod {};

// f(x) = network(x) - |x|²/2 with fixed weights, thrice those that training would begin with.
EnergyFunction network_energy(int64_t dimensions) {
  const MlpConfig config{
      .in_features = dimensions, .out_features = 1, .hidden_features = 8, .act_fn = "tanh"};
  return [config](Tensor x, Tensor) {
    const ParameterSet set = mlp_parameters(config).value();
    std::vector<double> weights;
    for (const float weight : initial_parameters(set, 4)) weights.push_back(3 * weight);
    const Scope scope(set, constant(x.graph(), {set.size()}, weights));
    const Tensor f = reshape(mlp(scope, config, x), {x.dim(0)});
    return f - sum(square(x), {1}) * 0.5;
  };
}

// f and its gradient at the rows of x, on the interpreter.
struct Energies {
  std::vector<double> f, gradient;
};
Energies energies(const std::vector<double>& x, int64_t dimensions) {
  Graph graph;
  const int64_t n = static_cast<int64_t>(x.size()) / dimensions;
  const Tensor points = constant(graph, {n, dimensions}, x), t = full(graph, {n}, 0);
  const EnergyFunction energy = network_energy(dimensions);
  const auto values = interpret({energy(points, t), energy_score(energy)(points, t)}, {}).value();
  return {.f = values[0].data, .gradient = values[1].data};
}

// E g under e^f in the plane, by midpoint sums over [-8, 8]².
template <typename Function>
double plane_expectation(const std::vector<double>& points, const std::vector<double>& f,
                         Function g) {
  double sum = 0, total = 0;
  for (size_t i = 0; i < f.size(); ++i) {
    sum += std::exp(f[i]) * g(points.data() + 2 * i);
    total += std::exp(f[i]);
  }
  return sum / total;
}

TEST_F(LangevinOnANetwork, AdjustedChainsHaveItsDensity) {
  std::vector<double> points;
  for (int i = 0; i < 160; ++i)
    for (int j = 0; j < 160; ++j)
      points.insert(points.end(), {-8 + 0.1 * (i + 0.5), -8 + 0.1 * (j + 0.5)});
  const std::vector<double> f = energies(points, 2).f;
  const Method chain =
      metropolis_langevin(network_energy(2), {.step_size = 0.8, .steps = 100}).value();
  ASSERT_OK_AND_ASSIGN(const auto loop, run_method(chain, {.shape = {kChains, 2}}));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> x, loop->read<float>("x"));
  double mean[2];
  for (size_t i = 0; i < 2; ++i) {
    mean[i] = plane_expectation(points, f, [i](const double* p) { return p[i]; });
    EXPECT_WITHIN_4_SE(estimate(x, 2, [i](const float* p) { return p[i]; }), mean[i]);
  }
  for (size_t i = 0; i < 2; ++i)
    for (size_t j = 0; j <= i; ++j) {
      const auto product = [&](const auto* p) { return (p[i] - mean[i]) * (p[j] - mean[j]); };
      const double covariance = plane_expectation(points, f, product);
      EXPECT_WITHIN_4_SE(estimate(x, 2, product), covariance);
      // A density of its own, not that of the quadratic.
      EXPECT_GT(std::fabs(covariance - (i == j ? 1 : 0)), 0.02) << i << j;
    }
  // The cells' borders meet 0, so that midpoints do not blur the step.
  const auto right = [](const auto* p) { return p[0] > 0 && p[1] > 0 ? 1.0 : 0.0; };
  EXPECT_WITHIN_4_SE(estimate(x, 2, right), plane_expectation(points, f, right));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> accepted, loop->read<float>("history.accepted"));
  const Estimate rate = estimate(accepted, 1, [](const float* p) { return *p / 100; });
  EXPECT_GT(rate.mean, 0.6);
  EXPECT_LT(rate.mean, 0.99);
}

// In one dimension the law of the discretised chain is known too: the unadjusted chain has it, bias
// and all, and the adjusted one has the density.
TEST_F(LangevinOnANetwork, UnadjustedChainsHaveTheirBiasAndAdjustedOnesNone) {
  const double eta = 0.5;
  const int steps = 80;
  Law law({{1.0}, {{0.0}}, {{1.0}}});
  const Energies table = energies(law.points(), 1);
  for (int i = 0; i < steps; ++i) {
    law.move([&](double x) { return x + eta / 2 * table.gradient[law.index_of(x)]; });
    law.add_noise(std::sqrt(eta));
  }
  const auto exact = [&](auto g) {
    const std::vector<double> points = law.points();
    double sum = 0, total = 0;
    for (size_t i = 0; i < points.size(); ++i) {
      sum += std::exp(table.f[i]) * g(points[i]);
      total += std::exp(table.f[i]);
    }
    return sum / total;
  };
  const Method unadjusted =
      langevin(energy_score(network_energy(1)), {.step_size = eta, .steps = steps}).value();
  const Method adjusted =
      metropolis_langevin(network_energy(1), {.step_size = eta, .steps = steps}).value();
  ASSERT_OK_AND_ASSIGN(const std::vector<float> biased,
                       sample(unadjusted, {.shape = {kChains, 1}}));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> exactly, sample(adjusted, {.shape = {kChains, 1}}));
  const double center = exact([](double x) { return x; });
  const auto first = [](auto x) { return static_cast<double>(x); };
  const auto second = [&](auto x) { return std::pow(x - center, 2); };
  const auto third = [&](auto x) { return std::pow(x - center, 3); };
  const auto compare = [&](auto g) {
    const Estimate with_bias = estimate(biased, 1, [&](const float* p) { return g(*p); });
    EXPECT_WITHIN_4_SE(with_bias, law.expect(g));
    EXPECT_WITHIN_4_SE(estimate(exactly, 1, [&](const float* p) { return g(*p); }), exact(g));
    return std::fabs(law.expect(g) - exact(g)) / with_bias.error;
  };
  compare(first);
  EXPECT_GT(compare(second), 8) << "a bias too small to tell the two chains apart";
  compare(third);
}

// Without noise a chain climbs: ln p never falls, and the end is a maximum of f.
TEST_F(LangevinOnANetwork, WithoutNoiseItClimbsToAStationaryPoint) {
  const Method chain =
      langevin(energy_score(network_energy(2)), {.step_size = 0.2, .steps = 600, .noise = false})
          .value();
  const int64_t n = 256;
  std::vector<float> start;
  for (int64_t i = 0; i < 2 * n; ++i)
    start.push_back(static_cast<float>(3 * std::sin(1.7 * static_cast<double>(i * i % 1009))));
  ASSERT_OK_AND_ASSIGN(const auto loop,
                       run_method(chain, {.shape = {n, 2}, .initial_x = start, .replays = 1}));
  Energies last = energies({start.begin(), start.end()}, 2);
  double steepest = 0;
  for (const double g : last.gradient) steepest = std::max(steepest, std::fabs(g));
  EXPECT_GT(steepest, 1);
  std::vector<float> x;
  for (const uint32_t replays : {0, 1, 5, 20, 100, 473}) {
    ASSERT_OK(loop->run(replays));
    ASSERT_OK_AND_ASSIGN(x, loop->read<float>("x"));
    const Energies now = energies({x.begin(), x.end()}, 2);
    // Near the top, f is level to float32's rounding of x, some 1e-7 |x|² |f''|.
    for (size_t i = 0; i < now.f.size(); ++i) EXPECT_GE(now.f[i], last.f[i] - 1e-6) << i;
    last = now;
  }
  for (const double g : last.gradient) EXPECT_NEAR(g, 0, 1e-4);
}

}  // namespace
}  // namespace ito::test
