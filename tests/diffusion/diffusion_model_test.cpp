// A model seen on another process is the same model: networks that are exact for a mixture, on
// every process that has a score, seen on each of the others.
#include "diffusion/diffusion_model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/edm.h"
#include "diffusion/gaussian_mixture.h"
#include "diffusion/process.h"
#include "diffusion/sampling.h"
#include "graph/builder.h"
#include "graph/interpret.h"
#include "tests/diffusion/exact_model.h"

namespace ito::test {
namespace {

const GaussianMixture kMixture{{0.3, 0.7}, {{-0.6, 0.4}, {0.5, -0.2}}, {{0.04, 0.09}, {0.1, 0.02}}};

// The mixture's E[x_0 | x] and E[ε | x] at x = a x_0 + s ε, a and s f32 [n].
MixturePosterior exact(Tensor x, Tensor a, Tensor s) {
  return mixture_posterior(kMixture, x, a, s);
}

DiffusionModel model_on(ProcessKind process) { return exact_model(kMixture, process); }

// The output of `network` at x, told t, beside what it should be.
void expect_output(const Denoiser& network, double x, double t, double a, double s,
                   const std::function<Tensor(const MixturePosterior&, Tensor x)>& expected,
                   double tolerance, const std::string& what) {
  Graph graph;
  const Tensor point = constant(graph, {1, 2}, {x, 0.3});
  const Tensor wanted = expected(exact(point, full(graph, {1}, a), full(graph, {1}, s)), point);
  const auto values = interpret({network(point, full(graph, {1}, t)), wanted}, {});
  ASSERT_TRUE(values.ok()) << values.error().message;
  for (size_t i = 0; i < 2; ++i) {
    const double truth = (*values)[1].data[i];
    EXPECT_NEAR((*values)[0].data[i], truth, tolerance * (1 + std::fabs(truth))) << what;
  }
}

constexpr ProcessKind kAll[] = {ProcessKind::kDiscrete, ProcessKind::kVe,  ProcessKind::kVp,
                                ProcessKind::kSubVp,    ProcessKind::kEdm, ProcessKind::kFlow};

// Sub-VP ends at a noise whose square float32 does not tell from 0 beside 1.
TEST(DiffusionModel, AChainThatIsSeenHasStepsOfFiniteNumbers) {
  for (const ProcessKind from : kAll) {
    const DiffusionModel view = as_process(model_on(from), ProcessKind::kDiscrete).value();
    const Solver solver = make_solver("ddpm", view.config, {.steps = 10}).value();
    for (const SolverRow& row : solver.rows) {
      EXPECT_TRUE(std::isfinite(row.x.x0) && std::isfinite(row.x.x) && std::isfinite(row.x.z))
          << process_name(from) << " at timestep " << row.t;
      EXPECT_EQ(row.x.epsilon, 0) << process_name(from);
    }
  }
}

TEST(DiffusionModel, IsTheSameOnEveryProcess) {
  for (const ProcessKind from : kAll) {
    const DiffusionModel model = model_on(from);
    // float32 functions of the time; the chain's exact denoiser knows whole timesteps only, between
    // which ln σ moves by up to 0.02.
    const double tolerance = from == ProcessKind::kDiscrete ? 1e-2 : 1e-4;
    for (const double sigma : {0.1, 1.0, 5.0}) {
      const std::string what = process_name(from) + " at " + std::to_string(sigma);
      const double a = 1 / std::sqrt(1 + sigma * sigma);
      {
        const DiffusionModel view = as_process(model, ProcessKind::kDiscrete).value();
        const NoiseSchedule schedule = make_schedule(view.config).value();
        int t = 0;  // the timestep of about this noise, and its own level
        while (schedule.alpha_bar(t) > a * a) ++t;
        const double at = std::sqrt(schedule.alpha_bar(t)), st = std::sqrt(1 - at * at);
        expect_output(
            view.network, 0.4, t, at, st,
            [](const MixturePosterior& best, Tensor) { return best.epsilon; }, tolerance,
            what + " as chain");
      }
      {
        const DiffusionModel view = as_process(model, ProcessKind::kEdm).value();
        const EdmPreconditioning p{.sigma_data = view.config.sigma_data};
        const double c_in = p.c_in(sigma);
        // At x = 0.4/c_in.
        Graph graph;
        const Tensor scaled = constant(graph, {1, 2}, {0.4, 0.3});
        const Tensor output = view.network(scaled, full(graph, {1}, p.c_noise(sigma)));
        const Tensor x = scaled * (1 / c_in);
        const Tensor denoised = x * p.c_skip(sigma) + output * p.c_out(sigma);
        const Tensor truth = exact(x, full(graph, {1}, 1), full(graph, {1}, sigma)).x0;
        const auto values = interpret({denoised, truth}, {});
        ASSERT_TRUE(values.ok()) << values.error().message;
        for (size_t i = 0; i < 2; ++i)
          EXPECT_NEAR((*values)[0].data[i], (*values)[1].data[i], tolerance) << what << " as edm";
      }
      {
        const DiffusionModel view = as_process(model, ProcessKind::kFlow).value();
        const double noise = sigma / (1 + sigma);
        expect_output(
            view.network, 0.4, 1000 * noise, 1 - noise, noise,
            [](const MixturePosterior& best, Tensor) { return best.epsilon - best.x0; }, tolerance,
            what + " as flow");
      }
    }
  }
}

TEST(DiffusionModel, OfATrainedProcessOnlyIsRefused) {
  EXPECT_FALSE(as_process(model_on(ProcessKind::kDiscrete), ProcessKind::kVe).ok());
  EXPECT_FALSE(as_process(model_on(ProcessKind::kConsistency), ProcessKind::kDiscrete).ok());
  EXPECT_TRUE(as_process(model_on(ProcessKind::kVe), ProcessKind::kVe).ok());
}

// Every sampler that no trained process is asked for runs on every model.
TEST(Samplers, AreMadeForEveryModelThatHasAScore) {
  for (const ProcessKind process : kAll) {
    const DiffusionModel model = model_on(process);
    for (const std::string& name : sampler_names()) {
      const SolverEntry* solver = find_row(solver_rows(), name);
      if (solver != nullptr && (solver->process == ProcessKind::kConsistency || solver->generator))
        continue;
      if (name == "unclip") {  // of models on its own schedule
        EXPECT_FALSE(sampled_by(model, {.sampler = name}).ok());
        continue;
      }
      // Sub-VP has no chain to be ancestral to; ladders and flows want their own numbers.
      const Result<Sampling> sampling =
          sampled_by(model, {.sampler = name, .steps = name == "lcm" ? 4 : 24});
      if (name == "ancestral" && process == ProcessKind::kSubVp) {
        EXPECT_FALSE(sampling.ok());
        continue;
      }
      ASSERT_TRUE(sampling.ok()) << name << " on " << process_name(process) << ": "
                                 << sampling.error().message;
      EXPECT_TRUE(sampling->method.has_value() != sampling->flow.has_value());
      EXPECT_GT(sampling->start_std, 0);
    }
  }
}

TEST(DiffusionModel, AGeneratorHasNeitherScoreNorDensity) {
  DiffusionModel model{.config = {}, .network = [](Tensor x, Tensor) { return x; }};
  EXPECT_TRUE(model_score(model).ok());
  EXPECT_TRUE(density_flow(model).ok());
  model.generator = true;
  for (const Error& error : {model_score(model).error(), density_flow(model).error()}) {
    EXPECT_EQ(error.kind, ErrorKind::kUnsupported);
    EXPECT_NE(error.message.find("generator"), std::string::npos) << error.message;
  }
}

TEST(Samplers, SayWhatTheyLookAt) {
  EXPECT_FALSE(sampler_uses({.sampler = "euler"}, "s_noise"));
  EXPECT_TRUE(sampler_uses({.sampler = "euler", .churn = 1}, "s_noise"));
  EXPECT_EQ(sampler_without({.sampler = "flow-heun"}, "s_max"), "flow-heun without --churn");
  EXPECT_TRUE(sampler_uses({.sampler = "edm"}, "rho"));
  EXPECT_FALSE(sampler_uses({.sampler = "edm"}, "s_min"));
  EXPECT_TRUE(sampler_uses({.sampler = "edm", .churn = 2}, "s_min"));
  EXPECT_EQ(sampler_without({.sampler = "edm"}, "s_min"), "edm without --churn");
  EXPECT_FALSE(sampler_uses({.sampler = "ode"}, "steps"));
  EXPECT_FALSE(sampler_uses({.sampler = "no such"}, "steps"));
}

TEST(Samplers, ChoicesChangeTheConfiguration) {
  const SchedulerConfig config;
  const SchedulerConfig chosen =
      chosen_config(config, {.spacing = "trailing", .sigmas = "karras", .order = 3}).value();
  EXPECT_EQ(chosen.timestep_spacing, "trailing");
  EXPECT_TRUE(chosen.use_karras_sigmas);
  EXPECT_EQ(chosen.solver_order, 3);
  EXPECT_FALSE(chosen_config(chosen, {.sigmas = "uniform"}).value().use_karras_sigmas);
  EXPECT_FALSE(chosen_config(chosen, {.sigmas = "evenly"}).ok());
  EXPECT_EQ(chosen_config(chosen, {.lambda_min = "-5.1"}).value().lambda_min_clipped, -5.1);
  EXPECT_EQ(chosen_config(chosen, {}).value().lambda_min_clipped, chosen.lambda_min_clipped);
  for (const char* text : {"-5.1x", "all", "inf"})
    EXPECT_NE(chosen_config(chosen, {.lambda_min = text}).error().message.find("--lambda-min is"),
              std::string::npos);
}

}  // namespace
}  // namespace ito::test
