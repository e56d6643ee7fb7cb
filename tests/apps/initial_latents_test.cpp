// `ito train --init` of networks that want what no data set has, embeddings in place of classes or
// an autoencoder's latents: refused with a way out, and the way out works.
#include "io/safetensors.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"
#include "tests/apps/tiny_pipeline.h"

namespace ito::test {
namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class InitialLatents : public ::testing::Test {
 protected:
  Outcome train(const std::string& data, const std::vector<std::string>& more) const {
    return run_ito(with({"train", "--data", path(data), "--out", path("run"), "--steps", "1",
                         "--batch", "2", "--checkpoint-every", "100"},
                        more));
  }
  std::string path(const std::string& name) const { return (scratch_ / name).string(); }
  // Twelve latents [12,4,8,8] between -most and most.
  void write_latents(const std::string& name, float most) const {
    std::vector<float> values = waves(int64_t{12} * 4 * 8 * 8, 0.7f);
    for (float& v : values) v *= most;
    TensorFile file;
    file.tensors.emplace("latents", tensor_from_floats({12, 4, 8, 8}, values));
    ASSERT_TRUE(write_safetensors(scratch_ / name, file).ok());
  }

  Scratch scratch_;
};

TEST_F(InitialLatents, OfOtherClassEmbeddingsAreTrainedWithoutThem) {
  write_tiny_data(scratch_ / "data.npz");
  for (const char* type : {"timestep", "identity"}) {
    UNet2DConfig config;
    config.sample_size = std::array<int, 2>{8, 8};
    config.in_channels = config.out_channels = 1;
    config.block_out_channels = {8};
    config.down_block_types = {"DownBlock2D"};
    config.up_block_types = {"UpBlock2D"};
    config.layers_per_block = 1;
    config.norm_num_groups = 4;
    config.add_attention = false;
    config.class_embed_type = type;
    const Network network = unet2d_network(config).value();
    std::filesystem::remove_all(scratch_ / "model");
    std::filesystem::remove_all(scratch_ / "run");
    ASSERT_TRUE(
        save_model(scratch_ / "model", network, {}, initial_parameters(network.set(), 2)).ok());
    const Outcome refused = train("data.npz", {"--init", path("model")});
    EXPECT_EQ(refused.code, 1);
    EXPECT_TRUE(says(refused.err, "class_embed_type \"" + std::string(type) + "\" wants"))
        << refused.err;
    EXPECT_TRUE(says(refused.err, "without class_embed_type in its config.json")) << refused.err;
    const Path file = scratch_ / "model/unet/config.json";
    Json json = read_json(file).value();
    ASSERT_EQ(json.erase("class_embed_type"), 1u);
    ASSERT_TRUE(write_file_atomic(file, dump_json(json)).ok());
    const Outcome trained = train("data.npz", {"--init", path("model"), "--classes"});
    EXPECT_EQ(trained.code, 0) << trained.err;
    EXPECT_EQ(read_json(scratch_ / "run/unet/config.json")->at("num_class_embeds"), 3);
  }
}

TEST_F(InitialLatents, OfAPipelineAreRefusedWithAWayOut) {
  ASSERT_TRUE(save_model(scratch_ / "pipeline", tiny_pipeline()).ok());
  write_latents("latents.safetensors", 1);
  for (const char* folder : {"pipeline", "pipeline/unet"}) {
    const Outcome outcome = train("latents.safetensors", {"--init", path(folder)});
    EXPECT_NE(outcome.code, 0);
    EXPECT_TRUE(says(outcome.err, "a network of latents")) << outcome.err;
    EXPECT_TRUE(says(outcome.err, "leave --init out")) << outcome.err;
  }
}

TEST_F(InitialLatents, AreTrainedOnAsPicturesOfFourChannels) {
  write_latents("wide.safetensors", 4.5f);
  const std::vector<std::string> dit = {"--network", "dit",     "--channels", "8",       "--depth",
                                        "1",         "--heads", "2",          "--patch", "2"};
  const Outcome wide = train("wide.safetensors", dit);
  EXPECT_EQ(wide.code, 1);
  EXPECT_TRUE(says(wide.err, "as latents are, are trained on once they are divided by 4."))
      << wide.err;
  write_latents("latents.safetensors", 1);
  const Outcome trained = train("latents.safetensors", dit);
  ASSERT_EQ(trained.code, 0) << trained.err;
  std::filesystem::rename(scratch_ / "run", scratch_ / "first");
  const Outcome tuned = train("latents.safetensors", {"--init", path("first")});
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  EXPECT_EQ(read_json(scratch_ / "run/transformer/config.json")->at("in_channels"), 4);
  const Outcome drawn = run_ito({"sample", "--model", path("run"), "--num", "2", "--steps", "2",
                                 "--out", path("drawn.safetensors")});
  ASSERT_EQ(drawn.code, 0) << drawn.err;
  EXPECT_EQ(read_safetensors(scratch_ / "drawn.safetensors")->tensors.at("images").shape,
            (Shape{2, 4, 8, 8}));
}

}  // namespace
}  // namespace ito::test
