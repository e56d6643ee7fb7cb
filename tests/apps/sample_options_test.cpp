// What `ito sample` can be told beside a sampler: where it begins, what guides it, where its noise
// comes from, and whose scheduler it takes when nobody says.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "api/sampling.h"
#include "io/image.h"
#include "io/json.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"
#include "tests/nn/torch_random.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class SampleOptionsTest : public VulkanTest {
 protected:
  static void SetUpTestSuite() {
    VulkanTest::SetUpTestSuite();
    scratch_ = new Scratch;
    SchedulerConfig scheduler;
    scheduler.sampler = "euler";
    scheduler.timestep_spacing = "linspace";
    scheduler.clip_sample = false;
    write_tiny_model(*scratch_ / "model", scheduler);
  }
  static void TearDownTestSuite() {
    delete scratch_;
    VulkanTest::TearDownTestSuite();
  }

  static SampleOptions options_for(const std::string& sampler, int steps) {
    SampleOptions options;
    options.sampler = sampler;
    options.steps = steps;
    options.batch = 2;
    return options;
  }
  static Result<std::vector<float>> sample(const SampleOptions& options, uint32_t label = 0) {
    ITO_ASSIGN(const Model model, load_model(*scratch_ / "model"));
    ITO_ASSIGN(const auto session, SamplingSession::create(device(), model, options));
    const std::vector<SampleRequest> requests = {{.seed = 1, .label = label},
                                                 {.seed = 2, .label = label}};
    return session->sample(requests);
  }
  static double distance(const std::vector<float>& a, const std::vector<float>& b) {
    double most = 0;
    for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(double{a[i]} - b[i]));
    return most;
  }

  inline static Scratch* scratch_ = nullptr;
};

TEST_F(SampleOptionsTest, TheFoldersOwnSchedulerIsTaken) {
  const Path out = *scratch_ / "own.png";
  const Outcome outcome = run_ito({"sample", "--model", (*scratch_ / "model").string(), "--steps",
                                   "2", "--num", "1", "--out", out.string()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(says(outcome.err, "euler")) << outcome.err;
  const Json settings = read_png_settings(out).value();
  EXPECT_EQ(settings.at("sampler"), "euler");
  EXPECT_EQ(settings.at("churn"), 0);
  EXPECT_FALSE(settings.contains("sigmas"));  // the scheduler's own
  // An alias is kept as the row's name, a preset's class is read as its own defaults say.
  ASSERT_EQ(run_ito({"sample", "--model", (*scratch_ / "model").string(), "--sampler", "dpmpp_2m",
                     "--sigmas", "karras", "--steps", "2", "--num", "1", "--out", out.string()})
                .code,
            0);
  EXPECT_EQ(read_png_settings(out).value().at("sampler"), "dpm++2m");
  EXPECT_EQ(read_png_settings(out).value().at("sigmas"), "karras");
}

TEST_F(SampleOptionsTest, AComponentsFolderFindsItsSchedulerOrSaysThatItHasNone) {
  const Path out = *scratch_ / "component.png", bare = *scratch_ / "bare";
  const auto run = [&](const Path& model) {
    return run_ito(
        {"sample", "--model", model.string(), "--steps", "2", "--num", "1", "--out", out.string()});
  };
  ASSERT_EQ(run(*scratch_ / "model" / "unet").code, 0);
  EXPECT_EQ(read_png_settings(out).value().at("sampler"), "euler");
  std::filesystem::create_directories(bare);
  std::filesystem::copy(*scratch_ / "model" / "unet", bare / "net");
  const Outcome none = run(bare / "net");
  EXPECT_EQ(none.code, 1);
  EXPECT_TRUE(says(none.err, "has no scheduler")) << none.err;
  // What is not there is not shown as if it were.
  const Outcome shown = run_ito({"inspect", (bare / "net").string()});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_TRUE(says(shown.err, "has no scheduler")) << shown.err;
  EXPECT_FALSE(says(shown.out, "Scheduler")) << shown.out;
  const Json json =
      parse_json(run_ito({"inspect", (bare / "net").string(), "--json"}).out, "").value();
  EXPECT_FALSE(json.contains("scheduler"));
  EXPECT_TRUE(json.contains("unet"));
}

// The last of fifty steps starts at timestep 0, where ᾱ = 0.9999: noise of deviation 0.01.
TEST_F(SampleOptionsTest, LittleStrengthKeepsThePicture) {
  SampleOptions options = options_for("ddim", 50);
  InitialImage picture{.picture = {}, .strength = 0.02};
  for (int i = 0; i < 64; ++i) picture.picture.mean.push_back(0.8f * std::sin(0.3f * float(i)));
  options.initial = picture;
  ASSERT_OK_AND_ASSIGN(const std::vector<float> near, sample(options));
  std::vector<float> both = picture.picture.mean;
  both.insert(both.end(), picture.picture.mean.begin(), picture.picture.mean.end());
  EXPECT_LT(distance(near, both), 0.1);
  options.initial->strength = 1;
  ASSERT_OK_AND_ASSIGN(const std::vector<float> far, sample(options));
  EXPECT_GT(distance(far, both), 0.3);
  options.initial->strength = 0.001;
  EXPECT_FALSE(sample(options).ok());  // no step is left
  options.sampler = "ode";
  EXPECT_FALSE(sample(options).ok());
}

// Leading spacing visits exactly these; the list alone says how many steps there are.
TEST_F(SampleOptionsTest, AListOfTimestepsIsThatOfTheSpacing) {
  SampleOptions spaced = options_for("ddim", 4), listed = options_for("ddim", 0);
  spaced.spacing = "leading";
  listed.timesteps = "750,500,250,0";
  ASSERT_OK_AND_ASSIGN(const std::vector<float> a, sample(spaced));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> b, sample(listed));
  EXPECT_EQ(a, b);
  for (const char* wrong : {"750,", "a", "750 500", "500,750"}) {
    listed.timesteps = wrong;
    EXPECT_FALSE(sample(listed).ok()) << wrong;
  }
  listed.timesteps = "750,0";
  listed.steps = 3;
  const auto refused = sample(listed);
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(says(refused.error().message, "--steps")) << refused.error().message;
}

TEST_F(SampleOptionsTest, ClassifierFreeGuidanceMixesTheTwoPredictions) {
  SampleOptions options = options_for("ddim", 3);
  ASSERT_OK_AND_ASSIGN(const std::vector<float> conditional, sample(options, 1));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> none, sample(options, 2));
  options.classifier_free = ClassifierFree{.scale = 1};
  ASSERT_OK_AND_ASSIGN(const std::vector<float> one, sample(options, 1));
  EXPECT_LT(distance(one, conditional), 1e-5);
  options.classifier_free->scale = 0;  // the last class alone
  ASSERT_OK_AND_ASSIGN(const std::vector<float> zero, sample(options, 1));
  EXPECT_LT(distance(zero, none), 1e-5);
  options.classifier_free->null_class = 1;
  ASSERT_OK_AND_ASSIGN(const std::vector<float> own, sample(options, 1));
  EXPECT_LT(distance(own, conditional), 1e-5);
  options.classifier_free = ClassifierFree{.scale = 4, .rescale = 0.7};
  ASSERT_OK_AND_ASSIGN(const std::vector<float> strong, sample(options, 1));
  EXPECT_GT(distance(strong, conditional), 1e-3);
  options.classifier_free->null_class = 3;
  EXPECT_FALSE(sample(options).ok());
}

// What the program samples is what a session with these options samples.
TEST_F(SampleOptionsTest, TheCommandsGuidanceIsTheSessions) {
  SampleOptions options = options_for("ddim", 3);
  const auto command = [&](const std::vector<std::string>& more) {
    const Path out = *scratch_ / "guided.safetensors";
    std::filesystem::remove(out);
    const Outcome outcome =
        run_ito(with({"sample", "--model", (*scratch_ / "model").string(), "--sampler", "ddim",
                      "--steps", "3", "--seeds", "1,2", "--class", "1", "--out", out.string()},
                     more));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return to_floats(read_safetensors(out).value().tensors.at("images"));  // of one channel
  };
  options.classifier_free = ClassifierFree{.scale = 4, .null_class = 0, .rescale = 0.7};
  ASSERT_OK_AND_ASSIGN(const std::vector<float> own, sample(options, 1));
  const std::vector<float> guided =
      command({"--guidance-scale", "4", "--null-class", "0", "--guidance-rescale", "0.7"});
  ASSERT_EQ(guided.size(), own.size());
  EXPECT_LT(distance(guided, own), 1e-5);
  EXPECT_GT(distance(guided, command({"--guidance-scale", "4", "--null-class", "0"})), 1e-3);
  EXPECT_GT(distance(guided, command({"--guidance-scale", "4", "--guidance-rescale", "0.7"})),
            1e-3);
}

TEST_F(SampleOptionsTest, TheCommandWritesPreviewsBesideTheGrid) {
  const Path folder = *scratch_ / "previews";
  std::filesystem::create_directories(folder);
  const Outcome outcome =
      run_ito({"sample", "--model", (*scratch_ / "model").string(), "--sampler", "ddim", "--steps",
               "5", "--num", "2", "--preview-every", "2", "--out", (folder / "grid.png").string()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  ASSERT_OK_AND_ASSIGN(const Image grid, read_image(folder / "grid.png"));
  int previews = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename() == "grid.png") continue;
    ++previews;
    ASSERT_OK_AND_ASSIGN(const Image preview, read_image(entry.path()));
    EXPECT_EQ(preview.h, grid.h);
    EXPECT_EQ(preview.w, grid.w);
    EXPECT_NE(preview.pixels, grid.pixels);
  }
  EXPECT_EQ(previews, 2);  // after steps 2 and 4
}

TEST_F(SampleOptionsTest, PreviewsAreEstimatesOfTheImages) {
  SampleOptions options = options_for("ddim", 6);
  options.previews = true;
  ASSERT_OK_AND_ASSIGN(const Model model, load_model(*scratch_ / "model"));
  ASSERT_OK_AND_ASSIGN(const auto session, SamplingSession::create(device(), model, options));
  std::vector<int> steps;
  ASSERT_TRUE(session
                  ->preview(2,
                            [&](int step, const std::vector<float>& images) {
                              steps.push_back(step);
                              EXPECT_EQ(images.size(), 64u);
                              for (float value : images) EXPECT_LT(std::fabs(value), 1e4f);
                            })
                  .ok());
  ASSERT_TRUE(session->sample(std::vector<SampleRequest>{{.seed = 3}}).ok());
  EXPECT_EQ(steps, (std::vector<int>{2, 4}));
}

// diffusers' own test of its pipelines: weights and noise from seed 0, two steps; it states the
// blue channel's lower right corner.
TEST_F(SampleOptionsTest, TorchSeedsGiveTheImagesOfDiffusers) {
  UNet2DConfig config;
  config.sample_size = std::array<int, 2>{8, 8};
  config.block_out_channels = {4, 8};
  config.layers_per_block = 1;
  config.norm_num_groups = 4;
  config.down_block_types = {"DownBlock2D", "AttnDownBlock2D"};
  config.up_block_types = {"AttnUpBlock2D", "UpBlock2D"};
  Model model;
  ASSERT_OK_AND_ASSIGN(model.network, unet2d_network(config));
  ASSERT_EQ(model.network.set().count(), 11767);
  TorchRandom weights(0);
  model.weights = torch_parameters(model.network.set(), weights);
  struct Case {
    const char* sampler;
    std::array<double, 9> corner;
    double tolerance;  // the figures' own digits; float32 there and here
  };
  for (const Case& c :
       {Case{"ddpm", {0, .9996672, .00329116, 1, .9995991, 1, .0060907, .00115037, 0}, 1e-4},
        Case{"ddim", {0, .9979, 0, .9999, .9986, .9991, 7.106e-4, 0, 0}, 1e-3}}) {
    SampleOptions options = options_for(c.sampler, 2);
    options.batch = 1;
    options.random = RandomSource::kTorch;
    ASSERT_OK_AND_ASSIGN(const auto session, SamplingSession::create(device(), model, options));
    ASSERT_OK_AND_ASSIGN(const std::vector<float> x,
                         session->sample(std::vector<SampleRequest>{{.seed = 0}}));
    for (size_t i = 0; i < 3; ++i) {
      for (size_t j = 0; j < 3; ++j) {
        const double value = std::clamp(x[((5 + i) * 8 + 5 + j) * 3 + 2] / 2 + 0.5, 0., 1.);
        EXPECT_NEAR(value, c.corner[i * 3 + j], c.tolerance) << c.sampler << " " << i << j;
      }
    }
  }
  // One step to σ = 0 draws noise and uses none.
  SampleOptions last = options_for("ddim", 1);
  last.eta = 1;
  last.random = RandomSource::kTorch;
  ASSERT_OK_AND_ASSIGN(const auto single, SamplingSession::create(device(), model, last));
  EXPECT_TRUE(single->sample(std::vector<SampleRequest>{{.seed = 0}}).ok());
}

TEST_F(SampleOptionsTest, PrecisionChangesTheImagesALittleAndIsKept) {
  if (!device().caps().shader_float16) GTEST_SKIP() << "the device has no 16-bit floats";
  SampleOptions options = options_for("ddim", 4);
  ASSERT_OK_AND_ASSIGN(const std::vector<float> exact, sample(options));
  options.multiply = DType::kF16;
  ASSERT_OK_AND_ASSIGN(const std::vector<float> halves, sample(options));
  EXPECT_NE(halves, exact);
  EXPECT_LT(distance(halves, exact), 0.05);
  const Path out = *scratch_ / "halves.png";
  const std::vector<std::string> command = {
      "sample",      "--model", (*scratch_ / "model").string(),
      "--sampler",   "ddim",    "--steps",
      "2",           "--num",   "1",
      "--precision", "fp16",    "--out",
      out.string()};
  const Outcome outcome = run_ito(command);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(read_png_settings(out).value().at("precision"), "fp16");
  options = options_for("ode", 0);
  options.multiply = DType::kF16;
  const auto refused = sample(options);
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(says(refused.error().message, "--precision")) << refused.error().message;
}

}  // namespace
}  // namespace ito::test
