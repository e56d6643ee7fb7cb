// How fast the solvers in log-SNR, DDIM and PNDM converge to the probability flow on Gaussian data,
// on the host in double with the exact denoiser; where they begin in the middle, and what they
// refuse. Solvers in σ: solver_order_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "diffusion/samplers.h"
#include "tests/diffusion/solver_host.h"

namespace ito::test {
namespace {

using Config = SchedulerConfig;

SolverOptions in_double(int steps, int first_step = 0) {
  return {.steps = steps, .first_step = first_step, .arithmetic = Arithmetic::kDouble};
}

// Levels evenly spaced in λ over the whole chain, and full order up to the least.
Config even_lambda(int order) {
  Config config;
  config.timestep_spacing = "linspace";
  config.use_exponential_sigmas = true;
  config.final_sigmas_type = "sigma_min";
  config.lower_order_final = false;
  config.solver_order = order;
  return config;
}
Config dpm(const char* algorithm, const char* type, int order) {
  Config config = even_lambda(order);
  config.algorithm_type = algorithm;
  config.solver_type = type;
  return config;
}
Config unipc(const char* type, bool predict_x0, int order) {
  Config config = even_lambda(order);
  config.solver_type = type;
  config.predict_x0 = predict_x0;
  return config;
}
Config deis(int order) { return dpm("deis", "logrho", order); }
Config karras(Config config) {
  config.use_exponential_sigmas = false;
  config.use_karras_sigmas = true;
  return config;
}

// |x - exact| at row `last` of the solver.
double flow_error(const Solver& solver, size_t last) {
  const GaussianData data;
  Solver part = solver;
  part.rows.resize(last + 1);
  const SolverRow &from = part.rows.front(), &to = part.rows.back();
  const double x = from.mean * data.mean + 1.3 * data.deviation(from.mean, from.std);
  return std::fabs(follow_to_last_row(part, data.denoiser(), x) - data.flow(x, from, to));
}

// Between 144 and 288 intervals, whole steps of 1, 2 and 3 each.
double order_in_lambda(const char* sampler, const Config& config) {
  const auto error = [&](int steps) {
    const Solver solver = make_solver(sampler, config, in_double(steps)).value();
    return flow_error(solver, solver.rows.size() - 1);
  };
  return std::log2(error(145) / error(289));
}

// The next term of the error's expansion in h is a few hundredths of the slope here.
constexpr double kSlack = 0.15;

TEST(LogSnrOrder, DpmSolverMultistepHasItsOrder) {
  for (const char* algorithm : {"dpmsolver++", "dpmsolver"})
    for (const char* type : {"midpoint", "heun"}) {
      const auto order = [&](int p) {
        return order_in_lambda("dpm-multistep", dpm(algorithm, type, p));
      };
      EXPECT_NEAR(order(1), 1, kSlack) << algorithm << ' ' << type;
      EXPECT_NEAR(order(2), 2, kSlack) << algorithm << ' ' << type;
      // The published third-order formula takes half of the second derivative
      // (solvers/dpm_multistep.cpp).
      EXPECT_NEAR(order(3), 2, kSlack) << algorithm << ' ' << type;
    }
}

// DPM-Solver++'s third-order multistep formula by hand, its second derivative times `factor`, along
// the same levels and with the same start of lower orders.
double third_order_error(int steps, double factor) {
  const GaussianData data;
  const Solver solver =
      make_solver("dpm-multistep", dpm("dpmsolver++", "midpoint", 3), in_double(steps)).value();
  const std::vector<SolverRow>& rows = solver.rows;
  const auto lambda = [&](size_t i) { return std::log(rows[i].mean / rows[i].std); };
  const double begin = rows[0].mean * data.mean + 1.3 * data.deviation(rows[0].mean, rows[0].std);
  double x = begin;
  std::vector<double> m;
  for (size_t i = 0; i + 1 < rows.size(); ++i) {
    const SolverRow &s = rows[i], &t = rows[i + 1];
    m.push_back(data.posterior_mean(x, s.mean, s.std));
    const double h = lambda(i + 1) - lambda(i), e = std::expm1(-h);
    double next = t.std / s.std * x - t.mean * e * m[i];
    if (i >= 1) {
      const double r0 = (lambda(i) - lambda(i - 1)) / h, D10 = (m[i] - m[i - 1]) / r0;
      double D1 = D10;
      if (i >= 2) {
        const double r1 = (lambda(i - 1) - lambda(i - 2)) / h, D11 = (m[i - 1] - m[i - 2]) / r1;
        const double D2 = (D10 - D11) / (r0 + r1);  // h²/2 times the second derivative
        D1 += r0 * D2;
        next -= factor * t.mean * ((e + h) / (h * h) - 0.5) * D2;
      }
      next += t.mean * (e / h + 1) * D1;
    }
    x = next;
  }
  return std::fabs(x - data.flow(begin, rows.front(), rows.back()));
}

// With the whole second derivative the formula is of order 3 from the same start: it is not the
// steps of lower order at the start, where there is nearly no signal, that make the published
// one 2.
TEST(LogSnrOrder, ThirdOrderMultistepHasItsOrderWithTheWholeSecondDerivative) {
  const auto order = [](double factor) {
    return std::log2(third_order_error(145, factor) / third_order_error(289, factor));
  };
  EXPECT_NEAR(order(1), 2, kSlack);  // as published
  // On Gaussian data the leading error of order 3 nearly cancels, as it does for UniPC below.
  EXPECT_GT(order(2), 3 - kSlack);
  // This is the published formula: both errors are 8.84e-5, of levels that are rounded otherwise.
  const Solver published =
      make_solver("dpm-multistep", dpm("dpmsolver++", "midpoint", 3), in_double(145)).value();
  EXPECT_NEAR(flow_error(published, published.rows.size() - 1), third_order_error(145, 1), 1e-8);
}

TEST(LogSnrOrder, DpmSolverSinglestepHasItsOrder) {
  for (const char* algorithm : {"dpmsolver++", "dpmsolver"})
    for (const char* type : {"midpoint", "heun"})
      for (int p : {1, 2, 3})
        EXPECT_NEAR(order_in_lambda("dpm-singlestep", dpm(algorithm, type, p)), p, kSlack)
            << algorithm << ' ' << type;
}

// The corrector raises the predictor's order by one (Zhao et al. 2023, theorem 3.1).
TEST(LogSnrOrder, UniPcHasTheOrderOfItsCorrector) {
  for (const char* type : {"bh1", "bh2"})
    for (bool predict_x0 : {true, false})
      for (int p : {1, 2, 3})
        EXPECT_NEAR(order_in_lambda("unipc", unipc(type, predict_x0, p)), p + 1, kSlack)
            << type << ' ' << predict_x0;
}

TEST(LogSnrOrder, UniPcWithoutCorrectorsHasTheOrderOfItsPredictor) {
  for (int p : {1, 2, 3}) {
    Config config = unipc("bh2", true, p);
    for (int i = 0; i < 289; ++i) config.disable_corrector.push_back(i);
    // On Gaussian data the leading error of order 3 nearly cancels.
    const double order = order_in_lambda("unipc", config);
    EXPECT_GT(order, p - kSlack) << p;
    if (p < 3) {
      EXPECT_LT(order, p + kSlack) << p;
    }
  }
}

TEST(LogSnrOrder, DeisHasItsOrder) {
  EXPECT_NEAR(order_in_lambda("deis", deis(1)), 1, kSlack);
  EXPECT_NEAR(order_in_lambda("deis", deis(2)), 2, kSlack);
  EXPECT_NEAR(order_in_lambda("deis", karras(deis(3))), 3, kSlack);
}

// Levels even in σ = 1 - α (use_flow_sigmas). Their steps in λ never become small at the two ends,
// so orders are those of a run from the middle to the middle, from 3/4 of noise to 1/4.
double order_on_flow_levels(const char* sampler, Config config) {
  config.use_exponential_sigmas = false;
  config.use_flow_sigmas = true;
  config.prediction_type = "flow_prediction";
  const auto error = [&](int steps) {
    const Solver solver = make_solver(sampler, config, in_double(steps, steps / 4)).value();
    return flow_error(solver, static_cast<size_t>(steps / 2));
  };
  return std::log2(error(240) / error(480));
}

// Multistep methods begin there without a past, and one first step of order 1 leaves an error of
// order 2: as high as the multistep solvers, whose third-order formula is of order 2 as published,
// and DEIS come.
TEST(FlowLevelsOrder, MultistepMethodsHaveTheirOrderUpToThatOfTheirFirstStep) {
  for (const char* type : {"midpoint", "heun"})
    for (int p : {1, 2, 3})
      EXPECT_NEAR(order_on_flow_levels("dpm-multistep", dpm("dpmsolver++", type, p)),
                  std::min(p, 2), kSlack)
          << type << ' ' << p;
  for (int p : {1, 2, 3})
    EXPECT_NEAR(order_on_flow_levels("deis", deis(p)), std::min(p, 2), kSlack) << p;
}

// A singlestep method needs no past.
TEST(FlowLevelsOrder, DpmSolverSinglestepHasItsOrder) {
  for (const char* type : {"midpoint", "heun"})
    for (int p : {1, 2, 3})
      EXPECT_NEAR(order_on_flow_levels("dpm-singlestep", dpm("dpmsolver++", type, p)), p, kSlack)
          << type << ' ' << p;
}

// The corrected first step is of order 2, and its error of order 3: orders 2, 3 and no more. With
// order 3 the error's next term counts: 2.93 with bh1 and 3.25 with bh2.
TEST(FlowLevelsOrder, UniPcHasTheOrderOfItsCorrectorUpToThatOfItsFirstStep) {
  for (const char* type : {"bh1", "bh2"}) {
    const auto order = [&](int p) { return order_on_flow_levels("unipc", unipc(type, true, p)); };
    EXPECT_NEAR(order(1), 2, kSlack) << type;
    EXPECT_NEAR(order(2), 3, kSlack) << type;
    EXPECT_NEAR(order(3), 3, 2 * kSlack) << type;
  }
}

// DDIM and PNDM visit whole timesteps: 2^16 of them, so that 2^k steps are even, from noise to an
// eighth of the way. PNDM is of order 2, whatever the order of its formulas (Liu et al. 2022,
// theorem 1).
TEST(TimestepOrder, DdimIsOfFirstAndPndmOfSecondOrder) {
  constexpr int T = 1 << 16;
  Config config;
  config.num_train_timesteps = T;
  config.beta_start = 1e-4 * 1000 / T;
  config.beta_end = 0.02 * 1000 / T;
  config.clip_sample = false;
  const auto order = [&](const char* sampler) {
    const auto error = [&](int steps) {
      const Solver solver = make_solver(sampler, config, in_double(steps)).value();
      size_t last = 0;
      while (solver.rows[last].t > T / 8) ++last;
      return flow_error(solver, last);
    };
    return std::log2(error(128) / error(256));
  };
  EXPECT_NEAR(order("ddim"), 1, kSlack);
  EXPECT_NEAR(order("pndm"), 2, kSlack);
  EXPECT_NEAR(order("plms"), 2, kSlack);
}

// An image-to-image run has no past where it begins: its first step is DDIM's.
TEST(LogSnrSolvers, BeginInTheMiddleAtFirstOrder) {
  Config config = even_lambda(3);
  config.algorithm_type = "dpmsolver++";
  for (const char* sampler : {"dpm-multistep", "dpm-singlestep", "unipc", "deis"}) {
    if (std::string(sampler) == "unipc") config.solver_type = "bh2";
    const Solver whole = make_solver(sampler, config, in_double(20)).value();
    const Solver late = make_solver(sampler, config, in_double(20, 7)).value();
    Config plain = config;
    plain.solver_order = 1;
    const Solver first = make_solver(sampler, plain, in_double(20, 7)).value();
    ASSERT_EQ(late.rows.size(), 13u) << sampler;
    EXPECT_EQ(late.rows[0].t, whole.rows[7].t) << sampler;
    EXPECT_EQ(late.rows[0].x, first.rows[0].x) << sampler;
    EXPECT_EQ(late.rows[0].x.states, Affine{}.states) << sampler;
    EXPECT_NE(late.rows[1].x.states, Affine{}.states) << sampler;
  }
}

TEST(Pndm, BeginsInTheMiddleAsItDoesAtTheTop) {
  Config config;
  const Solver whole = make_solver("plms", config, in_double(10)).value();
  const Solver late = make_solver("plms", config, in_double(10, 4)).value();
  EXPECT_EQ(whole.timesteps(),
            (std::vector<double>{900, 800, 800, 700, 600, 500, 400, 300, 200, 100, 0}));
  EXPECT_EQ(late.timesteps(), (std::vector<double>{500, 400, 400, 300, 200, 100, 0}));
  EXPECT_EQ(late.rows[0].x.states, Affine{}.states);
}

TEST(LogSnrSolvers, RefuseWhatTheyCannotDo) {
  const auto refused = [](const char* sampler, const Config& config, int steps, const char* part) {
    const Result<Solver> solver = make_solver(sampler, config, {.steps = steps});
    ASSERT_FALSE(solver.ok()) << part;
    EXPECT_NE(solver.error().message.find(part), std::string::npos) << solver.error().message;
  };
  Config config = dpm("dpmsolver", "midpoint", 2);
  config.final_sigmas_type = "zero";
  refused("dpm-multistep", config, 10, "final_sigmas_type sigma_min");
  refused("dpm-multistep", dpm("sde-dpmsolver", "midpoint", 3), 10, "solver_order 1 to 2, found 3");
  refused("dpm-singlestep", dpm("sde-dpmsolver", "midpoint", 2), 10, "no singlestep solver");
  refused("dpm-multistep", dpm("dpmsolver++", "rk4", 2), 10, "expected midpoint or heun");
  refused("dpm-multistep", dpm("dpmsolver++", "midpoint", 4), 10, "solver_order is 4");
  refused("deis", dpm("sde-dpmsolver++", "logrho", 2), 10, "expected deis");
  config = unipc("bh2", true, 2);
  config.final_sigmas_type = "zero";
  refused("unipc", config, 10, "lower_order_final true");
  config = even_lambda(2);
  config.prediction_type = "flow_prediction";
  refused("dpm-multistep", config, 10, "use_flow_sigmas true");
  config.use_exponential_sigmas = false;
  config.use_flow_sigmas = true;
  EXPECT_TRUE(make_solver("dpm-multistep", config, {.steps = 10}).ok());
  config.algorithm_type = "dpmsolver";
  refused("dpm-multistep", config, 10, "dpmsolver++ and sde-dpmsolver++");
  refused("pndm", {}, 3, "at least 4");
  EXPECT_TRUE(make_solver("plms", {}, {.steps = 3}).ok());
  config = {};
  config.prediction_type = "sample";
  refused("pndm", config, 10, "expected epsilon or v_prediction");
}

}  // namespace
}  // namespace ito::test
