// Diffusion transformers in diffusers' folders: read, evaluated, sampled from and written back.
#include "nn/dit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "api/sampling.h"
#include "io/jsonl.h"
#include "io/safetensors.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_pipeline.h"
#include "tests/support/folders.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

// Of PyTorch's tests/golden/dit.py: classes, a variance, 3 channels.
Path golden() { return Path(source_folder()) / "tests/golden/unet/dit_class"; }

TEST(DiTForward, IsThatOfPyTorch) {
  const Scratch scratch;
  const Outcome run = run_ito({"forward", "--model", golden().string(), "--in",
                               (golden() / "io.safetensors").string(), "--out",
                               (scratch / "out.safetensors").string()});
  ASSERT_EQ(run.code, 0) << run.err;
  const auto values = [](const Path& file) {
    return to_floats(read_safetensors(file).value().tensors.at("out"));
  };
  const std::vector<float> found = values(scratch / "out.safetensors"),
                           expected = values(golden() / "io.safetensors");
  ASSERT_EQ(found.size(), expected.size());
  float largest = 0;
  for (const float value : expected) largest = std::max(largest, std::fabs(value));
  // As of the golden cases of networks; PyTorch's own single precision is off by 2e-6.
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 2e-5 * largest) << i;
}

// The golden network as a pipeline.
Model pixels() {
  Model model = load_model(golden()).value();
  model.scheduler_missing = false;
  model.scheduler.variance_type = "learned_range";
  return model;
}

TEST(DiTFolders, ArePipelinesAsDiffusersNamesThem) {
  const Scratch scratch;
  const Model model = pixels();
  ASSERT_OK(save_model(scratch / "model", model));
  const Json index = read_json(scratch / "model/model_index.json").value();
  EXPECT_EQ(index.at("_class_name"), "DiTPipeline");
  EXPECT_EQ(index.at("transformer"), Json({"diffusers", "DiTTransformer2DModel"}));
  EXPECT_FALSE(index.contains("unet"));
  const auto config = [](const Path& path) {
    Json json = read_json(path).value();
    json.erase("_diffusers_version");
    return json;
  };
  EXPECT_EQ(config(scratch / "model/transformer/config.json"), config(golden() / "config.json"));
  ASSERT_OK_AND_ASSIGN(const Model again, load_model(scratch / "model"));
  EXPECT_EQ(again.weights, model.weights);
  // The component's own folder finds the scheduler beside it.
  ASSERT_OK_AND_ASSIGN(const Model part, load_model(scratch / "model/transformer"));
  EXPECT_FALSE(part.scheduler_missing);
  // A table of places, as releases of diffusers that kept it wrote it, is not a weight.
  const Path weights = scratch / "model/transformer/diffusion_pytorch_model.safetensors";
  TensorFile file = read_safetensors(weights).value();
  file.tensors.emplace("pos_embed.pos_embed", tensor_from_floats({1, 16, 16}, waves(256, 1)));
  ASSERT_OK(write_safetensors(weights, file));
  ASSERT_OK_AND_ASSIGN(const Model with_places, load_model(scratch / "model"));
  EXPECT_EQ(with_places.weights, model.weights);
  EXPECT_TRUE(std::any_of(with_places.notes.begin(), with_places.notes.end(), [](const auto& note) {
    return note.find("pos_embed.pos_embed") != std::string::npos;
  }));
}

TEST(DiTFolders, AreSampledFromByClassAndWithGuidance) {
  const Scratch scratch;
  ASSERT_OK(save_model(scratch / "model", pixels()));
  const auto draw = [&](const char* name, std::vector<std::string> more) {
    const Path out = scratch / name;
    more.insert(more.begin(), {"sample", "--model", (scratch / "model").string(), "--steps", "3",
                               "--seeds", "0-1", "--out", out.string()});
    const Outcome run = run_ito(more);
    EXPECT_EQ(run.code, 0) << run.err;
    return to_floats(read_npz(out).value().tensors.at("images"));
  };
  const std::vector<float> one = draw("one.npz", {"--class", "1"}),
                           two = draw("two.npz", {"--class", "2"}),
                           none = draw("none.npz", {"--class", "3"}),
                           led = draw("led.npz", {"--class", "1", "--guidance-scale", "0"});
  ASSERT_EQ(one.size(), 2u * 8 * 8 * 3);
  EXPECT_NE(one, two);
  EXPECT_NE(one, none);
  // At scale 0 the last class, which is none, alone leads.
  for (size_t i = 0; i < none.size(); ++i) EXPECT_NEAR(led[i], none[i], 1e-3) << i;
}

TEST(DiTTraining, LossFallsAndTheRunIsAPipeline) {
  const Scratch scratch;
  write_tiny_data(scratch / "data.npz");
  const Path out = scratch / "run";
  constexpr size_t kSteps = 60;
  const std::vector<std::string> train = {"train",
                                          "--network",
                                          "dit",
                                          "--data",
                                          (scratch / "data.npz").string(),
                                          "--out",
                                          out.string(),
                                          "--steps",
                                          std::to_string(kSteps),
                                          "--channels",
                                          "16",
                                          "--depth",
                                          "2",
                                          "--heads",
                                          "2",
                                          "--patch",
                                          "2",
                                          "--batch",
                                          "16",
                                          "--lr",
                                          "5e-3",
                                          "--warmup",
                                          "5",
                                          "--class-dropout",
                                          "0.2",
                                          "--log-every",
                                          "1"};
  const Outcome trained = run_ito(train);
  ASSERT_EQ(trained.code, 0) << trained.err;
  std::vector<Json> rows = read_jsonl(out / "metrics.jsonl").value();
  std::erase_if(rows, [](const Json& row) { return !row.contains("loss"); });
  ASSERT_EQ(rows.size(), kSteps);
  double first = 0, last = 0;
  for (size_t i = 0; i < kSteps / 4; ++i) {
    first += rows[i].at("loss").get<double>();
    last += rows[kSteps - 1 - i].at("loss").get<double>();
  }
  EXPECT_LT(last, 0.9 * first);
  const Json config = read_json(out / "transformer/config.json").value();
  EXPECT_EQ(config.at("_class_name"), "DiTTransformer2DModel");
  EXPECT_EQ(config.at("num_embeds_ada_norm"), 3);  // and the row for none
  const Outcome sampled =
      run_ito({"sample", "--model", out.string(), "--sampler", "ipndm", "--steps", "5", "--class",
               "2", "--num", "2", "--out", (scratch / "grid.png").string()});
  EXPECT_EQ(sampled.code, 0) << sampled.err;
  const Outcome refused = run_ito({"train", "--data", (scratch / "data.npz").string(), "--out",
                                   (scratch / "other").string(), "--steps", "1", "--patch", "2"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("--patch is of --network dit"), std::string::npos) << refused.err;
}

class DiTOnLatents : public VulkanTest {};

// DiTPipeline: the transformer gives a variance of four latent channels, which an autoencoder
// decodes.
TEST_F(DiTOnLatents, SamplesAreDecoded) {
  const Scratch scratch;
  DiTConfig config;
  config.sample_size = 4;
  config.out_channels = 8;
  config.num_layers = 1;
  config.num_attention_heads = 2;
  config.attention_head_dim = 4;
  config.num_embeds_ada_norm = 2;
  Model model = tiny_pipeline();
  model.network = dit_network(config).value();
  model.weights = initial_parameters(model.network.set(), 1);
  model.scheduler.variance_type = "learned_range";
  ASSERT_OK(save_model(scratch / "model", model));
  ASSERT_OK_AND_ASSIGN(const Model loaded, load_model(scratch / "model"));
  ASSERT_TRUE(loaded.decoder.has_value());
  SampleOptions options;
  options.steps = 2;
  options.batch = 1;
  ASSERT_OK_AND_ASSIGN(const auto session, SamplingSession::create(device(), loaded, options));
  EXPECT_EQ(session->shape(1), (Shape{1, 8, 8, 3}));
  const std::vector<SampleRequest> requests = {{.seed = 1, .label = 1}};
  ASSERT_OK_AND_ASSIGN(const std::vector<float> picture, session->sample(requests));
  ASSERT_EQ(picture.size(), 8u * 8 * 3);
  for (const float value : picture) ASSERT_TRUE(std::isfinite(value));
}

}  // namespace
}  // namespace ito::test
