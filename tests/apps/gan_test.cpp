// A denoising diffusion GAN through the program: trained, resumed, saved, sampled.
#include "io/checkpoint.h"
#include "io/image.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"

namespace ito::test {
namespace {

std::vector<std::string> training(const Path& data, const Path& out, int steps) {
  return {"train",
          "--data",
          data.string(),
          "--out",
          out.string(),
          "--gan-steps",
          "3",
          "--channels",
          "8,16",
          "--norm-groups",
          "4",
          "--latent",
          "5",
          "--batch",
          "6",
          "--discriminator-channels",
          "8,8",
          "--clip",
          "0",
          "--beta1",
          "0.5",
          "--size",
          "8",
          "--checkpoint-every",
          "4",
          "--log-every",
          "2",
          "--steps",
          std::to_string(steps)};
}

class Gan : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    write_tiny_data(*scratch_ / "data.npz");
    std::vector<std::string> arguments = training(*scratch_ / "data.npz", run(), 8);
    arguments.insert(arguments.end(), {"--sample-every", "8"});
    trained_ = run_ito(arguments);
  }
  static void TearDownTestSuite() { delete scratch_; }
  void SetUp() override { ASSERT_EQ(trained_.code, 0) << trained_.err; }

  static Path run() { return *scratch_ / "run"; }
  static Outcome sample(const std::string& out, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {
        "sample", "--model", run().string(), "--out", (*scratch_ / out).string(), "--seeds", "0-4"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_ito(arguments);
  }

  inline static Scratch* scratch_ = nullptr;
  inline static Outcome trained_;
};

TEST_F(Gan, RunFolderHoldsTheGeneratorOnly) {
  for (const char* name : {"unet/config.json", "latent_mapping/config.json",
                           "latent_mapping/model.safetensors", "samples-8.png", "model_index.json"})
    EXPECT_TRUE(file_exists(run() / name)) << name;
  const auto weights = read_safetensors(run() / "unet/diffusion_pytorch_model.safetensors");
  ASSERT_TRUE(weights.ok()) << weights.error().message;
  for (const auto& [name, tensor] : weights->tensors) {
    EXPECT_NE(name.rfind("discriminator.", 0), 0u) << name;
    EXPECT_NE(name.rfind("latent_mapping.", 0), 0u) << name;
  }
  const Json mapping = read_json(run() / "latent_mapping/config.json").value();
  EXPECT_EQ(mapping.at("latent"), 5);
  EXPECT_EQ(mapping.at("classes"), 3);
}

TEST_F(Gan, ResumesBitForBit) {
  const Path parts = *scratch_ / "parts";
  ASSERT_EQ(run_ito(training(*scratch_ / "data.npz", parts, 4)).code, 0);
  ASSERT_EQ(run_ito(training(*scratch_ / "data.npz", parts, 8)).code, 0);
  const Path state = checkpoint_folder("", 8) / "state.safetensors";
  EXPECT_EQ(read_file(parts / state).value(), read_file(run() / state).value());
}

TEST_F(Gan, SamplesTakeItsOwnStepsAndDoNotDependOnTheBatch) {
  const Outcome one = sample("one", {"--batch", "1"});
  ASSERT_EQ(one.code, 0) << one.err;
  const Outcome all = sample("all", {"--batch", "5", "--sampler", "gan"});
  ASSERT_EQ(all.code, 0) << all.err;
  for (const char* name : {"000000.png", "000004.png"}) {
    const auto a = read_image(*scratch_ / "one" / name), b = read_image(*scratch_ / "all" / name);
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_EQ(a->pixels, b->pixels);
  }
  const auto first = read_image(*scratch_ / "one" / "000000.png");
  const auto same_class = read_image(*scratch_ / "one" / "000003.png");
  EXPECT_NE(first->pixels, same_class->pixels) << "another seed draws another latent";
}

TEST_F(Gan, SpoiltWeightsGiveNoImages) {
  const Path spoilt = *scratch_ / "spoilt", out = *scratch_ / "spoilt.png";
  std::filesystem::copy(run(), spoilt, std::filesystem::copy_options::recursive);
  spoil_model(spoilt);
  const Outcome outcome =
      run_ito({"sample", "--model", spoilt.string(), "--num", "2", "--out", out.string()});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("gan: the model's output is not finite at step 1"), std::string::npos)
      << outcome.err;
  EXPECT_FALSE(file_exists(out));
}

// Step 9 still sees good weights; its update makes them useless.
TEST_F(Gan, AbsurdLearningRateEndsTheRunAtItsStepAndLeavesTheLastCheckpointAlone) {
  const Path absurd = *scratch_ / "absurd";
  std::filesystem::copy(run(), absurd, std::filesystem::copy_options::recursive);
  set_stored_learning_rate(absurd, 1e30);
  const Outcome outcome = run_ito(training(*scratch_ / "data.npz", absurd, 12));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("the loss is not finite at step 10;"), std::string::npos)
      << outcome.err;
  EXPECT_EQ(checkpoint_steps(absurd).value().back(), 8);
  const Path state = checkpoint_folder("", 8) / "state.safetensors";
  EXPECT_EQ(read_file(absurd / state).value(), read_file(run() / state).value());
}

TEST_F(Gan, RefusesWhatIsNotItsOwn) {
  const Outcome other = sample("other", {"--sampler", "ddpm"});
  EXPECT_EQ(other.code, 1);
  EXPECT_NE(other.err.find("--sampler gan"), std::string::npos) << other.err;
  std::vector<std::string> arguments = training(*scratch_ / "data.npz", *scratch_ / "no", 2);
  arguments.insert(arguments.end(), {"--sde", "ve"});
  const Outcome both = run_ito(arguments);
  EXPECT_EQ(both.code, 2);
  EXPECT_NE(both.err.find("--gan-steps"), std::string::npos) << both.err;
  EXPECT_FALSE(folder_exists(*scratch_ / "no"));
}

}  // namespace
}  // namespace ito::test
