// Runs as a user leaves them: interrupted, damaged, resumed, asked for something else, sampled.
#include <numeric>

#include "api/model.h"
#include "api/task.h"
#include "graph/builder.h"
#include "io/checkpoint.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "nn/classifier.h"
#include "tests/apps/run_ito.h"
#include "tests/support/run_program.h"

namespace ito::test {
namespace {

constexpr int kSteps = 24;

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string state_of(const Path& run, int step) {
  return read_file(checkpoint_folder(run, step) / "state.safetensors").value();
}

class RunFolder : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    write_tiny_data(data());
    whole_ = run_ito(with(tiny_training(data(), whole(), kSteps), {"--validate", "12"}));
  }
  static void TearDownTestSuite() { delete scratch_; }
  void SetUp() override { ASSERT_EQ(whole_.code, 0) << whole_.err; }

  static Path data() { return *scratch_ / "data.npz"; }
  static Path whole() { return *scratch_ / "whole"; }  // a run that nothing disturbed

  inline static Scratch* scratch_ = nullptr;
  inline static Outcome whole_;
};

TEST_F(RunFolder, HoldsWhatItPromises) {
  for (const char* name :
       {"run.json", "metrics.jsonl", "loss_curve.png", "model_index.json", "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors", "scheduler/scheduler_config.json"})
    EXPECT_TRUE(file_exists(whole() / name)) << name;
  EXPECT_EQ(checkpoint_steps(whole()).value(), (std::vector<int64_t>{16, 20, 24}));
  const Outcome inspected = run_ito({"inspect", whole().string()});
  EXPECT_EQ(inspected.code, 0) << inspected.err;
  EXPECT_TRUE(says(inspected.out, "parameters in all"));
}

class Interrupted : public RunFolder, public ::testing::WithParamInterface<int> {};

TEST_P(Interrupted, ItSavesAndEndsWithZero) {
  const Path run = *scratch_ / ("interrupted-" + std::to_string(GetParam()));
  Start start{
      .arguments = {"train", "--data", data().string(), "--out", run.string(), "--steps", "100000",
                    "--batch", "4", "--channels", "8,16", "--size", "8", "--log-every", "2",
                    // No checkpoint but the one that the signal asks for.
                    "--checkpoint-every", "100000"},
      .launcher = true,
      .environment = {},
      .when = {},
      .signal = GetParam()};
  // The loop runs once the first row of metrics is there.
  start.when = [&] {
    const auto text = read_file(run / "metrics.jsonl");
    return text.ok() && !text->empty();
  };
  const Outcome outcome = run_ito(start);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(says(outcome.out, "to go on")) << outcome.out;
  EXPECT_EQ(checkpoint_steps(run).value().size(), 1u);
  EXPECT_TRUE(load_latest_checkpoint(run, nullptr).ok());
}

// Ctrl-C, and what `kill`, `timeout` and a system that shuts down send.
INSTANTIATE_TEST_SUITE_P(Signals, Interrupted, ::testing::Values(SIGINT, SIGTERM));

TEST_F(RunFolder, DamagedCheckpointFallsBackWithAWarning) {
  const Path run = *scratch_ / "damaged";
  std::filesystem::copy(whole(), run, std::filesystem::copy_options::recursive);
  std::filesystem::resize_file(checkpoint_folder(run, kSteps) / "state.safetensors", 100);
  const Outcome outcome = run_ito(tiny_training(data(), run, kSteps));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(says(outcome.err, "checkpoint-24")) << outcome.err;
  EXPECT_EQ(state_of(run, kSteps), state_of(whole(), kSteps));
}

// Step 25 still sees good weights; its update makes them useless.
TEST_F(RunFolder, AbsurdLearningRateEndsTheRunAtItsStepAndLeavesTheLastCheckpointAlone) {
  const Path run = *scratch_ / "absurd";
  std::filesystem::copy(whole(), run, std::filesystem::copy_options::recursive);
  set_stored_learning_rate(run, 1e30);
  const Outcome outcome = run_ito(tiny_training(data(), run, kSteps + 8));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(says(outcome.err, "the loss is not finite at step 26;")) << outcome.err;
  EXPECT_EQ(checkpoint_steps(run).value(), (std::vector<int64_t>{16, 20, 24}));
  const Path weights = "unet/diffusion_pytorch_model.safetensors";
  EXPECT_EQ(state_of(run, kSteps), state_of(whole(), kSteps));
  EXPECT_EQ(read_file(run / weights).value(), read_file(whole() / weights).value());
}

TEST_F(RunFolder, DoneIsSaidAndContradictionsAreRefused) {
  const Outcome again = run_ito(tiny_training(data(), whole(), kSteps));
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_TRUE(says(again.out, "already done")) << again.out;
  const Outcome other = run_ito(with(tiny_training(data(), whole(), kSteps), {"--lr", "0.5"}));
  EXPECT_EQ(other.code, 2);
  EXPECT_TRUE(says(other.err, "--lr")) << other.err;
}

TEST_F(RunFolder, SamplesDoNotDependOnTheBatchAndAreMadeOnce) {
  const Path one = *scratch_ / "one", three = *scratch_ / "three";
  const auto sample = [&](const Path& out, const char* batch) {
    return run_ito({"sample", "--model", whole().string(), "--sampler", "ddpm", "--steps", "5",
                    "--seeds", "3-7", "--batch", batch, "--out", out.string(), "--json"});
  };
  ASSERT_EQ(sample(one, "1").code, 0);
  const Outcome first = sample(three, "3");
  ASSERT_EQ(first.code, 0) << first.err;
  for (int seed = 3; seed <= 7; ++seed) {
    const std::string name = "00000" + std::to_string(seed) + ".png";
    EXPECT_EQ(read_file(one / name).value(), read_file(three / name).value()) << name;
  }
  ASSERT_TRUE(remove_tree(three / "000005.png").ok());
  const Outcome second = sample(three, "3");
  const Json summary = parse_json(second.out, "summary").value();
  EXPECT_EQ(summary["images"], 1);
  EXPECT_EQ(summary["skipped"], 4);
  EXPECT_TRUE(file_exists(three / "000005.png"));
}

// What a kill or a disk has left of a picture is none; and nothing of it stays behind.
TEST_F(RunFolder, DamagedSamplesAreDrawnAgain) {
  const Path out = *scratch_ / "damaged-samples";
  const auto sample = [&] {
    const Outcome outcome =
        run_ito({"sample", "--model", whole().string(), "--sampler", "ddpm", "--steps", "5",
                 "--seeds", "3-6", "--out", out.string(), "--json"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return parse_json(outcome.out, "summary").value();
  };
  sample();
  std::map<std::string, std::string> good;
  for (int seed = 3; seed <= 6; ++seed) {
    const std::string name = "00000" + std::to_string(seed) + ".png";
    good[name] = read_file(out / name).value();
  }
  std::string half = good["000003.png"], flipped = good["000004.png"];
  half.resize(half.find("IDAT") + 12);  // behind the settings, which say whose it is
  flipped[flipped.find("IDAT") + 12] ^= 4;
  ASSERT_TRUE(write_file_atomic(out / "000003.png", half).ok());
  ASSERT_TRUE(write_file_atomic(out / "000004.png", flipped).ok());
  ASSERT_TRUE(remove_tree(out / "000005.png").ok());
  // No process has that number: Linux counts to 2^22.
  ASSERT_TRUE(write_file_atomic(out / "000005.png.4194305.tmp", half).ok());
  const Json summary = sample();
  EXPECT_EQ(summary["images"], 3);
  EXPECT_EQ(summary["skipped"], 1);
  for (const auto& [name, bytes] : good) EXPECT_EQ(read_file(out / name).value(), bytes) << name;
  const std::vector<std::string> left = list_folder(out).value();
  for (const std::string& name : left)
    EXPECT_TRUE(good.contains(name)) << name << " stays behind";
}

TEST_F(RunFolder, ForwardGivesGradientsUnderPyTorchsNames) {
  TensorFile in;
  const Shape shape{2, 1, 8, 8};
  std::vector<float> ramp(128);
  for (size_t i = 0; i < ramp.size(); ++i) ramp[i] = static_cast<float>(i) / 128.0f - 0.5f;
  in.tensors.emplace("sample", tensor_from_floats(shape, ramp));
  in.tensors.emplace("target", tensor_from_floats(shape, std::vector<float>(128, 0.25f)));
  in.tensors.emplace("timestep", tensor_from_int64({2}, {7, 900}));
  in.tensors.emplace("class_labels", tensor_from_int64({2}, {0, 2}));
  const Path in_path = *scratch_ / "in.safetensors", out_path = *scratch_ / "out.safetensors";
  ASSERT_TRUE(write_safetensors(in_path, in).ok());
  const std::vector<std::string> arguments = {
      "forward",        "--model", whole().string(),  "--in",
      in_path.string(), "--out",   out_path.string(), "--grad"};
  const Outcome outcome = run_ito(arguments);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const TensorFile out = read_safetensors(out_path).value();
  EXPECT_EQ(out.tensors.at("out").shape, shape);
  EXPECT_EQ(out.tensors.at("d_sample").shape, shape);
  EXPECT_EQ(out.tensors.at("grad.conv_in.weight").shape, (Shape{8, 1, 3, 3}));
  // The loss that the file's own output gives.
  double sum = 0;
  for (float value : to_floats(out.tensors.at("out"))) sum += (value - 0.25) * (value - 0.25);
  EXPECT_NEAR(to_floats(out.tensors.at("loss"))[0], sum / 128, 1e-5 * (sum / 128));

  in.tensors.at("class_labels") = tensor_from_int64({2}, {0, 3});
  ASSERT_TRUE(write_safetensors(in_path, in).ok());
  const Outcome refused = run_ito(arguments);
  EXPECT_EQ(refused.code, 1);
  EXPECT_TRUE(says(refused.err, "class_labels")) << refused.err;
}

TEST_F(RunFolder, TruncatedWeightsAreRefusedByName) {
  const Path model = *scratch_ / "truncated";
  std::filesystem::copy(whole(), model, std::filesystem::copy_options::recursive);
  const Path weights = model / "unet/diffusion_pytorch_model.safetensors";
  std::filesystem::resize_file(weights, std::filesystem::file_size(weights) - 9);
  const Outcome outcome =
      run_ito({"sample", "--model", model.string(), "--out", (model / "x.png").string()});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(says(outcome.err, "diffusion_pytorch_model.safetensors")) << outcome.err;
}

TEST_F(RunFolder, ClassifierTrainsAndScoresSamples) {
  const Path classifier = *scratch_ / "classifier";
  const Outcome trained =
      run_ito({"train", "--classifier", "--data", data().string(), "--out", classifier.string(),
               "--steps", "60", "--batch", "12", "--channels", "8,16", "--size", "8", "--lr",
               "0.01", "--warmup", "10", "--json"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  // Chance is a third. What is counted, and how, is tested in recognition_test.cpp.
  EXPECT_GE(parse_json(trained.out, "summary").value()["accuracy"].get<double>(), 0.95);
  const Path samples = *scratch_ / "scored.safetensors";
  const Outcome scored =
      run_ito({"sample", "--model", whole().string(), "--steps", "2", "--num", "5", "--batch", "3",
               "--classifier", classifier.string(), "--out", samples.string(), "--json"});
  ASSERT_EQ(scored.code, 0) << scored.err;
  // Shards count what they draw, and write what they write without.
  const Path shard = *scratch_ / "shard", plain = *scratch_ / "plain";
  const auto draw = [&](const Path& out, const std::vector<std::string>& more) {
    return run_ito(with({"sample", "--model", whole().string(), "--steps", "2", "--num", "5",
                         "--batch", "3", "--form", "tar", "--out", out.string(), "--json"},
                        more));
  };
  const Outcome counted = draw(shard, {"--classifier", classifier.string()});
  ASSERT_EQ(counted.code, 0) << counted.err;
  EXPECT_EQ(parse_json(counted.out, "summary").value()["recognised"],
            parse_json(scored.out, "summary").value()["recognised"]);
  ASSERT_EQ(draw(plain, {}).code, 0);
  EXPECT_EQ(read_file(shard / "00000.tar").value(), read_file(plain / "00000.tar").value());
  // The same judgement by the interpreter.
  const Component model = load_classifier(classifier).value();
  const TensorFile file = read_safetensors(samples).value();
  const auto values = [&](const char* name) {
    const std::vector<float> floats = to_floats(file.tensors.at(name));
    return std::vector<double>(floats.begin(), floats.end());
  };
  const Shape shape{5, 8, 8, 1};  // one channel: NCHW is NHWC
  Program judgement;
  Graph& graph = *judgement.graph;
  const Tensor logits =
      model.network.build(input(graph, state_name::kParameters, {model.network.set().size()}),
                          input(graph, batch_ports::kImages, shape), {});
  judgement.output("correct", is_correct(logits, input(graph, batch_ports::kLabels, {5})));
  const HostValues judged =
      run_on_interpreter(
          judgement,
          {{state_name::kParameters,
            {{model.network.set().size()}, {model.weights.begin(), model.weights.end()}}},
           {batch_ports::kImages.name, {shape, values("images")}},
           {batch_ports::kLabels.name, {{5}, values("classes")}}})
          .value();
  const std::vector<double>& correct = judged.at("correct").data;
  EXPECT_EQ(parse_json(scored.out, "summary").value()["recognised"].get<double>(),
            std::accumulate(correct.begin(), correct.end(), 0.0));
}

}  // namespace
}  // namespace ito::test
