// The same programs on a device: whole loops without a host write or read between steps, against
// the interpreter.
#include <cmath>

#include "diffusion/gaussian_mixture.h"
#include "diffusion/loss.h"
#include "diffusion/quantile.h"
#include "diffusion/samplers.h"
#include "graph/builder.h"
#include "tests/diffusion/loop.h"
#include "tests/diffusion/mixture_denoiser.h"
#include "tests/support/run_program.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

class DeviceLoop : public VulkanTest {
 protected:
  struct Model {
    Shape shape;  // of x
    Denoiser denoiser;
  };

  Result<std::unique_ptr<Executor>> executor_for(const Program& program) {
    ITO_ASSIGN(Plan plan, compile(program, device().caps()));
    ExecutorOptions options;
    options.canary = true;
    return Executor::create(device(), std::move(plan), options);
  }

  // The loop of tests/diffusion/loop.h: initial noise and all steps in one memory, one run().
  Result<std::vector<float>> sample_on_device(const Solver& sampler, const Model& model,
                                              const std::vector<uint32_t>& seeds) {
    const std::vector<uint32_t> key = {7, 11};
    ITO_ASSIGN(auto noise,
               executor_for(initial_noise_program(model.shape, sampler.init_noise_sigma)));
    ITO_TRY(noise->write("key", key));
    ITO_TRY(noise->write("image", seeds));
    ITO_TRY(noise->run());
    ITO_ASSIGN(auto loop, executor_for(method_program(solver_method(sampler, model.denoiser),
                                                      {.shape = model.shape})));
    ITO_ASSIGN(DeviceTensor x, noise->tensor("x"));
    ITO_TRY(loop->bind("x", x));
    if (loop->plan().find_external("key") >= 0) {
      ITO_TRY(loop->write("key", key));
      ITO_TRY(loop->write("image", seeds));
    }
    ITO_TRY(loop->run(static_cast<uint32_t>(sampler.steps())));
    ITO_ASSIGN(const std::vector<uint32_t> step, loop->read<uint32_t>("step"));
    EXPECT_EQ(step[0], static_cast<uint32_t>(sampler.steps()));
    return loop->read<float>("x");
  }

  static Model model_for(int64_t images, Prediction prediction, const SchedulerConfig& config) {
    GaussianMixture mixture{{0.4, 0.6}, {}, {}};
    for (double sign : {-1.0, 1.0}) {
      std::vector<double> mean, variance;
      for (int i = 0; i < 15; ++i) {
        mean.push_back(sign * (0.2 + 0.05 * i));
        variance.push_back(0.02 + 0.01 * i);
      }
      mixture.means.push_back(mean);
      mixture.variances.push_back(variance);
    }
    return {.shape = {images, 5, 1, 3},
            .denoiser = mixture_denoiser(mixture, make_schedule(config).value(), prediction)};
  }
};

TEST_F(DeviceLoop, SamplersMatchTheInterpreterPortable) {
  struct Case {
    const char *sampler, *prediction;
    double eta;
    bool thresholding;
  };
  for (const Case& c : {Case{"ddpm", "epsilon", 0, false}, Case{"ddim", "v_prediction", 0.5, false},
                        Case{"ddim", "epsilon", 0, true}}) {
    SchedulerConfig config;
    config.prediction_type = c.prediction;
    config.thresholding = c.thresholding;
    config.dynamic_thresholding_ratio = 0.8;
    config.sample_max_value = 1.5;
    const Solver sampler = make_solver(c.sampler, config, {.steps = 6, .eta = c.eta}).value();
    const Model model = model_for(3, prediction_from_name(c.prediction).value(), config);
    const std::vector<double> expected =
        sample(sampler, model.denoiser, model.shape, {0, 8, 4000000000});
    ASSERT_OK_AND_ASSIGN(const std::vector<float> found,
                         sample_on_device(sampler, model, {0, 8, 4000000000}));
    // Six float32 steps; the golden trajectories are compared to 1e-4 too.
    EXPECT_LT(relative_error({found.begin(), found.end()}, expected), 1e-4)
        << c.sampler << " " << c.prediction;
  }
}

TEST_F(DeviceLoop, BatchSplitIsBitIdentical) {
  const SchedulerConfig config;
  const Solver sampler = make_solver("ddpm", config, {.steps = 5}).value();
  const auto run = [&](const std::vector<uint32_t>& seeds) {
    return sample_on_device(
        sampler, model_for(static_cast<int64_t>(seeds.size()), Prediction::kEpsilon, config),
        seeds);
  };
  ASSERT_OK_AND_ASSIGN(const std::vector<float> whole, run({3, 1, 4, 1000000}));
  ASSERT_OK_AND_ASSIGN(std::vector<float> joined, run({3}));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> rest, run({1, 4, 1000000}));
  joined.insert(joined.end(), rest.begin(), rest.end());
  EXPECT_EQ(whole, joined);
}

TEST_F(DeviceLoop, QuantilesMatchTheInterpreter) {
  Program program;
  const Shape shape{3, 7, 5, 3};
  const Tensor x = input(*program.graph, "x", shape);
  for (double q : {0.0, 0.5, 0.9, 1.0})
    program.output("q" + std::to_string(q), quantile_of_magnitudes(abs(x), q));
  HostValue value{shape, {}};
  for (int64_t i = 0; i < shape.numel(); ++i)
    value.data.push_back(static_cast<float>(std::sin(i * 12.9898) * std::exp2(i % 23 - 12)));
  const auto expected = run_on_interpreter(program, {{"x", value}});
  ASSERT_OK(expected);
  const auto found = run_on_device(device(), program, {{"x", value}});
  ASSERT_OK(found);
  for (const auto& [name, e] : *expected)  // exact but for the interpolation
    EXPECT_LT(relative_error(found->at(name).data, e.data), 1e-7) << name;
}

TEST_F(DeviceLoop, TrainingLossAndItsGradientMatchTheInterpreter) {
  Program program;
  Graph& graph = *program.graph;
  const int64_t n = 6;
  const Shape shape{n, 3, 3, 2};
  const NoiseSchedule schedule = make_schedule(SchedulerConfig{}).value();
  const Tensor x0 = input(graph, "x0", shape);
  const Tensor weight = input(graph, "weight", {2, 2});
  const TrainingDraw draw = draw_training(shape, input(graph, "key", {2}, DType::kU32),
                                          input(graph, "image", {n}, DType::kU32),
                                          input(graph, "step", {}, DType::kU32), schedule);
  const auto model = [&](Tensor x, Tensor t) {
    return tanh(linear(x, weight)) + reshape(t, {n, 1, 1, 1}) * 1e-3;
  };
  const TrainingLoss loss = denoising_loss(
      x0, draw, schedule, model, {.prediction = Prediction::kV, .weight = LossWeight::kMinSnr});
  program.output("loss", loss.loss);
  program.output("per_image", loss.per_image);
  program.output("timestep", draw.timestep);
  program.output("gradient", grad(loss.loss, {weight})[0]);
  HostValue data{shape, {}};
  for (int64_t i = 0; i < shape.numel(); ++i) data.data.push_back(static_cast<float>(std::sin(i)));
  const HostValues inputs = {{"x0", data},
                             {"weight", {{2, 2}, {0.5, -0.25, 0.75, 1}}},
                             {"key", {{2}, {1, 2}}},
                             {"image", {{n}, {0, 1, 2, 3, 4, 5}}},
                             {"step", {{}, {77}}}};
  const auto expected = run_on_interpreter(program, inputs);
  ASSERT_OK(expected);
  const auto found = run_on_device(device(), program, inputs);
  ASSERT_OK(found);
  EXPECT_EQ(found->at("timestep").data, expected->at("timestep").data);
  for (const char* name : {"loss", "per_image", "gradient"})
    EXPECT_LT(relative_error(found->at(name).data, expected->at(name).data), 1e-5) << name;
}

}  // namespace
}  // namespace ito::test
