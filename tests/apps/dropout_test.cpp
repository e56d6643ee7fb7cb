// `ito train --dropout`: what is refused, what a run saves and repeats, and that samples know
// nothing of it.
#include <gtest/gtest.h>

#include "api/initial_model.h"
#include "api/task.h"
#include "io/diffusers.h"
#include "io/safetensors.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"
#include "tests/apps/training_options.h"
#include "tests/support/folders.h"

namespace ito::test {
namespace {

const Path kUNetConfig = "unet/config.json";
const Path kUNetWeights = "unet/diffusion_pytorch_model.safetensors";

TEST(DropoutCommand, RefusesWhatIsNoShareByTheOptionsName) {
  Scratch scratch;
  const Path data = scratch / "data.npz", out = scratch / "out";
  write_tiny_data(data);
  const auto refusal = [&](const std::vector<std::string>& more) {
    const Outcome outcome = run_ito(with(least_training(data, out, 1, 1), more));
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_FALSE(folder_exists(out));
    return outcome.err;
  };
  const std::string expected = ", expected a share of at least 0 and less than 1";
  for (const auto& [given, said] :
       {std::pair<std::string, std::string>{"1.0", "1"}, {"-0.1", "-0.1"}, {"7", "7"}}) {
    const std::string error = refusal({"--dropout", given});
    EXPECT_NE(error.find("--dropout is " + said + expected), std::string::npos) << error;
  }
  const std::string classifier = refusal({"--dropout", "0.1", "--classifier"});
  EXPECT_NE(classifier.find("--dropout is of --objective gan"), std::string::npos) << classifier;
}

// Two calls end as one does; without the option the training is another, and so are its weights.
// Samples are drawn by the weights alone.
TEST(DropoutCommand, IsSavedAndResumedAndNotInSamples) {
  Scratch scratch;
  const Path data = scratch / "data.npz";
  write_tiny_data(data);
  const auto train = [&](const std::string& name, int steps, std::vector<std::string> more) {
    const Outcome outcome =
        run_ito(with(least_training(data, scratch / name, steps, 100), std::move(more)));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  };
  train("whole", 4, {"--dropout", "0.5"});
  train("parts", 2, {"--dropout", "0.5"});
  train("parts", 4, {});
  train("plain", 4, {});
  const auto bytes = [&](const std::string& name, const Path& file) {
    return read_file(scratch / name / file).value();
  };
  for (const Path& file : {kUNetConfig, kUNetWeights, Path("checkpoint-4/state.safetensors")})
    EXPECT_EQ(bytes("whole", file), bytes("parts", file)) << file;
  EXPECT_NE(bytes("whole", kUNetWeights), bytes("plain", kUNetWeights));
  Json config = read_json(scratch / "whole" / kUNetConfig).value();
  EXPECT_EQ(config.at("dropout"), 0.5);
  EXPECT_EQ(read_json(scratch / "plain" / kUNetConfig).value().at("dropout"), 0.0);

  const auto sample = [&](const std::string& name) {
    const Path file = scratch / (name + ".safetensors");
    const Outcome outcome = run_ito({"sample", "--model", (scratch / "whole").string(), "--steps",
                                     "2", "--num", "2", "--out", file.string()});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return read_safetensors(file).value().tensors.at("images").bytes;
  };
  const auto with_dropout = sample("with");
  config["dropout"] = 0.0;
  ASSERT_TRUE(write_file_atomic(scratch / "whole" / kUNetConfig, dump_json(config)).ok());
  EXPECT_EQ(sample("without"), with_dropout);
}

// A model's own goes on, unless another is asked for; 1, which leaves nothing to train, is refused.
TEST(DropoutOptions, AreTheModelsUnlessTheyAreGiven) {
  Scratch scratch;
  ImageDataset images;
  images.h = images.w = 8;
  images.c = 1;
  images.labels = std::vector<int32_t>{2};
  UNet2DConfig config = tiny_unet();
  int models = 0;
  const auto dropout_of = [&](const Json& asked, std::set<std::string> given) {
    const Path folder = scratch / std::to_string(models++);
    const Network network = unet2d_network(config).value();
    EXPECT_TRUE(save_model(folder, network, {}, initial_parameters(network.set(), 1)).ok());
    const InitialModel initial = open_initial_model(folder.string()).value();
    const auto options = options_of_model(initial, training_options(asked), given);
    EXPECT_TRUE(options.ok()) << (options.ok() ? "" : options.error().message);
    const TrainingTask task = make_task(*options, images, &initial).value();
    EXPECT_EQ(task.initial_weights, initial.model.weights);
    return task.network.config_as<UNet2DConfig>()->dropout;
  };
  EXPECT_EQ(dropout_of({{"dropout", 0.1}}, {"dropout"}), 0.1);
  config.dropout = 0.3;
  EXPECT_EQ(dropout_of({}, {}), 0.3);
  EXPECT_EQ(dropout_of({{"dropout", 0.1}}, {"dropout"}), 0.1);
  EXPECT_EQ(dropout_of({{"dropout", 0}}, {"dropout"}), 0);
  EXPECT_EQ(check_training_options(training_options({{"dropout", 1}})).error().message,
            "--dropout is 1, expected a share of at least 0 and less than 1");
}

// Every design has it, and the generator of a GAN.
TEST(DropoutOptions, ReachEveryNetworkThatHasIt) {
  ImageDataset images;
  images.h = images.w = 8;
  images.c = 1;
  images.labels = std::vector<int32_t>{2};
  const auto draws = [&](Json keys, double dropout) {
    keys["size"] = "8";
    keys["channels"] = keys.contains("patch") ? Json::array({8}) : Json::array({8, 16});
    keys["dropout"] = dropout;
    const TrainingOptions options = training_options(keys);
    const Status status = check_training_options(options);
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
    const TrainingTask task = make_task(options, images).value();
    const Program step = train_step_program(task.network.set(), task.loss, task.step);
    size_t found = 0;
    for (NodeId id = 0; id < step.graph->size(); ++id)
      found += step.graph->node(id).op == Op::kPhilox ? 1u : 0u;
    return found;
  };
  for (const Json& keys : {Json{{"network", "ddpm"}}, Json{{"network", "dit"}, {"patch", 2}},
                           Json{{"network", "ncsnpp"}, {"sde", "ve"}, {"sigma-max", 8}},
                           Json{{"network", "ncsnv2"}, {"sde", "ve"}, {"sigma-max", 8}},
                           Json{{"gan-steps", 4}}, Json{{"objective", "consistency"}},
                           Json{{"objective", "ssm"}, {"sde", "vp"}, {"projections", 2}}})
    EXPECT_GT(draws(keys, 0.2), draws(keys, 0)) << keys.dump();
}

}  // namespace
}  // namespace ito::test
