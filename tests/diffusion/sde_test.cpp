// SDEs against closed forms: the marginal moments solve the moment equations of drift and
// diffusion, tables tend to the SDE, and everything in the graph is what it is on the host.
#include "diffusion/sde.h"

#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/probability_flow.h"
#include "diffusion/reverse_sde.h"
#include "diffusion/sde_discrete.h"
#include "graph/builder.h"
#include "graph/interpret.h"

namespace ito::test {
namespace {

std::vector<Sde> all_sdes() {
  return {
      {.kind = Sde::Kind::kVe},    {.kind = Sde::Kind::kVe, .sigma_min = 0.1, .sigma_max = 3},
      {.kind = Sde::Kind::kVp},    {.kind = Sde::Kind::kVp, .beta_min = 0.5, .beta_max = 2},
      {.kind = Sde::Kind::kSubVp}, {.kind = Sde::Kind::kEdm, .sigma_min = 0.002, .sigma_max = 80}};
}

std::vector<double> evaluate(Tensor value) { return interpret({value}, {}).value()[0].data; }

// Composite Simpson rule.
template <typename Function>
double integral(Function f, double from, double to, int intervals = 2000) {
  const double h = (to - from) / intervals;
  double sum = f(from) + f(to);
  for (int i = 1; i < intervals; ++i) sum += (i % 2 == 1 ? 4 : 2) * f(from + i * h);
  return sum * h / 3;
}

// d var/dt = 2 c var + g² and d m/dt = c m (Särkkä & Solin 2019, section 6.1), integrated: var(b) =
// var(a) e^{2∫c} + ∫ e^{2∫_u^b c} g² du.
TEST(Sde, MomentsSolveTheMomentEquations) {
  for (const Sde& sde : all_sdes()) {
    const double a = 0.1 * sde.end(), b = 0.9 * sde.end();
    const auto shrink = [&](double u) {
      return integral([&](double v) { return sde.drift(v); }, u, b, 20);  // drift: linear in t
    };
    EXPECT_NEAR(sde.mean(b) / sde.mean(a), std::exp(shrink(a)), 1e-10) << sde_name(sde.kind);
    const double variance =
        std::pow(sde.std(a) * std::exp(shrink(a)), 2) +
        integral([&](double u) { return std::exp(2 * shrink(u)) * std::pow(sde.diffusion(u), 2); },
                 a, b);
    EXPECT_NEAR(std::pow(sde.std(b), 2) / variance, 1, 1e-9) << sde_name(sde.kind);
  }
}

TEST(Sde, DerivativeOfTheVarianceIsThatOfTheProcess) {
  for (const Sde& sde : all_sdes()) {
    for (double share : {0.02, 0.3, 0.7, 0.98}) {
      const double t = share * sde.end(), h = 1e-4 * t;
      const double slope = (std::pow(sde.std(t + h), 2) - std::pow(sde.std(t - h), 2)) / (2 * h);
      const double expected =
          2 * sde.drift(t) * std::pow(sde.std(t), 2) + std::pow(sde.diffusion(t), 2);
      EXPECT_NEAR(slope / expected, 1, 1e-5) << sde_name(sde.kind) << " at " << t;
    }
  }
}

// Data have std(0) = 0, except for VE, whose data carry σ_min.
TEST(Sde, EndsAreDataAndPrior) {
  for (const Sde& sde : all_sdes()) {
    EXPECT_EQ(sde.mean(0), 1);
    EXPECT_EQ(sde.std(0), sde.kind == Sde::Kind::kVe ? sde.sigma_min : 0);
  }
  EXPECT_NEAR(Sde{.kind = Sde::Kind::kVe}.std(1), 50, 1e-12);
  EXPECT_DOUBLE_EQ(Sde{.kind = Sde::Kind::kVe}.prior_std(), 50);
  EXPECT_NEAR(Sde{.kind = Sde::Kind::kVp}.mean(1), std::exp(-5.025), 1e-12);
  EXPECT_NEAR(Sde{.kind = Sde::Kind::kVp}.std(1), 1, 1e-4);
  EXPECT_EQ(Sde{.kind = Sde::Kind::kVp}.prior_std(), 1);
  // sub-VP's variance is the square of VP's, so never larger (Song et al. 2021, section 3.4).
  for (double t : {0.01, 0.1, 0.5})
    EXPECT_NEAR(Sde{.kind = Sde::Kind::kSubVp}.std(t),
                std::pow(Sde{.kind = Sde::Kind::kVp}.std(t), 2), 1e-12);
}

TEST(Sde, TensorsAreWhatTheHostSays) {
  for (const Sde& sde : all_sdes()) {
    Graph graph;
    const std::vector<double> times = {1e-5 * sde.end(), 1e-3 * sde.end(), 0.3 * sde.end(),
                                       sde.end()};
    const Tensor t = constant(graph, {4}, times);
    const auto compare = [&](Tensor value, auto host) {
      const std::vector<double> found = evaluate(value);
      for (size_t i = 0; i < times.size(); ++i) {
        const double expected = host(double{static_cast<float>(times[i])});
        EXPECT_NEAR(found[i], expected, 1e-6 * std::fabs(expected)) << sde_name(sde.kind);
      }
    };
    compare(sde.drift(t), [&](double u) { return sde.drift(u); });
    compare(sde.diffusion(t), [&](double u) { return sde.diffusion(u); });
    compare(sde.mean(t), [&](double u) { return sde.mean(u); });
    compare(sde.std(t), [&](double u) { return sde.std(u); });
  }
}

TEST(Sde, TimeOfInvertsTheRatioOfNoiseToSignal) {
  std::vector<Sde> sdes = all_sdes();
  sdes.push_back({.kind = Sde::Kind::kVp, .beta_min = 0.3, .beta_max = 0.3});
  sdes.push_back({.kind = Sde::Kind::kSubVp, .beta_min = 0, .beta_max = 10});
  for (const Sde& sde : sdes) {
    for (double share : {1e-3, 0.02, 0.3, 0.7, 1.0}) {
      const double t = share * sde.end(), sigma = sde.std(t) / sde.mean(t);
      EXPECT_NEAR(sde.time_of(sigma), t, 1e-12 * sde.end()) << sde_name(sde.kind);
      Graph graph;
      const double found = evaluate(sde.time_of(full(graph, {1}, sigma)))[0];
      // σ is rounded to float32, which time sees as it is or by its logarithm.
      EXPECT_NEAR(found, t, 1e-6 * t + 1e-7 * sde.end()) << sde_name(sde.kind) << " at " << t;
    }
  }
}

// The graph's logarithm of 1 + σ² keeps float32's digits where σ² is small: in float64 its series
// still shows what it leaves out.
TEST(Sde, TimeOfSmallNoiseKeepsItsDigits) {
  const Sde vp{.kind = Sde::Kind::kVp};
  for (double sigma : {1e-3, 0.1, 0.5, 0.59, 0.6, 2.0}) {
    Graph graph;
    const double found = evaluate(vp.time_of(full(graph, {1}, sigma)))[0];
    EXPECT_NEAR(found / vp.time_of(sigma), 1, 1e-7) << sigma;
  }
}

TEST(Sde, BadParametersAreNamed) {
  const auto message = [](const Sde& sde) {
    const Status status = check_sde(sde);
    return status.ok() ? std::string() : status.error().message;
  };
  for (const Sde& sde : all_sdes()) EXPECT_EQ(message(sde), "");
  EXPECT_NE(message({.kind = Sde::Kind::kVe, .sigma_min = 0}).find("sigma_min"), std::string::npos);
  EXPECT_NE(message({.kind = Sde::Kind::kEdm, .sigma_min = 2, .sigma_max = 1}).find("less than"),
            std::string::npos);
  EXPECT_NE(message({.kind = Sde::Kind::kVp, .beta_min = -1}).find("beta_min"), std::string::npos);
  EXPECT_NE(message({.kind = Sde::Kind::kVp, .beta_min = 3, .beta_max = 2}).find("beta_min"),
            std::string::npos);
  EXPECT_NE(message({.kind = Sde::Kind::kVp, .beta_max = NAN}).find("beta_max"), std::string::npos);
}

// N steps of the forward chain give mean and deviation of the marginal, up to O(1/N).
TEST(SdeDiscrete, ChainTendsToTheMarginal) {
  for (const Sde& sde : all_sdes()) {
    if (sde.kind == Sde::Kind::kEdm) continue;
    for (int steps : {100, 1000}) {
      double mean = 1, variance = 0;
      for (int i = 0; i < steps; ++i) {
        const DiscreteStep step = discretize(sde, static_cast<double>(i) / (steps - 1), steps);
        mean *= 1 + step.on_x;
        variance = std::pow(1 + step.on_x, 2) * variance + step.noise * step.noise;
      }
      EXPECT_NEAR(std::sqrt(variance) / sde.std(1), 1, 3.0 / steps) << sde_name(sde.kind);
      EXPECT_NEAR(mean, sde.mean(1), 2.0 / steps) << sde_name(sde.kind);
    }
  }
}

TEST(SdeDiscrete, TablesRunFromEndToEnd) {
  const Sde ve{.kind = Sde::Kind::kVe}, vp{.kind = Sde::Kind::kVp};
  EXPECT_DOUBLE_EQ(discrete_sigmas(ve, 30).front(), 0.01);
  EXPECT_NEAR(discrete_sigmas(ve, 30).back(), 50, 1e-12);
  EXPECT_DOUBLE_EQ(discrete_betas(vp, 1000).front(), 1e-4);
  EXPECT_DOUBLE_EQ(discrete_betas(vp, 1000).back(), 0.02);  // DDPM's (Ho et al. 2020, section 4)
  EXPECT_EQ(discrete_index(1, 30), 29);
  EXPECT_EQ(discrete_index(0, 30), 0);
  EXPECT_EQ(discrete_index(0.5, 30), 14);
}

// With Gaussian data the reversal's drift is linear: c x + g² (x - m μ)/(m² v + std²).
TEST(ReverseSde, DriftsOfGaussianDataAreTheClosedForm) {
  const GaussianMixture data{{1.0}, {{0.5, -1.0}}, {{0.25, 0.04}}};
  const std::vector<double> x = {0.3, 0.8};
  for (const Sde& sde : all_sdes()) {
    const double t = static_cast<float>(0.4 * sde.end());
    Graph graph;
    const Tensor at = constant(graph, {1, 2}, x), time = full(graph, {1}, t);
    const std::vector<double> score = evaluate(mixture_score(data, sde)(at, time));
    const std::vector<double> velocity =
        evaluate(probability_flow(sde, mixture_score(data, sde)).velocity(at, time));
    const ReverseDrift<double> reverse = reverse_drift(sde, t),
                               flow = probability_flow_drift(sde, t);
    for (size_t i = 0; i < 2; ++i) {
      const double m = sde.mean(t), total = m * m * data.variances[0][i] + std::pow(sde.std(t), 2);
      const double pull = -std::pow(sde.diffusion(t), 2) * -(x[i] - m * data.means[0][i]) / total;
      const double forward = sde.drift(t) * static_cast<float>(x[i]);
      const double tolerance = 2e-6 * (std::fabs(pull) + std::fabs(forward));
      EXPECT_NEAR(reverse.on_x * x[i] + reverse.on_score * score[i], forward + pull, tolerance)
          << sde_name(sde.kind);
      EXPECT_NEAR(flow.on_x * x[i] + flow.on_score * score[i], forward + pull / 2, tolerance)
          << sde_name(sde.kind);
      EXPECT_NEAR(velocity[i], forward + pull / 2, tolerance) << sde_name(sde.kind);
    }
  }
}

// The energy is the density whose gradient is the score, and its constant makes it one.
TEST(MixtureEnergy, GradientIsTheScoreAndTheMassIsOne) {
  const GaussianMixture data{{0.3, 0.7}, {{-0.5}, {1.0}}, {{0.25}, {0.04}}};
  const Sde sde{.kind = Sde::Kind::kVp};
  Graph graph;
  const int64_t n = 2001;
  std::vector<double> grid;
  for (int64_t i = 0; i < n; ++i) grid.push_back(-6 + 12.0 * static_cast<double>(i) / (n - 1));
  const Tensor x = constant(graph, {n, 1}, grid), t = full(graph, {n}, 0.2);
  const std::vector<double> log_density = evaluate(mixture_energy(data, sde)(x, t));
  const std::vector<double> score = evaluate(mixture_score(data, sde)(x, t));
  const std::vector<double> gradient = evaluate(energy_score(mixture_energy(data, sde))(x, t));
  double mass = 0;
  for (size_t i = 0; i < grid.size(); ++i) {
    mass += std::exp(log_density[i]) * 12 / (n - 1);
    EXPECT_NEAR(gradient[i], score[i], 1e-5 * (1 + std::fabs(score[i])));
  }
  EXPECT_NEAR(mass, 1, 1e-6);
}

}  // namespace
}  // namespace ito::test
