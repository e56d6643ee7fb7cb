// Score models as a user meets them: trained, resumed, saved, sampled and evaluated by the program.
#include "io/checkpoint.h"
#include "io/diffusers.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "tests/apps/run_ito.h"

namespace ito::test {
namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class ScoreModelTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    write_tiny_data(data());
    trained_ = run_ito(with(training(run(), 8), {"--validate", "8"}));
  }
  static void TearDownTestSuite() { delete scratch_; }
  void SetUp() override { ASSERT_EQ(trained_.code, 0) << trained_.err; }

  static Path data() { return *scratch_ / "data.npz"; }
  static Path run() { return *scratch_ / "run"; }
  static std::vector<std::string> training(const Path& out, int steps) {
    return with(tiny_training(data(), out, steps), {"--sde", "ve", "--network", "ncsnpp"});
  }
  static Outcome sample(const Path& out, const std::vector<std::string>& more) {
    return run_ito(
        with({"sample", "--model", run().string(), "--out", out.string(), "--num", "3"}, more));
  }
  static std::string state_of(const Path& folder, int step) {
    return read_file(checkpoint_folder(folder, step) / "state.safetensors").value();
  }

  inline static Scratch* scratch_ = nullptr;
  inline static Outcome trained_;
};

TEST_F(ScoreModelTest, ResumesBitForBit) {
  const Path parts = *scratch_ / "parts";
  ASSERT_EQ(run_ito(training(parts, 4)).code, 0);
  const Outcome second = run_ito(training(parts, 8));
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_EQ(state_of(parts, 8), state_of(run(), 8));
}

TEST_F(ScoreModelTest, TheFolderSaysWhatItIs) {
  EXPECT_TRUE(says(trained_.err, "largest distance")) << trained_.err;
  EXPECT_TRUE(says(trained_.err, "validation loss")) << trained_.err;
  const SchedulerConfig scheduler = read_scheduler_config(run()).value().value();
  EXPECT_EQ(scheduler.class_name, "ScoreSdeVeScheduler");
  EXPECT_GT(scheduler.sigma_max, 1);
  const UNet2DConfig unet = read_unet_config(run()).value();
  EXPECT_EQ(unet.time_embedding_type, "fourier");
  EXPECT_EQ(unet.sigma_data, 0.5);
  EXPECT_EQ(unet.in_channels, 1);
  const Outcome inspected = run_ito({"inspect", run().string()});
  EXPECT_EQ(inspected.code, 0) << inspected.err;
  EXPECT_TRUE(says(inspected.out, "sigma_max"));
}

// The raw output of the network is a score: what PyTorch's reader of the folder would compute.
TEST_F(ScoreModelTest, ForwardTakesSigma) {
  TensorFile in;
  in.tensors.emplace("sample", tensor_from_floats({1, 1, 8, 8}, std::vector<float>(64, 0.25f)));
  in.tensors.emplace("timestep", tensor_from_floats({1}, {3.5f}));
  in.tensors.emplace("class_labels", tensor_from_int64({1}, {1}));
  const Path in_path = *scratch_ / "in.safetensors", out_path = *scratch_ / "out.safetensors";
  ASSERT_TRUE(write_safetensors(in_path, in).ok());
  const Outcome outcome = run_ito(
      {"forward", "--model", run().string(), "--in", in_path.string(), "--out", out_path.string()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const TensorFile out = read_safetensors(out_path).value();
  for (float value : to_floats(out.tensors.at("out"))) EXPECT_TRUE(std::isfinite(value));
}

TEST_F(ScoreModelTest, SamplesDoNotDependOnTheBatch) {
  const std::vector<std::vector<std::string>> methods = {
      {"--sampler", "pc", "--steps", "4"},
      {"--sampler", "ald", "--steps", "3", "--corrector-steps", "2"},
      {"--sampler", "ode", "--rtol", "1e-1", "--atol", "1e-1"}};
  for (const auto& method : methods) {
    const Path whole = *scratch_ / ("whole-" + method[1]),
               single = *scratch_ / ("one-" + method[1]);
    const Outcome outcome = sample(whole, with(method, {"--batch", "3"}));
    ASSERT_EQ(outcome.code, 0) << method[1] << ": " << outcome.err;
    ASSERT_EQ(sample(single, with(method, {"--batch", "1"})).code, 0);
    for (const char* name : {"000000.png", "000001.png", "000002.png"})
      EXPECT_EQ(read_file(whole / name).value(), read_file(single / name).value())
          << method[1] << " " << name;
  }
}

TEST_F(ScoreModelTest, DivergenceNamesTheStep) {
  const Outcome outcome =
      sample(*scratch_ / "diverged.png", {"--sampler", "pc", "--steps", "6", "--snr", "1e6"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(says(outcome.err, ": the sample diverged at step 1:")) << outcome.err;
  EXPECT_FALSE(file_exists(*scratch_ / "diverged.png"));
}

TEST_F(ScoreModelTest, SamplersAndOptionsOfOtherModelsAreRefused) {
  const Path out = *scratch_ / "x.png";
  const Outcome ddim = sample(out, {"--sampler", "ddim"});
  EXPECT_EQ(ddim.code, 1);
  EXPECT_TRUE(says(ddim.err, "ScoreSdeVeScheduler")) << ddim.err;
  const Outcome unused = sample(out, {"--sampler", "pc", "--eta", "1"});
  EXPECT_EQ(unused.code, 2);
  EXPECT_TRUE(says(unused.err, "--eta")) << unused.err;
  const Outcome nothing =
      sample(out, {"--sampler", "pc", "--predictor", "none", "--corrector", "none"});
  EXPECT_EQ(nothing.code, 1);
  EXPECT_TRUE(says(nothing.err, "predictor")) << nothing.err;
}

TEST_F(ScoreModelTest, NonsenseIsRefusedBeforeTraining) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--sde", "ve", "--sigma-min", "2", "--sigma-max", "1"}, "sigma_min"},
      {{"--sde", "ve", "--sigma-min", "0"}, "sigma_min"},
      {{"--sde", "vp", "--beta-min", "3", "--beta-max", "2"}, "beta_min"},
      {{"--sde", "ve", "--ladder", "1"}, "--ladder"},
      {{"--sde", "vp", "--ladder", "10"}, "--ladder"},
      {{"--sde", "ve", "--ladder", "10", "--dsm-weight", "likelihood"}, "--dsm-weight"},
      {{"--sde", "vp", "--network", "ncsnv2"}, "ncsnv2"},
      {{"--network", "ncsnpp"}, "--sde"},
      {{"--sde", "edm"}, "--sde"},
      {{"--sde", "vp", "--prediction", "v_prediction"}, "--prediction"}};
  for (const auto& [options, named] : cases) {
    const Outcome outcome = run_ito(with(tiny_training(data(), *scratch_ / "bad", 1), options));
    EXPECT_EQ(outcome.code, 2) << named;
    EXPECT_TRUE(says(outcome.err, named)) << outcome.err;
  }
}

TEST_F(ScoreModelTest, OtherProcessesAndNetworksTrain) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> kinds = {
      {"ladder", {"--sde", "ve", "--network", "ncsnv2", "--ladder", "5"}},
      {"vp", {"--sde", "vp", "--dsm-weight", "importance"}},
      {"subvp", {"--sde", "subvp", "--dsm-weight", "likelihood", "--no-classes"}}};
  for (const auto& [name, options] : kinds) {
    const Path out = *scratch_ / name;
    const Outcome outcome = run_ito(with(tiny_training(data(), out, 4), options));
    ASSERT_EQ(outcome.code, 0) << name << ": " << outcome.err;
    const Outcome sampled =
        run_ito({"sample", "--model", out.string(), "--sampler", "em", "--steps", "25", "--num",
                 "2", "--out", (out / "grid.png").string()});
    EXPECT_EQ(sampled.code, 0) << name << ": " << sampled.err;
  }
  EXPECT_EQ(read_scheduler_config(*scratch_ / "ladder")->value().num_train_timesteps, 5);
}

TEST_F(ScoreModelTest, EvaluationWritesATableAndGoesOnFromIt) {
  const Path classifier = *scratch_ / "classifier", table = *scratch_ / "table.md";
  ASSERT_EQ(
      run_ito({"train", "--classifier", "--data", data().string(), "--out", classifier.string(),
               "--steps", "4", "--batch", "8", "--channels", "8,16", "--size", "8"})
          .code,
      0);
  const std::vector<std::string> arguments = {"evaluate",
                                              "--model",
                                              "tiny=" + run().string(),
                                              "--sampler",
                                              "pc --steps 3",
                                              "--sampler",
                                              "ode --rtol 0.1 --atol 0.1",
                                              "--classifier",
                                              classifier.string(),
                                              "--data",
                                              data().string(),
                                              "--num",
                                              "7",
                                              "--batch",
                                              "4",
                                              "--reference",
                                              "48",
                                              "--out",
                                              table.string()};
  const Outcome first = run_ito(arguments);
  ASSERT_EQ(first.code, 0) << first.err;
  const std::string text = read_file(table).value();
  EXPECT_TRUE(says(text, "| tiny | pc --steps 3 |")) << text;
  EXPECT_TRUE(says(text, "| training images |")) << text;
  const Outcome second = run_ito(arguments);  // seconds would differ, had it been computed again
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_EQ(read_file(table).value(), text);
}

}  // namespace
}  // namespace ito::test
