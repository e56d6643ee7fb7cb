// How fast solvers converge on Gaussian data, whose probability flow and laws are known: the rows
// on the host in double, with the exact denoiser. A row of the tables a solver.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "diffusion/samplers.h"
#include "tests/diffusion/solver_host.h"

namespace ito::test {
namespace {

constexpr ProcessKind kDiscrete = ProcessKind::kDiscrete;

struct OrderCase {
  const char* name;
  const char* sampler;
  void (*change)(SchedulerConfig&);
  double order;
  ProcessKind process = kDiscrete;
  int lms_order = 4;
};

void karras(SchedulerConfig& c) { c.use_karras_sigmas = true; }
void exponential(SchedulerConfig& c) { c.use_exponential_sigmas = true; }

// Levels that become denser in a smooth way, as an order of convergence needs: Karras's and others'
// formulas, and on straight paths even ones.
const OrderCase kFlows[] = {
    {"Euler", "euler", karras, 1},
    {"Heun", "heun", karras, 2},
    {"Heun on exponential levels", "heun", exponential, 2},
    {"Heun on beta levels", "heun", [](SchedulerConfig& c) { c.use_beta_sigmas = true; }, 2},
    {"KDPM2", "kdpm2", karras, 2},
    {"LMS 1", "lms", karras, 1, kDiscrete, 1},
    {"LMS 2", "lms", karras, 2, kDiscrete, 2},
    {"LMS 3", "lms", karras, 3, kDiscrete, 3},
    {"LMS 4", "lms", karras, 4, kDiscrete, 4},
    {"iPNDM 1", "ipndm", karras, 1, kDiscrete, 1},
    // Its weights are those of even steps (solvers/ipndm.cpp).
    {"iPNDM 2", "ipndm", karras, 2, kDiscrete, 2},
    {"iPNDM 4", "ipndm", karras, 2, kDiscrete, 4},
    {"EDM Euler", "edm-euler", [](SchedulerConfig&) {}, 1, ProcessKind::kEdm},
    {"EDM DPM-Solver++ 1", "edm-dpm", [](SchedulerConfig& c) { c.solver_order = 1; }, 1,
     ProcessKind::kEdm},
    {"EDM DPM-Solver++ 2, midpoint", "edm-dpm", [](SchedulerConfig& c) { c.solver_order = 2; }, 2,
     ProcessKind::kEdm},
    {"EDM DPM-Solver++ 2, Heun", "edm-dpm",
     [](SchedulerConfig& c) {
       c.solver_order = 2;
       c.solver_type = "heun";
     },
     2, ProcessKind::kEdm},
    // Published so (solvers/edm_dpm.cpp).
    {"EDM DPM-Solver++ 3", "edm-dpm", [](SchedulerConfig& c) { c.solver_order = 3; }, 2,
     ProcessKind::kEdm},
    {"flow Euler", "flow-euler", [](SchedulerConfig&) {}, 1, ProcessKind::kFlow},
    {"flow Euler, shifted", "flow-euler", [](SchedulerConfig& c) { c.shift = 3; }, 1,
     ProcessKind::kFlow},
    {"flow Heun", "flow-heun", [](SchedulerConfig&) {}, 2, ProcessKind::kFlow},
};

SchedulerConfig config_of(const OrderCase& c) {
  SchedulerConfig config;
  config.process = c.process;
  config.timestep_spacing = "linspace";
  config.clip_sample = false;
  if (c.process == ProcessKind::kFlow) config.prediction_type = "flow_prediction";
  if (c.process == ProcessKind::kEdm) {
    config.sigma_min = 0.002;
    config.sigma_max = 80;
  }
  c.change(config);
  return config;
}

Solver solver_of(const OrderCase& c, int steps) {
  return make_solver(c.sampler, config_of(c),
                     {.steps = steps, .order = c.lms_order, .arithmetic = Arithmetic::kDouble})
      .value();
}

constexpr int kSteps = 128;

// The order between kSteps and twice as many, whose distance to the limit falls with h itself.
double order_between(double coarse, double fine) { return std::log2(coarse / fine); }

// |x - exact| at the last level that is visited.
double flow_error(const OrderCase& c, int steps) {
  const GaussianData data;
  const Solver solver = solver_of(c, steps);
  const SolverRow &first = solver.rows.front(), &last = solver.rows.back();
  const double x = first.mean * data.mean + 1.3 * data.deviation(first.mean, first.std);
  return std::fabs(follow_to_last_row(solver, data.denoiser(), x) - data.flow(x, first, last));
}

TEST(SolverOrder, FlowsConvergeWithTheirOrder) {
  for (const OrderCase& c : kFlows)
    EXPECT_NEAR(order_between(flow_error(c, kSteps), flow_error(c, 2 * kSteps)), c.order, 0.15)
        << c.name;
}

TEST(SolverOrder, HigherOrdersAreMoreExactAtTwentySteps) {
  const auto lms = [](int order) {
    return flow_error({"LMS", "lms", karras, 0, kDiscrete, order}, 20);
  };
  EXPECT_LT(lms(2), lms(1));
  EXPECT_LT(lms(3), lms(2));
  EXPECT_LT(lms(4), lms(3));
}

void sde_dpm(SchedulerConfig& c, int order) {
  exponential(c);
  c.algorithm_type = "sde-dpmsolver++";
  c.solver_order = order;
  c.solver_type = "midpoint";
  c.lower_order_final = false;
  c.final_sigmas_type = "sigma_min";
}

const OrderCase kSdes[] = {
    {"Euler ancestral", "euler-ancestral", [](SchedulerConfig&) {}, 1},
    {"KDPM2 ancestral", "kdpm2-ancestral", karras, 2},
    {"DPM-Solver SDE", "dpm-sde", karras, 2},
    {"DPM-Solver SDE on exponential levels", "dpm-sde", exponential, 2},
    {"SDE-DPM-Solver++ 1", "dpm-multistep", [](SchedulerConfig& c) { sde_dpm(c, 1); }, 1},
    {"SDE-DPM-Solver++ 2", "dpm-multistep", [](SchedulerConfig& c) { sde_dpm(c, 2); }, 2},
    {"EDM SDE 1", "edm-dpm",
     [](SchedulerConfig& c) {
       c.solver_order = 1;
       c.algorithm_type = "sde-dpmsolver++";
     },
     1, ProcessKind::kEdm},
    {"EDM SDE 2", "edm-dpm",
     [](SchedulerConfig& c) {
       c.solver_order = 2;
       c.algorithm_type = "sde-dpmsolver++";
     },
     2, ProcessKind::kEdm},
};

// |variance - exact| of x at the last level, from the exact law at the first.
double variance_error(const OrderCase& c, int steps) {
  const GaussianData data;
  const Solver solver = solver_of(c, steps);
  const SolverRow &first = solver.rows.front(), &last = solver.rows.back();
  const double from = data.deviation(first.mean, first.std);
  const HostLaw law = law_before(solver, data.denoiser(), first.mean * data.mean, from * from,
                                 solver.rows.size() - 1);
  EXPECT_NEAR(law.mean[0], last.mean * data.mean, 1e-9) << c.name;
  const double exact = data.deviation(last.mean, last.std);
  return std::fabs(law.covariance[0][0] - exact * exact);
}

TEST(SolverOrder, SdesConvergeInLawWithTheirOrder) {
  for (const OrderCase& c : kSdes)
    EXPECT_NEAR(order_between(variance_error(c, kSteps), variance_error(c, 2 * kSteps)), c.order,
                0.2)
        << c.name;
}

// A consistency function maps every level's law to the data's (at σ_min) exactly, so any number of
// steps samples it exactly (Song et al. 2023, theorem 1 without error).
TEST(ConsistencySampling, IsExactWithTheExactConsistencyFunction) {
  const GaussianData data;
  SchedulerConfig config;
  config.process = ProcessKind::kConsistency;
  config.sigma_min = 0.002;
  config.sigma_max = 80;
  config.num_train_timesteps = 40;
  config.clip_denoised = false;
  for (int steps : {1, 2, 7}) {
    const Solver solver =
        make_solver("consistency", config, {.steps = steps, .arithmetic = Arithmetic::kDouble})
            .value();
    const double least = data.deviation(1, config.sigma_min);
    const Estimate function = [&](double x, const SolverRow& row) {
      return data.mean + (x - data.mean) * least / data.deviation(1, row.std);
    };
    const double from = data.deviation(1, config.sigma_max);
    const HostLaw law = law_before(solver, function, data.mean, from * from, solver.rows.size());
    EXPECT_NEAR(law.mean[0], data.mean, 1e-12) << steps;
    // Noise is added to data that carry σ_min already.
    EXPECT_NEAR(law.covariance[0][0], least * least, 1e-12) << steps;
  }
}

// A multistep method that begins in the middle has no past there: its first step is Euler's.
TEST(SolverOrder, MultistepMethodsBeginAnywhereAtFirstOrder) {
  const OrderCase lms{"LMS", "lms", karras, 4}, euler{"Euler", "euler", karras, 1};
  SolverOptions options{.steps = 10, .first_step = 6, .arithmetic = Arithmetic::kDouble};
  const Solver late = make_solver("lms", config_of(lms), options).value();
  const Solver plain = make_solver("euler", config_of(euler), options).value();
  ASSERT_EQ(late.rows.size(), 4u);
  EXPECT_NEAR(late.rows[0].x.epsilon, plain.rows[0].x.epsilon, 1e-12);
  EXPECT_EQ(late.rows[0].x.states, Affine{}.states);
  EXPECT_NE(late.rows[1].x.states, Affine{}.states);
}

TEST(SolverOrder, TwoEvaluationMethodsBeginAtTheFirstOfThem) {
  const OrderCase heun{"Heun", "heun", karras, 2};
  const Solver whole = make_solver("heun", config_of(heun), {.steps = 10}).value();
  const Solver tail = make_solver("heun", config_of(heun), {.steps = 10, .first_step = 7}).value();
  ASSERT_EQ(whole.steps(), 19);
  ASSERT_EQ(tail.steps(), 5);
  EXPECT_EQ(tail.rows.front().std, whole.rows[14].std);
  EXPECT_FALSE(make_solver("heun", config_of(heun), {.steps = 10, .first_step = 10}).ok());
}

TEST(SigmaSolvers, RefuseWhatTheyDoNotKnow) {
  const auto refused = [](const char* sampler, ProcessKind process, auto change,
                          SolverOptions options, const char* part) {
    SchedulerConfig config;
    config.process = process;
    config.timestep_spacing = "linspace";
    if (process == ProcessKind::kFlow) config.prediction_type = "flow_prediction";
    change(config);
    const Result<Solver> solver = make_solver(sampler, config, options);
    ASSERT_FALSE(solver.ok()) << sampler << ": " << part;
    EXPECT_NE(solver.error().message.find(part), std::string::npos) << solver.error().message;
  };
  const auto same = [](SchedulerConfig&) {};
  const auto flow = ProcessKind::kFlow, edm = ProcessKind::kEdm;
  refused(
      "euler-ancestral", kDiscrete, [](auto& c) { c.prediction_type = "sample"; }, {.steps = 5},
      "prediction_type");
  refused(
      "euler", kDiscrete, [](auto& c) { c.prediction_type = "flow_prediction"; }, {.steps = 5},
      "prediction_type");
  refused(
      "euler", kDiscrete, [](auto& c) { c.interpolation_type = "cubic"; }, {.steps = 5},
      "interpolation_type");
  refused("euler", kDiscrete, same, {.steps = 5, .s_churn = -1}, "s_churn");
  refused("lms", kDiscrete, same, {.steps = 5, .order = 5}, "order");
  refused(
      "edm-dpm", edm,
      [](auto& c) {
        c.solver_order = 3;
        c.algorithm_type = "sde-dpmsolver++";
      },
      {.steps = 5}, "solver_order");
  refused(
      "edm-euler", edm, [](auto& c) { c.prediction_type = "sample"; }, {.steps = 5},
      "prediction_type");
  refused(
      "edm-euler", edm, [](auto& c) { c.sigma_schedule = "cosine"; }, {.steps = 5},
      "sigma_schedule");
  refused(
      "flow-euler", flow, [](auto& c) { c.use_dynamic_shifting = true; }, {.steps = 5}, "mu");
  refused("flow-euler", flow, same, {.steps = 5, .mu = 1.0}, "use_dynamic_shifting");
  refused("lcm", kDiscrete, same, {.steps = 51}, "original_inference_steps");
  refused(
      "consistency", ProcessKind::kConsistency, [](auto& c) { c.num_train_timesteps = 40; },
      {.steps = 41}, "num_train_timesteps");
  refused("unclip", kDiscrete, same, {.steps = 5}, "squaredcos_cap_v2");
}

}  // namespace
}  // namespace ito::test
