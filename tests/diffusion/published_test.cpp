// One long file, because most of it is one table of rows.
// Whole sampling loops whose results were published with diffusers' test-suite: sums and means of
// absolute values for a closed-form model, a fixed start and PyTorch's random numbers of seed 0.
// One row a loop; the tolerances are those upstream tests with.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "diffusion/predictor_corrector.h"
#include "diffusion/samplers.h"
#include "diffusion/torch_rng.h"
#include "graph/builder.h"
#include "tests/diffusion/loop.h"

namespace ito::test {
namespace {

using Config = SchedulerConfig;

// What the loop begins with and how it feeds the network.
enum class Feed : uint8_t {
  kPlain,   // the start as it is; the network sees what the solver says
  kPrior,   // the start times the prior's deviation; the network sees what the solver says
  kScaled,  // as kPrior, and each step is given the network's input in place of the sample
  kBare,    // the start as it is; the network sees the sample itself
};

struct PublishedLoop {
  const char* name;
  const char* sampler;
  Feed feed;
  void (*change)(Config&);
  SolverOptions options;  // first_step above 0: begins at the start noised by the reversed start
  double sum;             // negative: published as a mean only
  double mean;
  ProcessKind process = ProcessKind::kDiscrete;
};

// Settings of upstream's tests.
void chain(Config&) {}
void chain_v(Config& c) { c.prediction_type = "v_prediction"; }
// Solvers in σ: 1100 timesteps by linspace.
void sigmas(Config& c) {
  c.num_train_timesteps = 1100;
  c.timestep_spacing = "linspace";
  c.clip_sample = false;
}
void sigmas_v(Config& c) {
  sigmas(c);
  c.prediction_type = "v_prediction";
}
void sigmas_karras(Config& c) {
  sigmas(c);
  c.use_karras_sigmas = true;
}
void pndm(Config& c) { c.set_alpha_to_one = false; }
// Solvers in log-SNR: 1000 timesteps by linspace, ending at the chain's least σ.
void log_snr(Config& c) {
  c.timestep_spacing = "linspace";
  c.lower_order_final = false;
  c.final_sigmas_type = "sigma_min";
}
void log_snr_v(Config& c) {
  log_snr(c);
  c.prediction_type = "v_prediction";
}
void log_snr_karras(Config& c) {
  log_snr(c);
  c.use_karras_sigmas = true;
}
void unipc(Config& c) {
  log_snr(c);
  c.lower_order_final = true;
  c.solver_type = "bh2";
}
void deis(Config& c) {
  c.timestep_spacing = "linspace";
  c.algorithm_type = "deis";
  c.solver_type = "logrho";
}
void edm(Config& c) {
  c.sigma_min = 0.002;
  c.sigma_max = 80;
  c.clip_sample = false;
}
void edm_dpm(Config& c) {
  edm(c);
  c.lower_order_final = false;
  c.final_sigmas_type = "sigma_min";
}
void unclip(Config& c) {
  c.beta_schedule = "squaredcos_cap_v2";
  c.variance_type = "fixed_small_log";
}
void lcm(Config& c) {
  c.beta_start = 0.00085;
  c.beta_end = 0.012;
  c.beta_schedule = "scaled_linear";
  c.clip_sample = false;
}
void consistency(Config& c) {
  edm(c);
  c.num_train_timesteps = 201;
}

const std::vector<PublishedLoop> kLoops = {
    {"DDPM", "ddpm", Feed::kPlain, chain, {.steps = 1000}, 258.9606, 0.3372},
    {"DDPM, v", "ddpm", Feed::kPlain, chain_v, {.steps = 1000}, 202.0296, 0.2631},
    {"DDPM from a noised image",
     "ddpm",
     Feed::kPlain,
     chain,
     {.steps = 1000, .first_step = 998},
     387.9466,
     0.5051},
    {"DDIM", "ddim", Feed::kPlain, chain, {.steps = 10}, 172.0067, 0.223967},
    {"DDIM, v", "ddim", Feed::kPlain, chain_v, {.steps = 10}, 52.5302, 0.0684},
    {"DDIM from a noised image",
     "ddim",
     Feed::kPlain,
     chain,
     {.steps = 10, .first_step = 8},
     354.5418,
     0.4616},
    {"DDIM, set_alpha_to_one",
     "ddim",
     Feed::kPlain,
     [](Config& c) { c.beta_start = 0.01; },
     {.steps = 10},
     149.8295,
     0.1951},
    {"DDIM, not set_alpha_to_one",
     "ddim",
     Feed::kPlain,
     [](Config& c) {
       c.beta_start = 0.01;
       c.set_alpha_to_one = false;
     },
     {.steps = 10},
     149.0784,
     0.1941},
    {"DDIM inverse", "ddim-inverse", Feed::kPlain, chain, {.steps = 10}, 671.6816, 0.8746},
    {"DDIM inverse, v", "ddim-inverse", Feed::kPlain, chain_v, {.steps = 10}, 1394.2185, 1.8154},
    {"unCLIP", "unclip", Feed::kPlain, unclip, {.steps = 1000}, 252.2682495, 0.3284743},
    {"unCLIP, 25 steps", "unclip", Feed::kPlain, unclip, {.steps = 25}, 258.2044983, 0.3362038},
    {"LCM, one step", "lcm", Feed::kPlain, lcm, {.steps = 1}, 18.7097, 0.0244},
    {"LCM", "lcm", Feed::kPlain, lcm, {.steps = 10}, 197.7616, 0.2575},
    {"PNDM", "pndm", Feed::kPlain, pndm, {.steps = 10}, 198.1318, 0.2580},
    {"PNDM, v",
     "pndm",
     Feed::kPlain,
     [](Config& c) {
       pndm(c);
       c.prediction_type = "v_prediction";
     },
     {.steps = 10},
     67.3986,
     0.0878},
    {"PNDM, set_alpha_to_one",
     "pndm",
     Feed::kPlain,
     [](Config& c) { c.beta_start = 0.01; },
     {.steps = 10},
     230.0399,
     0.2995},
    {"PNDM, not set_alpha_to_one",
     "pndm",
     Feed::kPlain,
     [](Config& c) {
       pndm(c);
       c.beta_start = 0.01;
     },
     {.steps = 10},
     186.9482,
     0.2434},
    {"DPM-Solver++", "dpm-multistep", Feed::kPlain, log_snr, {.steps = 10}, -1, 0.3301},
    {"DPM-Solver++ from a noised image",
     "dpm-multistep",
     Feed::kPlain,
     log_snr,
     {.steps = 10, .first_step = 5},
     318.4111,
     0.4146},
    {"DPM-Solver++, thresholding",
     "dpm-multistep",
     Feed::kPlain,
     [](Config& c) {
       log_snr(c);
       c.thresholding = true;
       c.dynamic_thresholding_ratio = 0.87;
       c.sample_max_value = 0.5;
     },
     {.steps = 10},
     -1,
     1.1364},
    {"DPM-Solver++, v", "dpm-multistep", Feed::kPlain, log_snr_v, {.steps = 10}, -1, 0.2251},
    {"DPM-Solver++, v, Karras",
     "dpm-multistep",
     Feed::kPlain,
     [](Config& c) {
       log_snr_v(c);
       c.use_karras_sigmas = true;
     },
     {.steps = 10},
     -1,
     0.2096},
    {"DPM-Solver++, v, Lu",
     "dpm-multistep",
     Feed::kPlain,
     [](Config& c) {
       log_snr_v(c);
       c.use_lu_lambdas = true;
     },
     {.steps = 10},
     -1,
     0.1554},
    {"DPM-Solver++ singlestep", "dpm-singlestep", Feed::kPlain, log_snr, {.steps = 10}, -1, 0.2791},
    {"DPM-Solver++ singlestep, Karras",
     "dpm-singlestep",
     Feed::kPlain,
     log_snr_karras,
     {.steps = 10},
     -1,
     0.2248},
    {"DPM-Solver++ singlestep, v",
     "dpm-singlestep",
     Feed::kPlain,
     log_snr_v,
     {.steps = 10},
     -1,
     0.1453},
    {"UniPC", "unipc", Feed::kPlain, unipc, {.steps = 10}, -1, 0.2464},
    {"UniPC, Karras",
     "unipc",
     Feed::kPlain,
     [](Config& c) {
       unipc(c);
       c.use_karras_sigmas = true;
     },
     {.steps = 10},
     -1,
     0.2925},
    {"UniPC, v",
     "unipc",
     Feed::kPlain,
     [](Config& c) {
       unipc(c);
       c.prediction_type = "v_prediction";
     },
     {.steps = 10},
     -1,
     0.1014},
    {"UniPC, v, Karras",
     "unipc",
     Feed::kPlain,
     [](Config& c) {
       unipc(c);
       c.prediction_type = "v_prediction";
       c.use_karras_sigmas = true;
     },
     {.steps = 10},
     -1,
     0.1966},
    {"UniPC from a noised image",
     "unipc",
     Feed::kPlain,
     unipc,
     {.steps = 10, .first_step = 8},
     315.5757,
     0.4109},
    {"DEIS", "deis", Feed::kPlain, deis, {.steps = 10}, -1, 0.23916},
    {"DEIS, v",
     "deis",
     Feed::kPlain,
     [](Config& c) {
       deis(c);
       c.prediction_type = "v_prediction";
     },
     {.steps = 10},
     -1,
     0.091},
    {"Euler", "euler", Feed::kScaled, sigmas, {.steps = 10}, 10.0807, 0.0131},
    {"Euler, v", "euler", Feed::kScaled, sigmas_v, {.steps = 10}, 0.0002, 2.2676e-06},
    {"Euler, Karras", "euler", Feed::kScaled, sigmas_karras, {.steps = 10}, 124.5230, 0.1621},
    {"Euler from a noised image",
     "euler",
     Feed::kScaled,
     sigmas,
     {.steps = 10, .first_step = 8},
     57062.9297,
     74.3007},
    {"Euler ancestral", "euler-ancestral", Feed::kScaled, sigmas, {.steps = 10}, 152.3192, 0.1983},
    {"Euler ancestral, v",
     "euler-ancestral",
     Feed::kScaled,
     sigmas_v,
     {.steps = 10},
     108.4439,
     0.1412},
    {"Euler ancestral from a noised image",
     "euler-ancestral",
     Feed::kScaled,
     sigmas,
     {.steps = 10, .first_step = 8},
     56163.0508,
     73.1290},
    {"Heun", "heun", Feed::kScaled, sigmas, {.steps = 10}, 0.1233, 0.0002},
    {"Heun, v", "heun", Feed::kScaled, sigmas_v, {.steps = 10}, 4.6934e-07, 6.1112e-10},
    {"Heun, Karras", "heun", Feed::kScaled, sigmas_karras, {.steps = 10}, 0.00015, 1.9870e-07},
    {"Heun from a noised image",
     "heun",
     Feed::kScaled,
     sigmas,
     {.steps = 10, .first_step = 8},
     75074.8906,
     97.7538},
    {"KDPM2", "kdpm2", Feed::kScaled, sigmas, {.steps = 10}, 20.4125, 0.0266},
    {"KDPM2, v", "kdpm2", Feed::kScaled, sigmas_v, {.steps = 10}, 4.6934e-07, 6.1112e-10},
    {"KDPM2 ancestral",
     "kdpm2-ancestral",
     Feed::kScaled,
     sigmas,
     {.steps = 10},
     13979.9433,
     18.2030},
    {"KDPM2 ancestral, v",
     "kdpm2-ancestral",
     Feed::kScaled,
     sigmas_v,
     {.steps = 10},
     331.8133,
     0.4320},
    {"KDPM2 ancestral from a noised image",
     "kdpm2-ancestral",
     Feed::kScaled,
     sigmas,
     {.steps = 10, .first_step = 8},
     93087.3437,
     121.2074},
    {"LMS", "lms", Feed::kScaled, sigmas, {.steps = 10}, 1006.388, 1.31},
    {"LMS, v", "lms", Feed::kScaled, sigmas_v, {.steps = 10}, 0.0017, 2.2676e-06},
    {"LMS, Karras", "lms", Feed::kScaled, sigmas_karras, {.steps = 10}, 3812.9927, 4.9648},
    {"EDM Euler",
     "edm-euler",
     Feed::kPrior,
     edm,
     {.steps = 10},
     34.1855,
     0.0445,
     ProcessKind::kEdm},
    {"EDM DPM-Solver++",
     "edm-dpm",
     Feed::kBare,
     edm_dpm,
     {.steps = 10},
     -1,
     0.0001,
     ProcessKind::kEdm},
    {"EDM DPM-Solver++, thresholding",
     "edm-dpm",
     Feed::kBare,
     [](Config& c) {
       edm_dpm(c);
       c.thresholding = true;
       c.dynamic_thresholding_ratio = 0.87;
       c.sample_max_value = 0.5;
     },
     {.steps = 10},
     -1,
     0.0080,
     ProcessKind::kEdm},
    {"EDM DPM-Solver++, v",
     "edm-dpm",
     Feed::kBare,
     [](Config& c) {
       edm_dpm(c);
       c.prediction_type = "v_prediction";
     },
     {.steps = 10},
     -1,
     0.0092,
     ProcessKind::kEdm},
    {"EDM DPM-Solver++ from a noised image",
     "edm-dpm",
     Feed::kBare,
     edm_dpm,
     {.steps = 10, .first_step = 5},
     8.1661,
     0.0106,
     ProcessKind::kEdm},
    {"consistency, one step",
     "consistency",
     Feed::kPrior,
     consistency,
     {.steps = 1},
     192.7614,
     0.2510,
     ProcessKind::kConsistency},
    {"consistency, two steps",
     "consistency",
     Feed::kPrior,
     consistency,
     {.timesteps = {106, 0}},
     347.6357,
     0.4527,
     ProcessKind::kConsistency},
    {"consistency from a noised image",
     "consistency",
     Feed::kPrior,
     consistency,
     {.steps = 10, .first_step = 8},
     763.9186,
     0.9947,
     ProcessKind::kConsistency},
};

// x[b,c,h,w] = k/768 with k = ((c 8 + h) 8 + w) 4 + b, channels last.
HostValue published_start(bool reversed) {
  HostValue x{{4, 8, 8, 3}, std::vector<double>(768)};
  for (size_t b = 0; b < 4; ++b)
    for (size_t h = 0; h < 8; ++h)
      for (size_t w = 0; w < 8; ++w)
        for (size_t c = 0; c < 3; ++c) {
          const double k = static_cast<double>(((c * 8 + h) * 8 + w) * 4 + b);
          x.data[((b * 8 + h) * 8 + w) * 3 + c] = (reversed ? 767 - k : k) / 768;
        }
  return x;
}

Tensor published_model(Tensor x, Tensor t) {
  const Tensor per_image = reshape(t, {x.dim(0), 1, 1, 1});
  return x * (per_image / (per_image + 1));
}

HostValue next_noise(TorchGenerator& generator) {
  std::vector<float> noise(768);
  generator.randn(noise);
  return {{4, 8, 8, 3}, to_channels_last({noise.begin(), noise.end()}, 4, 3, 8, 8)};
}

struct Totals {
  double sum = 0;
  double mean = 0;
};

Totals totals_of(const HostValue& x) {
  Totals totals;
  for (double value : x.data) totals.sum += std::fabs(value);
  totals.mean = totals.sum / 768;
  return totals;
}

HostValue loop_start(const PublishedLoop& loop, const Solver& solver) {
  HostValue x = published_start(false);
  if (loop.feed == Feed::kPrior || loop.feed == Feed::kScaled)
    for (double& value : x.data) value *= solver.init_noise_sigma;
  if (loop.options.first_step == 0) return x;
  const SolverRow& row = solver.rows[0];
  const HostValue noise = published_start(true);
  for (size_t i = 0; i < 768; ++i) x.data[i] = row.mean * x.data[i] + row.std * noise.data[i];
  return x;
}

// Noise of each step that takes any is torch's next randn(4,3,8,8).
Totals run(const PublishedLoop& loop, Solver solver) {
  HostValue x = loop_start(loop, solver);
  std::vector<double> scales(solver.rows.size(), 1);
  for (size_t i = 0; i < solver.rows.size(); ++i) {
    double& scale = solver.rows[i].input_scale;
    if (loop.feed == Feed::kScaled) scales[i] = scale;
    if (loop.feed == Feed::kScaled || loop.feed == Feed::kBare) scale = 1;
  }
  const MethodOptions options{.shape = x.shape, .noise_input = true};
  const Program program = method_program(solver_method(solver, published_model), options);
  Externals externals = start(solver, options.shape, {0, 1, 2, 3});
  externals["x"] = std::move(x);
  TorchGenerator generator(0);
  for (size_t i = 0; i < solver.rows.size(); ++i) {
    externals["noise.0"] = {options.shape, std::vector<double>(768, 0.0)};
    if (solver.uses_noise(i)) externals["noise.0"] = next_noise(generator);
    for (double& value : externals["x"].data) value *= scales[i];
    replay(program, externals);
  }
  return totals_of(externals["x"]);
}

class Published : public testing::TestWithParam<PublishedLoop> {};

TEST_P(Published, LoopHasItsSumAndMean) {
  const PublishedLoop& loop = GetParam();
  Config config;
  config.process = loop.process;
  loop.change(config);
  const Result<Solver> solver = make_solver(loop.sampler, config, loop.options);
  ASSERT_TRUE(solver.ok()) << solver.error().message;
  const Totals totals = run(loop, *solver);
  if (loop.sum >= 0) {
    EXPECT_NEAR(totals.sum, loop.sum, 1e-2);
  }
  EXPECT_NEAR(totals.mean, loop.mean, 1e-3);
}

INSTANTIATE_TEST_SUITE_P(Loops, Published, testing::ValuesIn(kLoops), [](const auto& info) {
  std::string name;
  for (const char c : std::string(info.param.name))
    if (std::isalnum(static_cast<unsigned char>(c))) name += c;
  return name;
});

TEST(PublishedValues, DdpmBeginsItsLastTwoStepsAtTimestepOne) {
  const Solver solver = make_solver("ddpm", {}, {.steps = 1000, .first_step = 998}).value();
  EXPECT_EQ(solver.timesteps(), (std::vector<double>{1, 0}));
}

// unCLIP's learned variances: v = 0.5 between log β̃ and log β.
TEST(PublishedValues, UnclipLearnedVariances) {
  Config config;
  unclip(config);
  config.variance_type = "learned_range";
  const Solver solver = make_solver("unclip", config, {.steps = 1000}).value();
  const std::pair<size_t, double> published[] = {
      {1, -10.1712790}, {487, -5.7998052}, {999, -0.0010011}};
  for (const auto& [t, log_variance] : published) {
    const SolverRow& row = solver.rows[999 - t];
    EXPECT_EQ(row.t, t);
    EXPECT_NEAR(0.75 * row.log_variance_high + 0.25 * row.log_variance_low, log_variance, 1e-5);
  }
}

// The score-SDE VE scheduler in three steps with one corrector move each. Upstream's loop asks the
// network at the first three levels of a grid of 2000 while it steps over a grid of three.
TEST(PublishedValues, ScoreSdeVe) {
  const Sde sde{.kind = Sde::Kind::kVe, .sigma_min = 0.01, .sigma_max = 1348};
  constexpr double kEnd = 1e-5;
  const PredictorCorrectorOptions options{.predictor = Predictor::kReverseDiffusion,
                                          .corrector = Corrector::kLangevin,
                                          .steps = 3,
                                          .corrector_steps = 1,
                                          .snr = 0.15,
                                          .end_time = kEnd,
                                          .denoise = false,
                                          .norm_over = NormOver::kBatch};
  const ScoreFunction score = [&](Tensor x, Tensor t) {
    return published_model(x, sde.std(1 - (1 - t) * (2.0 / 1999)));
  };
  const Method method = predictor_corrector(sde, score, options).value();
  ASSERT_EQ(method.draws, 2);
  const MethodOptions run{.shape = {4, 8, 8, 3}, .noise_input = true};
  const Program program = method_program(method, run);
  Externals externals{{"x", published_start(false)}, {"step", scalar_value(0)}};
  TorchGenerator generator(0);
  for (int i = 0; i < method.steps; ++i) {
    for (int draw = 0; draw < method.draws; ++draw)
      externals["noise." + std::to_string(draw)] = next_noise(generator);
    replay(program, externals);
  }
  // numpy.isclose: 1e-5 relative.
  EXPECT_NEAR(totals_of(externals["x"]).sum, 14372758528.0, 143728);
}

}  // namespace
}  // namespace ito::test
