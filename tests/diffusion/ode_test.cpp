// The Runge–Kutta and Heun programs against equations with known solutions.
#include "diffusion/ode.h"

#include <cmath>
#include <numbers>

#include "api/ode_solver.h"
#include "graph/builder.h"
#include "tests/support/run_program.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

const ExecutorOptions kCanary = [] {
  ExecutorOptions options;
  options.canary = true;
  return options;
}();

// One component "x" [n, 1].
OdeSystem scalar_system(int64_t n, std::function<Tensor(Tensor t, Tensor x)> slope) {
  return {.name = "test",
          .components = {{.name = "x", .shape = {n, 1}}},
          .f = [=](Tensor t, const std::vector<Tensor>& y) {
            return std::vector<Tensor>{slope(reshape(t, {n, 1}), y[0])};
          }};
}

// x' = (1 + t) x cos x: smooth, without symmetries that would raise an order.
Tensor bent(Tensor t, Tensor x) { return (t + 1.0) * x * cos(x); }

// x of one attempted step of size h from x = 1, t = 0, in double precision.
double one_step(double h) {
  const OdeSystem system = scalar_system(1, bent);
  const Program step = ode_step_program(system, {.rtol = 0.9, .atol = 10});
  const double slope = std::cos(1.0);
  const HostValues inputs = {
      {"y.x", {{1, 1}, {1.0}}},    {"slope.x", {{1, 1}, {slope}}}, {"t", {{1}, {0}}},
      {"t_rest", {{1}, {0}}},      {"t_end", {{1}, {9}}},          {"h", {{1}, {h}}},
      {"rejected", {{1}, {0}}},    {"status", {{1}, {0}}},         {"failed_at", {{1}, {0}}},
      {"evaluations", {{1}, {2}}}, {"rejections", {{1}, {0}}},     {"attempts", {{}, {0}}}};
  const auto results = run_on_interpreter(step, inputs);
  EXPECT_TRUE(results.ok()) << results.error().message;
  EXPECT_EQ(results->at("evaluations").data[0], 8);
  EXPECT_EQ(results->at("rejections").data[0], 0);
  EXPECT_NEAR(results->at("t").data[0] + results->at("t_rest").data[0], h, 1e-7);
  return results->at("y.x").data[0];
}

TEST(RungeKutta, OneStepIsOfOrderFive) {
  const auto exact = [](double h) {  // the classic method of order four, tiny steps
    const int steps = 2000;
    const double dt = h / steps;
    const auto f = [](double t, double x) { return (1 + t) * x * std::cos(x); };
    double x = 1;
    for (int i = 0; i < steps; ++i) {
      const double t = i * dt;
      const double k1 = f(t, x), k2 = f(t + dt / 2, x + dt / 2 * k1);
      const double k3 = f(t + dt / 2, x + dt / 2 * k2), k4 = f(t + dt, x + dt * k3);
      x += dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4);
    }
    return x;
  };
  const double coarse = std::fabs(one_step(0.25) - exact(0.25));
  const double fine = std::fabs(one_step(0.125) - exact(0.125));
  EXPECT_GT(coarse, 1e-9);
  EXPECT_NEAR(std::log2(coarse / fine), 6, 0.5);
}

TEST(Ode, WrongTolerancesAreRefused) {
  EXPECT_TRUE(check_ode_options({}).ok());
  for (const OdeOptions& wrong :
       {OdeOptions{.rtol = 1e-8, .atol = 1}, OdeOptions{.rtol = 1, .atol = 1},
        OdeOptions{.rtol = 1e-5, .atol = 0}, OdeOptions{.rtol = 1e-5, .atol = INFINITY}})
    EXPECT_FALSE(check_ode_options(wrong).ok());
}

class OdeOnDevice : public VulkanTest {};

// Every image has its own rate, and steps of its own.
TEST_F(OdeOnDevice, EveryImageKeepsItsToleranceWithItsOwnSteps) {
  const std::vector<float> rates = {0.1f, 1, 10, 50};
  const OdeSystem system = scalar_system(4, [](Tensor, Tensor x) {
    return -x * input(x.graph(), "rate", {4, 1});
  });
  ASSERT_OK_AND_ASSIGN(auto solver,
                       OdeSolver::create(device(), system, {.rtol = 1e-5, .atol = 1e-8}, kCanary));
  ASSERT_OK(solver->write(Port<float>{"rate"}, rates));
  ASSERT_OK(solver->write(ode_ports::kY["x"], std::vector<float>(4, 1.0f)));
  ASSERT_OK_AND_ASSIGN(const OdeReport report, solver->solve(0, 0.1, 10'000));
  ASSERT_OK_AND_ASSIGN(const std::vector<double> x, solver->value("x"));
  for (size_t i = 0; i < 4; ++i) {
    const double expected = std::exp(-0.1 * static_cast<double>(rates[i]));
    // Local errors of 1e-5 add up over some steps.
    EXPECT_NEAR(x[i] / expected, 1, 1e-4) << rates[i];
    EXPECT_EQ((report.evaluations[i] - 2) % 6, 0u);
  }
  EXPECT_GT(report.evaluations[3], report.evaluations[2]);
  EXPECT_GT(report.evaluations[2], report.evaluations[0]);
  EXPECT_EQ(report.attempts, (report.evaluations[3] - 2) / 6);
}

TEST_F(OdeOnDevice, TimeRunsBothWays) {
  const OdeSystem system = scalar_system(2, bent);
  ASSERT_OK_AND_ASSIGN(auto solver,
                       OdeSolver::create(device(), system, {.rtol = 1e-6, .atol = 1e-6}, kCanary));
  ASSERT_OK(solver->write(ode_ports::kY["x"], std::vector<float>{0.3f, 1.2f}));
  ASSERT_OK(solver->solve(-0.5, 1, 10'000));
  ASSERT_OK_AND_ASSIGN(const std::vector<double> there, solver->value("x"));
  EXPECT_GT(std::fabs(there[0] - 0.3), 0.1);
  ASSERT_OK(solver->solve(1, -0.5, 10'000));
  ASSERT_OK_AND_ASSIGN(const std::vector<double> back, solver->value("x"));
  EXPECT_NEAR(back[0], 0.3, 2e-5);
  EXPECT_NEAR(back[1], 1.2, 2e-5);
  // No way to go.
  ASSERT_OK_AND_ASSIGN(const OdeReport report, solver->solve(1, 1, 10'000));
  EXPECT_EQ(report.attempts, 0);
  ASSERT_OK_AND_ASSIGN(const std::vector<double> same, solver->value("x"));
  EXPECT_EQ(same, back);
}

TEST_F(OdeOnDevice, RejectedStepsAreTriedAgain) {
  // A narrow bump that the first long steps jump into.
  const OdeSystem system =
      scalar_system(1, [](Tensor t, Tensor) { return exp(square((t - 5.0) * 4.0) * -1.0); });
  ASSERT_OK_AND_ASSIGN(auto solver, OdeSolver::create(device(), system, {}, kCanary));
  ASSERT_OK(solver->write(ode_ports::kY["x"], std::vector<float>{0.0f}));
  ASSERT_OK_AND_ASSIGN(const OdeReport report, solver->solve(4, 7, 10'000));
  ASSERT_OK_AND_ASSIGN(const std::vector<double> x, solver->value("x"));
  EXPECT_NEAR(x[0], std::sqrt(M_PI) / 4, 2e-5);
  EXPECT_GT(report.rejections[0], 0u);
}

TEST_F(OdeOnDevice, AnImageDoesNotDependOnItsBatch) {
  const auto solve = [&](const std::vector<float>& start) -> Result<std::vector<double>> {
    const OdeSystem system = scalar_system(static_cast<int64_t>(start.size()), bent);
    ITO_ASSIGN(auto solver, OdeSolver::create(device(), system, {}, kCanary));
    ITO_TRY(solver->write(ode_ports::kY["x"], start));
    ITO_TRY(solver->solve(0, 3, 10'000));
    return solver->value("x");
  };
  ASSERT_OK_AND_ASSIGN(const std::vector<double> whole, solve({0.2f, 1.0f, 7.5f}));
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_OK_AND_ASSIGN(const std::vector<double> alone,
                         solve({std::vector<float>{0.2f, 1.0f, 7.5f}[i]}));
    EXPECT_EQ(alone[0], whole[i]);
  }
}

TEST_F(OdeOnDevice, FailuresNameImageAndStep) {
  const auto message = [&](const OdeSystem& system, int64_t most) {
    auto solver = OdeSolver::create(device(), system, {}, kCanary);
    EXPECT_TRUE(solver.ok());
    EXPECT_TRUE((*solver)->write(ode_ports::kY["x"], std::vector<float>{-1.0f, 1.0f}).ok());
    const auto report = (*solver)->solve(0, 2, most);
    return report.ok() ? std::string("no error") : report.error().message;
  };
  const auto expect_says = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  // √x of a negative number, from the start in image 0.
  const OdeSystem undefined = scalar_system(2, [](Tensor, Tensor x) { return sqrt(x); });
  expect_says(message(undefined, 1000), "step 0 of image 0 of the batch is not finite, at time 0");
  // 1/x from 1 grows for ever at time 1; from -1 it does not.
  const OdeSystem pole = scalar_system(2, [](Tensor, Tensor x) { return square(x); });
  const std::string blow_up = message(pole, 100'000);
  expect_says(blow_up, "image 1 of the batch");
  expect_says(blow_up, "time 0.9999");
  // A square root that ends on the way.
  const OdeSystem ends = scalar_system(2, [](Tensor t, Tensor x) { return sqrt(1.0 - t) + x * 0; });
  const std::string on_the_way = message(ends, 100'000);
  expect_says(on_the_way, "not finite");
  EXPECT_EQ(on_the_way.find("step 0 "), std::string::npos) << on_the_way;
  const OdeSystem fast = scalar_system(2, [](Tensor t, Tensor x) { return cos(t * 1000.0) * x; });
  expect_says(message(fast, 100), "98 evaluations, at most 100");
  expect_says(message(fast, 3), "at least 8");
}

TEST_F(OdeOnDevice, StoppingIsHeeded) {
  const OdeSystem system = scalar_system(1, [](Tensor t, Tensor x) { return cos(t * 1e3) * x; });
  ASSERT_OK_AND_ASSIGN(auto solver, OdeSolver::create(device(), system, {}, kCanary));
  ASSERT_OK(solver->write(ode_ports::kY["x"], std::vector<float>{1.0f}));
  int attempts = 0;
  const auto report = solver->solve(0, 10, 1'000'000, [&] { return ++attempts < 5; });
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().kind, ErrorKind::kInterrupted);
}

// Many increments beside a number of which each is a small part: a wave keeps the steps short.
TEST_F(OdeOnDevice, QuantisedSumsKeepTheBitsOfSmallIncrements) {
  OdeSystem system;
  for (const double quantum : {0.0, 1.0})
    system.components.push_back(
        {.name = quantum > 0 ? "kept" : "plain", .shape = {1}, .quantum = quantum});
  system.components.push_back({.name = "wave", .shape = {1}});
  constexpr double kTurn = 2 * std::numbers::pi;
  system.f = [](Tensor t, const std::vector<Tensor>&) {
    const Tensor third = full(t.graph(), {1}, 1.0 / 3);
    return std::vector<Tensor>{third, third, cos(t * kTurn) * kTurn};
  };
  ASSERT_OK_AND_ASSIGN(auto solver, OdeSolver::create(device(), system, {}, kCanary));
  ASSERT_OK(solver->write(ode_ports::kY["plain"], std::vector<float>{1'000'000.0f}));
  ASSERT_OK(solver->write(ode_ports::kY["kept"], std::vector<float>{1'000'000.0f}));
  ASSERT_OK(solver->write(ode_ports::kY["wave"], std::vector<float>{0.0f}));
  ASSERT_OK_AND_ASSIGN(const OdeReport report, solver->solve(0, 60, 1'000'000));
  EXPECT_GT(report.attempts, 300);
  ASSERT_OK_AND_ASSIGN(const std::vector<double> plain, solver->value("plain"));
  ASSERT_OK_AND_ASSIGN(const std::vector<double> kept, solver->value("kept"));
  EXPECT_GT(std::fabs(plain[0] - 1'000'020), 0.1);
  EXPECT_NEAR(kept[0], 1'000'020, 2e-5);
}

}  // namespace
}  // namespace ito::test
