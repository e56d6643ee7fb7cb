#include "diffusion/solver.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "diffusion/divergence_words.h"
#include "diffusion/gaussian_mixture.h"
#include "diffusion/samplers.h"
#include "diffusion/streams.h"
#include "graph/builder.h"
#include "tests/diffusion/loop.h"
#include "tests/diffusion/mixture_denoiser.h"
#include "tests/diffusion/philox_normal.h"

namespace ito::test {
namespace {

// A denoiser without structure, different for every t.
Tensor some_model(Tensor x, Tensor t) {
  return tanh(x * 0.9 + reshape(t, {x.dim(0), 1, 1, 1}) * 1e-3);
}

Shape shape_of(int64_t images) { return {images, 2, 3, 1}; }

Solver solver_named(const std::string& name, int steps, double eta = 0) {
  return make_solver(name, {}, {.steps = steps, .eta = eta}).value();
}

std::vector<double> sample_some(const Solver& solver, const std::vector<double>& seeds) {
  return sample(solver, some_model, shape_of(static_cast<int64_t>(seeds.size())), seeds);
}

Program program_of(const Solver& solver, const Denoiser& denoiser, const MethodOptions& options) {
  return method_program(solver_method(solver, denoiser), options);
}

TEST(Solver, BatchSplitChangesNothing) {
  for (const Solver& solver : {solver_named("ddpm", 5), solver_named("ddim", 5, 0.7)}) {
    const std::vector<double> whole = sample_some(solver, {3, 99, 0, 4294967295});
    const std::vector<double> first = sample_some(solver, {3});
    const std::vector<double> rest = sample_some(solver, {99, 0, 4294967295});
    std::vector<double> joined = first;
    joined.insert(joined.end(), rest.begin(), rest.end());
    EXPECT_EQ(whole, joined) << solver.name;
  }
}

TEST(Solver, SeedsAndStepsDrawDifferentNoise) {
  const std::vector<double> x = sample_some(solver_named("ddpm", 3), {1, 2});
  EXPECT_NE(std::vector<double>(x.begin(), x.begin() + 6),
            std::vector<double>(x.begin() + 6, x.end()));
  Graph graph;
  const Solver solver = solver_named("ddpm", 3);
  const Program program = program_of(solver, some_model, {.shape = shape_of(2)});
  Externals at0 = start(solver, {2, 2, 3, 1}, {1, 2});
  Externals at1 = at0;
  at1["step"] = scalar_value(1);
  replay(program, at0);
  replay(program, at1);
  EXPECT_EQ(at0["step"].data[0], 1);
  EXPECT_EQ(at1["step"].data[0], 2);
  EXPECT_NE(at0["x"].data, at1["x"].data);
}

TEST(Solver, InitialNoiseIsThePhiloxStream) {
  const Solver solver = solver_named("ddpm", 3);
  Externals externals = start(solver, {2, 2, 3, 1}, {5, 6});
  replay(initial_noise_program({2, 2, 3, 1}, 2.0), externals);
  for (uint32_t image : {5u, 6u}) {
    std::vector<double> expected(6);
    philox_fill_normal(expected, {7, 11}, image, 0, kStreamInitialNoise);
    for (size_t e = 0; e < 6; ++e)
      EXPECT_NEAR(externals["x"].data[(image - 5) * 6 + e], 2 * expected[e], 1e-6);
  }
}

TEST(Solver, EtaZeroIsDeterministic) {
  const Solver solver = solver_named("ddim", 4);
  EXPECT_FALSE(solver.needs_noise());
  const Program program = program_of(solver, some_model, {.shape = shape_of(1)});
  // With no noise to draw, neither key nor image is an input of the step.
  Externals externals{{"x", {{1, 2, 3, 1}, {0.1, -1, 2, 0.5, 0, 3}}}, {"step", scalar_value(0)}};
  replay(program, externals);
}

TEST(Solver, DrawnNoiseEqualsTheSameNoiseGiven) {
  const Solver solver = solver_named("ddpm", 3);
  const std::vector<double> drawn = sample_some(solver, {42});
  const MethodOptions given{.shape = shape_of(1), .noise_input = true};
  const Program program = program_of(solver, some_model, given);
  Externals externals = start(solver, given.shape, {42});
  replay(initial_noise_program(given.shape, 1), externals);
  for (uint32_t step = 0; step < 3; ++step) {
    std::vector<double> noise(6);
    philox_fill_normal(noise, {7, 11}, 42, step, kStreamStepNoise);
    externals["noise.0"] = {given.shape, noise};
    replay(program, externals);
  }
  for (size_t e = 0; e < 6; ++e) EXPECT_NEAR(externals["x"].data[e], drawn[e], 1e-6);
}

TEST(Solver, ReplayingRecordedOutputsEqualsTheDenoiser) {
  const Solver solver = solver_named("ddim", 3);
  const MethodOptions options{.shape = shape_of(1), .outputs = true};
  const Program live = program_of(solver, some_model, options);
  const Program recorded = program_of(solver, nullptr, options);
  Externals a{{"x", {options.shape, {0.1, -1, 2, 0.5, 0, 3}}}, {"step", scalar_value(0)}};
  Externals b = a;
  for (size_t i = 0; i < 3; ++i) {
    HostValue output = a["x"];
    for (double& value : output.data) value = std::tanh(value * 0.9 + solver.rows[i].t * 1e-3);
    b["model_output"] = output;
    replay(live, a);
    replay(recorded, b);
    for (size_t e = 0; e < 6; ++e) {
      EXPECT_NEAR(a["x"].data[e], b["x"].data[e], 1e-12);
      EXPECT_NEAR(a["output.x0"].data[e], b["output.x0"].data[e], 1e-12);
    }
  }
}

SchedulerConfig config_for(const SolverEntry& row) {
  SchedulerConfig config;
  config.process = row.process;
  if (row.name.name == "unclip") {  // which has one schedule only
    config.beta_schedule = "squaredcos_cap_v2";
    config.variance_type = "fixed_small_log";
  }
  if (row.process == ProcessKind::kFlow) config.prediction_type = "flow_prediction";
  if (row.process == ProcessKind::kEdm) config.sigma_min = 0.002, config.sigma_max = 80;
  return config;
}

// However few the steps are, and whether the noise that a row keeps for a later one counts or not.
TEST(Solver, EveryRowMakesAProgramOfOneStep) {
  for (const SolverEntry& row : solver_rows()) {
    int made = 0;
    for (const int steps : {1, 2, 5})
      for (const double s_noise : {1.0, 0.0}) {
        const auto solver = make_solver(std::string(row.name.name), config_for(row),
                                        {.steps = steps, .s_noise = s_noise});
        if (!solver.ok()) continue;  // Runge-Kutta's start needs more than three
        EXPECT_FALSE(program_of(*solver, some_model, {.shape = shape_of(1)}).outputs.empty());
        ++made;
      }
    EXPECT_GT(made, 0) << row.name.name;
  }
}

// What --strength counts are steps, however many evaluations each has.
TEST(Solver, EveryRowBeginsLateAtThatStepsLevel) {
  const auto late = [](std::string_view name) {
    const SolverEntry& row = *find_row(solver_rows(), name);
    return make_solver(std::string(name), config_for(row), {.steps = 9, .first_step = 5});
  };
  const auto level = [](const Solver& solver) {
    return solver.rows.front().std / solver.rows.front().mean;
  };
  int begun = 0;
  for (const SolverEntry& row : solver_rows()) {
    SCOPED_TRACE(row.name.name);
    const auto whole = make_solver(std::string(row.name.name), config_for(row), {.steps = 9});
    const auto tail = late(row.name.name);
    if (!whole.ok() || !tail.ok()) continue;
    ++begun;
    EXPECT_EQ(level(*tail) < level(*whole), !row.inverts);
    EXPECT_TRUE(std::any_of(whole->rows.begin(), whole->rows.end(), [&](const SolverRow& r) {
      return r.std == tail->rows.front().std && r.t == tail->rows.front().t;
    }));
  }
  EXPECT_GT(begun, 20);
  for (const auto& [two, one] : {std::pair{"heun", "euler"},
                                 {"kdpm2", "euler"},
                                 {"kdpm2-ancestral", "euler"},
                                 {"dpm-sde", "euler"},
                                 {"flow-heun", "flow-euler"}}) {
    EXPECT_EQ(late(two)->steps(), 7) << two;
    EXPECT_EQ(late(one)->steps(), 4);
    EXPECT_NEAR(level(*late(two)), level(*late(one)), 1e-5 * level(*late(one))) << two;
  }
}

TEST(Solver, StartingLateEqualsTheTailOfTheLoop) {
  const Solver whole = solver_named("ddim", 6);
  const Solver tail = make_solver("ddim", {}, {.steps = 6, .first_step = 4}).value();
  ASSERT_EQ(tail.steps(), 2);
  Externals a{{"x", {{1, 2, 3, 1}, {0.1, -1, 2, 0.5, 0, 3}}}, {"step", scalar_value(4)}};
  Externals b = a;
  b["step"] = scalar_value(0);
  for (int i = 0; i < 2; ++i) {
    replay(program_of(whole, some_model, {.shape = shape_of(1)}), a);
    replay(program_of(tail, some_model, {.shape = shape_of(1)}), b);
  }
  EXPECT_EQ(a["x"].data, b["x"].data);
}

TEST(Solver, ForwardNoiseHasTheScheduledMoments) {
  const Shape shape{1, 50, 50, 1};
  Externals externals{{"picture", {shape, std::vector<double>(2500, 2.0)}},
                      {"x", {shape, std::vector<double>(2500, 5.0)}},
                      {"key", {{2}, {1, 2}}},
                      {"image", {{1}, {9}}}};
  replay(forward_noise_program(shape, 0.6, 0.8), externals);
  const std::vector<double>& x = externals["x"].data;
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / 2500;
  double variance = 0;
  for (double value : x) variance += (value - mean) * (value - mean) / 2500;
  EXPECT_NEAR(mean, 0.6 * 2, 4 * 0.8 / 50);
  EXPECT_NEAR(variance, 0.64, 4 * 0.64 * std::sqrt(2.0 / 2500));
}

TEST(Solver, StrengthChoosesTheFirstStep) {
  EXPECT_EQ(first_step_for_strength(10, 1.0), 0);
  EXPECT_EQ(first_step_for_strength(10, 0.25), 8);
  EXPECT_EQ(first_step_for_strength(10, 0.0), 10);
}

// DDIM run up by inversion and down again returns the image, nearly: the error is that of taking ε
// at the near end of each step, so it shrinks with more steps.
TEST(Solver, InversionAndSamplingReturnTheImage) {
  SchedulerConfig config;
  config.clip_sample = false;
  const GaussianMixture mixture{{0.5, 0.5}, {{-0.6}, {0.6}}, {{0.09}, {0.04}}};
  const auto model = mixture_denoiser(mixture, make_schedule(config).value(), Prediction::kEpsilon);
  const MethodOptions options{.shape = {3, 1, 1, 1}};
  const std::vector<double> image = {-0.8, 0.1, 0.55};
  double last = 1;
  for (int steps : {20, 100, 500}) {
    Externals externals{{"x", {options.shape, image}}};
    for (const char* name : {"ddim_inverse", "ddim"}) {
      const Solver solver = make_solver(name, config, {.steps = steps}).value();
      const Program program = program_of(solver, model, options);
      externals["step"] = scalar_value(0);
      for (int i = 0; i < steps; ++i) replay(program, externals);
    }
    double error = 0;
    for (size_t i = 0; i < 3; ++i)
      error = std::max(error, std::fabs(externals["x"].data[i] - image[i]));
    EXPECT_LT(error, last) << steps;
    last = error;
  }
  EXPECT_LT(last, 0.02);
}

// The network's output is NaN from the fourth step on and its x_0 clipped, so that x may stay a
// number.
TEST(Solver, OutputThatIsNotFiniteIsRecordedWithItsStep) {
  const Solver solver = solver_named("ddpm", 5);
  const Denoiser breaking = [&](Tensor x, Tensor t) {
    const Tensor left = reshape(t, {2, 1, 1, 1}) - solver.rows[2].t;
    return broadcast_to(sqrt(left), x.shape()) * 0.01;
  };
  const Program program = program_of(solver, breaking, {.shape = shape_of(2)});
  Externals externals = start(solver, shape_of(2), {1, 2});
  for (int i = 0; i < 3; ++i) replay(program, externals);
  EXPECT_EQ(externals["divergence"].data[0], 0);
  for (int i = 0; i < 2; ++i) replay(program, externals);
  EXPECT_EQ(externals["divergence"].data[0], 4);
  const std::vector<uint32_t> words = {4, 0};
  EXPECT_EQ(check_divergence(words, "ddpm").error().message,
            "ddpm: the model's output is not finite at step 4");
}

// Steps that double x, from one image's 2^20: beyond 10^8 = 2^26.6 after the seventh.
TEST(Solver, SampleThatGrowsAbsurdlyIsRecordedWithItsStep) {
  Solver solver;
  solver.name = "doubling";
  solver.rows.assign(9, {.x0 = {.on_x = 1}, .x = 2 * affine::kX});
  const Program program = program_of(solver, [](Tensor x, Tensor) { return x; }, {.shape = {2, 2}});
  Externals externals{{"x", {{2, 2}, {1, -2, -1048576, 3}}}, {"step", scalar_value(0)}};
  for (int i = 0; i < 9; ++i) replay(program, externals);
  EXPECT_EQ(externals["divergence"].data, (std::vector<double>{0, 7}));
}

// A multistep method needs nothing but a history: Adams-Bashforth of order two on x' = -x, whose
// error is of second order in the step.
TEST(Solver, HistoryCarriesMultistepMethods) {
  const auto solve = [](int steps) {
    Solver solver;
    solver.name = "adams_bashforth";
    solver.states = {"slope"};
    const double h = 1.0 / steps;
    for (int i = 0; i < steps; ++i) {
      SolverRow row{.t = double(i), .x0 = {.on_output = 1}, .epsilon = {.on_output = 1}};
      // The first step is Euler's; its error of h² is made once.
      row.x = affine::kX + (i == 0 ? h * affine::kEpsilon
                                   : h * (1.5 * affine::kEpsilon - 0.5 * affine::state(0)));
      row.states = {affine::kEpsilon};
      solver.rows.push_back(row);
    }
    const MethodOptions options{.shape = {1, 1}};
    const Program program = program_of(
        solver, [](Tensor x, Tensor) { return -x; }, options);
    Externals externals = start(solver, options.shape, {0});
    externals["x"].data = {1};
    for (int i = 0; i < steps; ++i) replay(program, externals);
    return std::fabs(externals["x"].data[0] - 1 / std::numbers::e);
  };
  EXPECT_NEAR(solve(20) / solve(40), 4, 0.4);
}

TEST(Solvers, BadRequestsAreNamed) {
  const auto message = [](const std::string& name, auto change, SolverOptions options,
                          double eta = 0) {
    SchedulerConfig config;
    change(config);
    options.eta = eta;
    const Result<Solver> solver = make_solver(name, config, options);
    return solver.ok() ? std::string("no error") : solver.error().message;
  };
  const auto same = [](SchedulerConfig&) {};
  const SolverOptions ten{.steps = 10};
  const auto expect_names = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  expect_names(message("eular", same, ten), "ddpm, ddim");
  expect_names(message("ddpm", same, {.steps = -1}), "-1");
  expect_names(message("ddpm", same, {.steps = 10, .timesteps = {5, 7}}), "descend");
  expect_names(message("ddim", same, ten, -0.5), "eta");
  expect_names(message("ddim", same, ten, 1.5), "eta");
  expect_names(message(
                   "ddpm", [](auto& c) { c.variance_type = "huge"; }, ten),
               "variance_type");
  expect_names(message(
                   "ddpm", [](auto& c) { c.clip_sample_range = 0; }, ten),
               "clip_sample_range");
  expect_names(message(
                   "ddpm",
                   [](auto& c) {
                     c.thresholding = true;
                     c.sample_max_value = 0;
                   },
                   ten),
               "sample_max_value");
  expect_names(message(
                   "ddim",
                   [](auto& c) {
                     c.rescale_betas_zero_snr = true;
                     c.timestep_spacing = "trailing";
                   },
                   ten),
               "zero terminal SNR");
  expect_names(message(
                   "ddim_inverse", [](auto& c) { c.timestep_spacing = "linspace"; }, ten),
               "linspace");
  expect_names(message(
                   "ddim_inverse", [](auto& c) { c.prediction_type = "sample"; }, ten),
               "set_alpha_to_one");
}

TEST(Solvers, EveryNameIsMade) {
  for (const SolverEntry& row : solver_rows()) {
    // unCLIP's chain, which the others of its process take too.
    SchedulerConfig config;
    config.process = row.process;
    config.beta_schedule = "squaredcos_cap_v2";
    config.variance_type = "fixed_small_log";
    if (row.process == ProcessKind::kFlow) config.prediction_type = "flow_prediction";
    const Result<Solver> solver = make_solver(std::string(row.name.name), config, {.steps = 4});
    EXPECT_TRUE(solver.ok()) << row.name.name << ": " << solver.error().message;
    EXPECT_FALSE(row.name.help.empty() || row.name.source.empty()) << row.name.name;
  }
}

TEST(Solvers, OfAnotherProcessAreRefused) {
  SchedulerConfig config;
  config.process = ProcessKind::kVe;
  EXPECT_EQ(make_solver("ddim", config, {}).error().message,
            "sampler ddim is for models of the process discrete, found one of ve");
}

// Learned variances: v = 1 gives β_t, v = -1 gives β̃_t, and the mean ignores the extra channels.
TEST(Ddpm, LearnedRangeSpansTheFixedVariances) {
  const auto step = [](const std::string& variance, double v) {
    SchedulerConfig config;
    config.variance_type = variance;
    const Solver solver = make_solver("ddpm", config, {.steps = 10}).value();
    const Shape shape{1, 1, 1, 1};
    const Program program = program_of(solver, nullptr, {.shape = shape, .noise_input = true});
    HostValue output{{1, 1, 1, 1}, {0.3}};
    if (solver.output_multiple() == 2) output = {{1, 1, 1, 2}, {0.3, v}};
    Externals externals{{"x", {shape, {0.2}}},
                        {"noise.0", {shape, {1.0}}},
                        {"model_output", output},
                        {"step", scalar_value(4)}};
    replay(program, externals);
    return externals["x"].data[0];
  };
  EXPECT_NEAR(step("learned_range", 1), step("fixed_large", 0), 1e-6);
  EXPECT_NEAR(step("learned_range", -1), step("fixed_small", 0), 1e-6);
  EXPECT_NEAR(step("fixed_large_log", 0), step("fixed_large", 0), 1e-6);
  // learned: the variance itself; zero gives the mean alone.
  const double mean = step("learned", 0);
  EXPECT_NEAR(step("learned", 0.25) - mean, 0.5, 1e-9);
}

}  // namespace
}  // namespace ito::test
