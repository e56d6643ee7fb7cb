// Whole sampling loops whose results were published with diffusers' test-suite: sums and means of
// absolute values for a closed-form model, a fixed start and PyTorch's random numbers of seed 0.
#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/samplers.h"
#include "diffusion/torch_rng.h"
#include "graph/builder.h"
#include "tests/diffusion/loop.h"

namespace ito::test {
namespace {

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

struct Totals {
  double sum = 0;
  double mean = 0;
};

// Runs the loop from `x`; noise of each step that takes any is torch's next randn(4,3,8,8).
Totals run(const Solver& sampler, HostValue x) {
  const MethodOptions options{.shape = x.shape, .noise_input = true};
  const Program program = method_program(solver_method(sampler, published_model), options);
  Externals externals{{"x", std::move(x)}, {"step", scalar_value(0)}};
  TorchGenerator generator(0);
  for (int i = 0; i < sampler.steps(); ++i) {
    std::vector<float> noise(768, 0.0f);
    if (sampler.uses_noise(static_cast<size_t>(i))) generator.randn(noise);
    externals["noise.0"] = {options.shape,
                            to_channels_last({noise.begin(), noise.end()}, 4, 3, 8, 8)};
    replay(program, externals);
  }
  Totals totals;
  for (double value : externals["x"].data) totals.sum += std::fabs(value);
  totals.mean = totals.sum / 768;
  return totals;
}

// The published start, noised to the sampler's first timestep.
HostValue noised_start(const Solver& sampler) {
  const SolverRow& row = sampler.rows[0];
  HostValue x = published_start(false);
  const HostValue noise = published_start(true);
  for (size_t i = 0; i < 768; ++i) x.data[i] = row.mean * x.data[i] + row.std * noise.data[i];
  return x;
}

// The tolerances upstream tests with.
void expect_totals(const Totals& totals, double sum, double mean) {
  EXPECT_NEAR(totals.sum, sum, 1e-2);
  EXPECT_NEAR(totals.mean, mean, 1e-3);
}

TEST(Published, DdpmEpsilon) {
  const Solver sampler = make_solver("ddpm", SchedulerConfig(), {.steps = 1000}).value();
  expect_totals(run(sampler, published_start(false)), 258.9606, 0.3372);
}

TEST(Published, DdpmV) {
  SchedulerConfig config;
  config.prediction_type = "v_prediction";
  const Solver sampler = make_solver("ddpm", config, {.steps = 1000}).value();
  expect_totals(run(sampler, published_start(false)), 202.0296, 0.2631);
}

TEST(Published, DdpmFromANoisedImage) {
  const Solver sampler = make_solver("ddpm", SchedulerConfig(), {.steps = 1000}).value().from(998);
  EXPECT_EQ(sampler.timesteps(), (std::vector<double>{1, 0}));
  expect_totals(run(sampler, noised_start(sampler)), 387.9466, 0.5051);
}

Solver ddim(const SchedulerConfig& config) {
  return make_solver("ddim", config, {.steps = 10}).value();
}

TEST(Published, Ddim) { expect_totals(run(ddim({}), published_start(false)), 172.0067, 0.223967); }

TEST(Published, DdimV) {
  SchedulerConfig config;
  config.prediction_type = "v_prediction";
  expect_totals(run(ddim(config), published_start(false)), 52.5302, 0.0684);
}

TEST(Published, DdimFromANoisedImage) {
  const Solver sampler = ddim({}).from(8);
  expect_totals(run(sampler, noised_start(sampler)), 354.5418, 0.4616);
}

TEST(Published, DdimFinalAlpha) {
  SchedulerConfig config;
  config.beta_start = 0.01;
  config.set_alpha_to_one = true;
  expect_totals(run(ddim(config), published_start(false)), 149.8295, 0.1951);
  config.set_alpha_to_one = false;
  expect_totals(run(ddim(config), published_start(false)), 149.0784, 0.1941);
}

TEST(Published, DdimInverse) {
  SchedulerConfig config;
  const SolverOptions ten{.steps = 10};
  expect_totals(run(make_solver("ddim-inverse", config, ten).value(), published_start(false)),
                671.6816, 0.8746);
  config.prediction_type = "v_prediction";
  expect_totals(run(make_solver("ddim-inverse", config, ten).value(), published_start(false)),
                1394.2185, 1.8154);
}

}  // namespace
}  // namespace ito::test
