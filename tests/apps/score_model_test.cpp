// Score models as a user meets them: trained, resumed, saved, sampled and evaluated by the program.
#include <map>

#include "api/model.h"
#include "api/sampling_loop.h"
#include "api/training_options.h"
#include "diffusion/noise_ladder.h"
#include "io/checkpoint.h"
#include "io/diffusers.h"
#include "io/image.h"
#include "io/json.h"
#include "io/png.h"
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
  EXPECT_EQ(scheduler.process, ProcessKind::kVe);
  EXPECT_GT(scheduler.sigma_max, 1);
  const NetworkFile file = read_network(run() / "unet", /*with_weights=*/false).value();
  const auto unet = std::any_cast<UNet2DConfig>(file.config);
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
      {"--sampler", "ode", "--rtol", "1e-1", "--atol", "1e-1"},
      {"--sampler", "edm", "--steps", "3", "--churn", "1", "--s-max", "2"}};
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

// Steps, order and churn change an image; the settings say what it was made with.
TEST_F(ScoreModelTest, EdmStepsAreWhatTheOptionsSay) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> kinds = {
      {"heun", {"--steps", "3"}},
      {"euler", {"--steps", "3", "--euler"}},
      {"rho", {"--steps", "3", "--rho", "3"}},
      {"churn", {"--steps", "3", "--churn", "1"}},
      {"quiet", {"--steps", "3", "--churn", "1", "--s-max", "0.005"}}};
  std::map<std::string, Image> images;
  for (const auto& [name, options] : kinds) {
    const Path out = *scratch_ / ("edm-" + name);
    const Outcome outcome = sample(out, with({"--sampler", "edm"}, options));
    ASSERT_EQ(outcome.code, 0) << name << ": " << outcome.err;
    images[name] = read_image(out / "000000.png").value();
  }
  for (const char* name : {"euler", "rho", "churn"})
    EXPECT_NE(images[name].pixels, images["heun"].pixels) << name;
  // No level lies below 0.005, so nothing is added.
  EXPECT_EQ(images["quiet"].pixels, images["heun"].pixels);
  const Json settings = read_png_settings(*scratch_ / "edm-churn" / "000000.png").value();
  EXPECT_EQ(settings.at("sampler"), "edm");
  EXPECT_EQ(settings.at("steps"), 3);
  EXPECT_EQ(settings.at("churn"), 1);
  EXPECT_EQ(settings.at("s_noise"), 1);
  EXPECT_EQ(settings.at("rho"), 7);
  EXPECT_FALSE(settings.contains("denoise"));
}

TEST_F(ScoreModelTest, SamplersAndOptionsOfOtherModelsAreRefused) {
  const Path out = *scratch_ / "x.png";
  const Outcome jump = sample(out, {"--sampler", "consistency"});
  EXPECT_EQ(jump.code, 1);
  EXPECT_TRUE(says(jump.err, "models of the process consistency, found one of ve")) << jump.err;
  // A solver of timesteps sees the score on a chain.
  EXPECT_EQ(sample(out, {"--sampler", "ddim", "--steps", "3"}).code, 0);
  const Outcome unused = sample(out, {"--sampler", "pc", "--eta", "1"});
  EXPECT_EQ(unused.code, 2);
  EXPECT_TRUE(says(unused.err, "--eta")) << unused.err;
  const std::vector<std::pair<std::vector<std::string>, std::string>> meaningless = {
      {{"edm", "--s-min", "1"}, "edm without --churn"},
      {{"edm", "--no-denoise"}, "--denoise has no meaning for --sampler edm\n"},
      {{"edm", "--churn", "-1"}, "--churn"},
      {{"edm", "--rho", "0"}, "--rho"},
      {{"em", "--churn", "1"}, "--churn"},
      {{"ald", "--ald-form", "ncsn", "--snr", "0.1"}, "ald --ald-form ncsn"},
      {{"ald", "--snr", "0.1", "--epsilon", "1e-5"}, "not both"},
      {{"ald", "--ald-form", "v3"}, "--ald-form"},
      {{"dpm++2m", "--sigmas", "evenly"}, "--sigmas is \"evenly\", expected uniform, karras"},
      {{"unipc", "--solver-type", "bh3"}, "--solver-type is \"bh3\""},
      {{"eular"}, "there is no sampler \"eular\", expected one of ddpm, ddim"},
      {{"pc", "--epsilon", "1e-5"}, "--epsilon"}};
  for (const auto& [words, named] : meaningless) {
    const Outcome outcome = sample(out, with({"--sampler"}, words));
    EXPECT_EQ(outcome.code, 2) << named;
    EXPECT_TRUE(says(outcome.err, named)) << outcome.err;
  }
  const Outcome large = sample(out, {"--sampler", "ald", "--epsilon", "0.001", "--steps", "3"});
  EXPECT_EQ(large.code, 1);
  EXPECT_TRUE(says(large.err, "expected less than 0.0002")) << large.err;
  const Outcome crossed =
      sample(out, {"--sampler", "edm", "--churn", "1", "--s-min", "2", "--s-max", "1"});
  EXPECT_EQ(crossed.code, 1);
  EXPECT_TRUE(says(crossed.err, "s_min")) << crossed.err;
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
      {{"--sde", "ve", "--ladder", "many"}, "expected auto"},
      {{"--sde", "ve", "--ladder", "10x"}, "--ladder"},
      {{"--sde", "vp", "--ladder", "10"}, "--ladder"},
      {{"--sde", "vp", "--ladder", "auto"}, "--ladder"},
      {{"--sde", "ve", "--ladder", "10", "--dsm-weight", "likelihood"}, "--dsm-weight"},
      {{"--sde", "vp", "--network", "ncsnv2"}, "ncsnv2"},
      {{"--network", "ncsnpp"}, "--sde"},
      {{"--sde", "ou"}, "--sde"},
      {{"--sde", "edm", "--network", "ncsnpp"}, "--network"},
      {{"--sde", "edm", "--dsm-weight", "likelihood"}, "--dsm-weight"},
      {{"--sde", "edm", "--sigma-data", "0"}, "sigma_data"},
      {{"--sde", "edm", "--sigma-max", "0.001"}, "sigma_min"},
      {{"--sde", "edm", "--p-std", "-1"}, "--p-std"},
      {{"--sde", "ve", "--p-mean", "0"}, "--p-mean"},
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
}

// Trained, resumed, saved as diffusers reads it, sampled and measured.
TEST_F(ScoreModelTest, EdmTrainsSamplesAndHasALikelihood) {
  const Path whole = *scratch_ / "edm", parts = *scratch_ / "edm-parts";
  const auto edm = [&](const Path& out, int steps) {
    return run_ito(with(tiny_training(data(), out, steps), {"--sde", "edm", "--validate", "8"}));
  };
  const Outcome trained = edm(whole, 8);
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_TRUE(says(trained.err, "validation loss")) << trained.err;
  ASSERT_EQ(edm(parts, 4).code, 0);
  ASSERT_EQ(edm(parts, 8).code, 0);
  EXPECT_EQ(state_of(parts, 8), state_of(whole, 8));
  const Json file = read_json(whole / "scheduler" / "scheduler_config.json").value();
  EXPECT_EQ(file.at("_class_name"), "EDMEulerScheduler");
  for (const auto& [key, value] : std::map<std::string, double>{
           {"sigma_min", 0.002}, {"sigma_max", 80}, {"sigma_data", 0.5}, {"rho", 7}})
    EXPECT_EQ(file.at(key), value) << key;
  EXPECT_EQ(file.at("prediction_type"), "epsilon");
  EXPECT_FALSE(file.contains("sampling_eps"));
  for (const auto& method :
       std::vector<std::vector<std::string>>{{"edm"},
                                             {"ode", "--rtol", "0.1", "--atol", "0.1"},
                                             {"pc", "--steps", "3"},
                                             {"ald", "--steps", "3"}}) {
    const Outcome sampled =
        run_ito(with({"sample", "--model", whole.string(), "--num", "2", "--out",
                      (whole / (method[0] + ".png")).string(), "--sampler"},
                     method));
    EXPECT_EQ(sampled.code, 0) << method[0] << ": " << sampled.err;
  }
  EXPECT_EQ(read_png_settings(whole / "edm.png")->at("steps"), 18);
  const Outcome measured =
      run_ito({"likelihood", "--model", whole.string(), "--data", data().string(), "--num", "2",
               "--rtol", "0.01", "--atol", "0.01", "--json"});
  ASSERT_EQ(measured.code, 0) << measured.err;
}

// A ladder's levels are those of its annealed Langevin dynamics, in both published forms.
TEST_F(ScoreModelTest, LaddersAreSampledOnTheirLevels) {
  const Path run = *scratch_ / "five";
  const Outcome trained =
      run_ito(with(tiny_training(data(), run, 1),
                   {"--sde", "ve", "--network", "ncsnv2", "--ladder", "5", "--sigma-max", "8"}));
  ASSERT_EQ(trained.code, 0) << trained.err;
  const Model model = load_model(run).value();
  EXPECT_TRUE(model.scheduler.ladder);
  EXPECT_EQ(model.scheduler.num_train_timesteps, 5);
  const auto chain = [&](const SamplerOptions& sampler) {
    SampleOptions options;
    static_cast<SamplerOptions&>(options) = sampler;
    return *sampling_loop(model.network, model.scheduler, options).value().sampling.method;
  };
  const Method second = chain({.sampler = "ald"});
  EXPECT_EQ(second.steps, 5 * 5 + 1);
  EXPECT_NEAR(second.column("time")[5], 0.75, 1e-12);
  const std::vector<double> sigmas = geometric_ladder(8, 0.01, 5).value();
  EXPECT_NEAR(second.column("on_score")[20], ladder_step_size(sigmas, 5), 1e-12);
  const Method first = chain({.sampler = "ald", .ald_form = "ncsn"});
  EXPECT_EQ(first.steps, 5 * 100 + 1);
  EXPECT_NEAR(first.column("on_score")[400], 1e-5, 1e-12);  // α_L/2 with α_L = 2e-5
  const Method coarse = chain({.sampler = "ald", .steps = 3, .epsilon = 3e-5});
  EXPECT_EQ(coarse.steps, 3 * 5 + 1);
  EXPECT_NEAR(coarse.column("on_score")[10], 3e-5, 1e-12);
}

TEST_F(ScoreModelTest, LangevinFormsDifferByTheFactorTwoOfTheirStep) {
  const Path one = *scratch_ / "ncsn", two = *scratch_ / "ncsnv2";
  const std::vector<std::string> ald = {"--sampler",         "ald", "--steps", "3",
                                        "--corrector-steps", "2"};
  const Outcome outcome = sample(one, with(ald, {"--ald-form", "ncsn", "--epsilon", "6e-5"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  ASSERT_EQ(sample(two, with(ald, {"--epsilon", "3e-5"})).code, 0);
  EXPECT_EQ(read_image(one / "000001.png")->pixels, read_image(two / "000001.png")->pixels);
  const Json settings = read_png_settings(one / "000001.png").value();
  EXPECT_EQ(settings.at("ald_form"), "ncsn");
  EXPECT_EQ(settings.at("epsilon"), 6e-5);
  EXPECT_FALSE(settings.contains("snr"));
}

TEST_F(ScoreModelTest, AutomaticLaddersOverlapByHalf) {
  const Path out = *scratch_ / "auto";
  const Outcome outcome =
      run_ito(with(tiny_training(data(), out, 1), {"--sde", "ve", "--ladder", "auto"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const SchedulerConfig scheduler = read_scheduler_config(out).value().value();
  const int levels = ladder_levels(scheduler.sigma_max, 0.01, 64);
  EXPECT_EQ(scheduler.num_train_timesteps, levels);
  EXPECT_TRUE(says(outcome.err, "the ladder has " + std::to_string(levels))) << outcome.err;
}

TEST(ScoreModelOptions, LaddersOfOlderRunsAreNumbers) {
  const Json json = Json{{"sde", "ve"}, {"ladder", 10}};
  const TrainingOptions options = training_options_from_json(json, "run.json").value();
  EXPECT_EQ(options.ladder, "10");
  EXPECT_EQ(scheduler_config(options).num_train_timesteps, 10);
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
  for (const char* column : {"Fréchet distance", "kernel distance", "precision", "recall"})
    EXPECT_TRUE(says(text, std::string("| ") + column + " |")) << text;
  EXPECT_TRUE(says(text, " ± ")) << text;
  EXPECT_TRUE(says(first.out, text)) << first.out;
  // Seconds would differ, had it been computed again.
  const Outcome second = run_ito(with(arguments, {"--json"}));
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_EQ(read_file(table).value(), text);
  const Json rows = parse_json(second.out, "rows").value();
  EXPECT_EQ(rows, read_json(*scratch_ / "table.json").value().at("rows"));
  EXPECT_EQ(rows.size(), 3u);
  // A sampler that the model does not take is said so and does not end the table; numbers of steps
  // multiply the samplers that have steps.
  std::vector<std::string> stepped = with(arguments, {"--steps", "3,4"});
  for (std::string& argument : stepped) {
    if (argument == "pc --steps 3") argument = "pc";
    if (argument == "ode --rtol 0.1 --atol 0.1") argument = "gan";
  }
  const Outcome third = run_ito(stepped);
  ASSERT_EQ(third.code, 0) << third.err;
  EXPECT_TRUE(says(third.out, "| tiny | pc --steps 3 |")) << third.out;
  EXPECT_TRUE(says(third.out, "| tiny | pc --steps 4 |")) << third.out;
  EXPECT_TRUE(says(third.out, "- tiny, gan: --sampler gan needs")) << third.out;
  // --variant is the judges' too, where they have it.
  const Path weights = classifier / "model.safetensors";
  ASSERT_TRUE(file_exists(weights));
  std::filesystem::copy_file(weights, classifier / "model.fp16.safetensors");
  std::filesystem::rename(weights, classifier / "model.fp32.safetensors");
  std::filesystem::copy_file(run() / "unet/diffusion_pytorch_model.safetensors",
                             run() / "unet/diffusion_pytorch_model.fp16.safetensors");
  const Outcome unnamed = run_ito(arguments);
  EXPECT_EQ(unnamed.code, 1);
  EXPECT_TRUE(says(unnamed.err, "name one with --variant")) << unnamed.err;
  const Outcome named = run_ito(with(arguments, {"--variant", "fp16"}));
  EXPECT_EQ(named.code, 0) << named.err;
  std::filesystem::rename(classifier / "model.fp32.safetensors", weights);
  std::filesystem::remove(run() / "unet/diffusion_pytorch_model.fp16.safetensors");
  // Features of another network, without a classifier: nothing is recognised; one that sees none.
  std::vector<std::string> featured = arguments;
  for (std::string& argument : featured)
    if (argument == "--classifier") argument = "--features";
  const Outcome fourth = run_ito(featured);
  ASSERT_EQ(fourth.code, 0) << fourth.err;
  EXPECT_FALSE(says(fourth.out, "recognised %")) << fourth.out;
  EXPECT_TRUE(says(fourth.out, "| precision |")) << fourth.out;
  for (std::string& argument : featured)
    if (argument == classifier.string()) argument = run().string();
  const Outcome fifth = run_ito(featured);
  EXPECT_EQ(fifth.code, 1);
  EXPECT_TRUE(says(fifth.err, "does not judge images")) << fifth.err;
}

}  // namespace
}  // namespace ito::test
