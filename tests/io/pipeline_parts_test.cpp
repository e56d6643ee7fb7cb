// Parts of a pipeline that are not read: left out with a word where they change no picture, else a
// reason not to draw any.
#include "io/diffusers.h"
#include "io/safetensors.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::fails;
using test::put;
using test::succeeds;
using test::TempFolder;

constexpr const char* kUnet =
    R"({"_class_name": "UNet2DModel", "sample_size": 8, "in_channels": 1, "out_channels": 1,
        "block_out_channels": [8], "down_block_types": ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"], "layers_per_block": 1, "norm_num_groups": 4})";

class PipelineParts : public ::testing::Test {
 protected:
  void SetUp() override {
    put(folder_ / "unet" / "config.json", kUnet);
    put(folder_ / "scheduler" / "scheduler_config.json", R"({"_class_name": "DDPMScheduler"})");
    TensorFile weights;
    weights.tensors["conv_in.weight"] = tensor_from_floats({1}, {3});
    ASSERT_TRUE(
        succeeds(write_safetensors(folder_ / "unet/diffusion_pytorch_model.safetensors", weights)));
  }
  DiffusersModel with_index(const std::string& parts) {
    put(folder_ / "model_index.json",
        R"({"_class_name": "P", "unet": ["diffusers", "UNet2DModel"],)" + parts +
            R"("scheduler": ["diffusers", "DDPMScheduler"]})");
    auto model = read_diffusers(folder_.path());
    EXPECT_TRUE(succeeds(model));
    return model.ok() ? std::move(model).value() : DiffusersModel{};
  }
  static bool says(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  TempFolder folder_;
};

TEST_F(PipelineParts, ThatChangeNoPictureAreNamedInANote) {
  const DiffusersModel plain = with_index("");
  EXPECT_EQ(plain.unread, "");
  EXPECT_TRUE(plain.notes.empty());
  const DiffusersModel model = with_index(
      R"("safety_checker": ["s", "Checker"], "feature_extractor": ["t", "Extractor"],
         "image_encoder": [null, null], "requires_safety_checker": true,)");
  EXPECT_EQ(model.unread, "");
  ASSERT_EQ(model.notes.size(), 1u);
  EXPECT_TRUE(says(model.notes[0], "feature_extractor, safety_checker")) << model.notes[0];
  EXPECT_FALSE(says(model.notes[0], "image_encoder"));
}

TEST_F(PipelineParts, ThatMakeThePicturesAreMissed) {
  put(folder_ / "vqvae" / "config.json", R"({"_class_name": "VQModel"})");
  for (const char* parts : {R"("vqvae": ["diffusers", "VQModel"],)", ""})
    EXPECT_TRUE(says(with_index(parts).unread, "vqvae (VQModel)")) << parts;
  // The U-Net's own folder makes latents just as well.
  const auto alone = read_diffusers(folder_ / "unet");
  ASSERT_TRUE(succeeds(alone));
  EXPECT_TRUE(says(alone->unread, "vqvae"));
  // Weights that were averaged beside it are a network like it.
  std::filesystem::remove_all(folder_ / "vqvae");
  put(folder_ / "unet_ema" / "config.json", kUnet);
  EXPECT_EQ(with_index("").unread, "");
  for (const char* part : {"vae", "movq", "anything"}) {
    const DiffusersModel model =
        with_index("\"" + std::string(part) + R"(": ["diffusers", "AutoencoderKL"],)");
    EXPECT_TRUE(says(model.unread, std::string(part) + " (AutoencoderKL), whose folder is missing"))
        << model.unread;
  }
}

TEST_F(PipelineParts, ANetworkThatIsMissingOrAnotherIsNamed) {
  put(folder_ / "model_index.json", R"({"transformer": ["diffusers", "FluxTransformer2DModel"]})");
  EXPECT_TRUE(fails(read_diffusers(folder_.path()), ErrorKind::kUnsupported, "transformer",
                    "FluxTransformer2DModel"));
  put(folder_ / "model_index.json", R"({"unet": ["diffusers", "UNet2DModel"]})");
  std::filesystem::remove_all(folder_ / "unet");
  EXPECT_TRUE(
      fails(read_diffusers(folder_.path()), ErrorKind::kNotFound, "names unet", "is missing"));
}

TEST_F(PipelineParts, KeysThatChangeNothingAreNamedAndBookkeepingIsNot) {
  std::string config = kUnet;
  config.insert(1, R"("use_my_blocks": true, "_name_or_path": "x", "unused": null,)");
  put(folder_ / "unet" / "config.json", config);
  put(folder_ / "scheduler" / "scheduler_config.json",
      R"({"_class_name": "DDPMScheduler", "my_sigmas": 1, "unused": null, "use_karras_sigmas": true,
          "tensor_format": "pt"})");
  const DiffusersModel model = with_index("");
  ASSERT_EQ(model.denoiser.notes.size(), 1u);
  EXPECT_TRUE(says(model.denoiser.notes[0], "use_my_blocks is not known"));
  ASSERT_EQ(model.notes.size(), 1u);
  EXPECT_TRUE(says(model.notes[0], "my_sigmas")) << model.notes[0];
  EXPECT_FALSE(says(model.notes[0], "karras"));
  EXPECT_FALSE(says(model.notes[0], "tensor_format"));
}

TEST_F(PipelineParts, ASchedulerThatIsAnotherThanTheIndexSaysIsNamed) {
  put(folder_ / "scheduler" / "scheduler_config.json", R"({"_class_name": "DDIMScheduler"})");
  const DiffusersModel model = with_index("");
  ASSERT_EQ(model.notes.size(), 1u);
  EXPECT_TRUE(says(model.notes[0], "DDPMScheduler, its own file DDIMScheduler")) << model.notes[0];
}

}  // namespace
}  // namespace ito
