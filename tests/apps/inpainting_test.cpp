// Networks that fill in pictures and networks that are told their guidance scale: what a session
// tells them is what diffusers' pipelines do, replayed on the host by one evaluation at a time.
#include "api/inpainting.h"

#include <gtest/gtest.h>

#include <cmath>

#include "api/forward.h"
#include "api/sampling.h"
#include "diffusion/streams.h"
#include "diffusion/torch_rng.h"
#include "io/image.h"
#include "io/layout.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "nn/autoencoder_kl.h"
#include "nn/unet2d.h"
#include "nn/unet2d_condition.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_pipeline.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

constexpr int kSide = 4, kLatents = 4, kFactor = 2, kContext = 6, kStates = 5;
constexpr double kScale = 8.5, kVaeScale = 0.18215;
constexpr uint32_t kSeed = 11;

// 2 * 4 + 1 input channels; `guidance` features of an embedded guidance scale, or none.
Model inpainting_pipeline(std::optional<int> guidance) {
  return tiny_pipeline({.in_channels = 2 * kLatents + 1, .guidance = guidance});
}

// A picture of 8x8x3 and a mask whose lower half and upper left corner are to be filled.
std::vector<float> picture() { return waves(8 * 8 * 3, 0.9f); }
std::vector<float> fill_mask() {
  std::vector<float> fill(64);
  for (size_t i = 0; i < 64; ++i) fill[i] = i >= 32 || i == 0 ? 1.0f : 0.0f;
  return fill;
}

// 1000 (s - 1) = 7500 times 1, 0.0464, 0.00215, 0.0001; single precision knows angles of thousands
// to 2^-11, but 7500 exactly, the others to 3e-5.
TEST(GuidanceEmbedding, HasDiffusersNumbers) {
  const std::vector<float> eight = guidance_embedding(8.5, 8);
  const double expected[] = {-0.85123590, 0.56267825,  -0.43523286, 0.68163876,
                             -0.52478323, -0.82667598, -0.90031792, 0.73168887};
  ASSERT_EQ(eight.size(), 8u);
  for (size_t i = 0; i < 8; ++i) EXPECT_NEAR(eight[i], expected[i], 1e-4) << i;
  // No guidance, and an odd number of features.
  EXPECT_EQ(guidance_embedding(1, 5), (std::vector<float>{0, 0, 1, 1, 0}));
}

TEST(Inpainting, IsKnownByItsChannels) {
  EXPECT_TRUE(fills_in({.in_channels = 9, .out_channels = 4}));
  EXPECT_FALSE(fills_in({.in_channels = 4, .out_channels = 4}));
  EXPECT_FALSE(fills_in({.in_channels = 3, .out_channels = 6}));
  EXPECT_FALSE(fills_in({.in_channels = 3, .out_channels = 1, .image_out = false}));
  EXPECT_EQ(sample_channels({.in_channels = 9, .out_channels = 4}), 4);
  EXPECT_EQ(sample_channels({.in_channels = 3, .out_channels = 6}), 3);
}

TEST(Inpainting, PutsTheMaskBeforeWhatIsKnown) {
  const Inpainting given{
      .fill = {1, 0},
      .known = {.mean = {2, 3, 4, 5}, .std = {1, 1, 0, 2}, .scale = 0.5, .shift = 1}};
  const std::vector<float> noise = {0, 0, 0, 0, 1, -1, 7, 2};
  EXPECT_EQ(inpainting_input(given, 2, noise),
            (std::vector<float>{1, 0.5f, 1, 0, 1.5f, 2, 1, 1, 0.5f, 0, 1.5f, 4}));
}

TEST(Inpainting, NoiseIsAFunctionOfTheSeed) {
  const std::vector<uint32_t> seeds = {3, 4};
  const std::vector<float> both = picture_noise(seeds, 6, kStreamKnownLatents);
  ASSERT_EQ(both.size(), 12u);
  EXPECT_EQ(picture_noise(std::vector<uint32_t>{4}, 6, kStreamKnownLatents),
            (std::vector<float>{both.begin() + 6, both.end()}));
  EXPECT_NE(both[0], both[6]);
}

class InpaintingSession : public VulkanTest {};

// Stable Diffusion's inpainting by DDIM (eta 0, two steps, 500 and 0): each evaluation is given
// [latents, mask, masked latents], the mask's upper left pixels and a sample of the encoded picture
// whose filled part is grey, drawn after the latents; and the embedded guidance scale.
TEST_F(InpaintingSession, IsWhatDiffusersPipelineDoes) {
  Model model = inpainting_pipeline(8);
  const ContextStates states{.rows = 1,
                             .length = kStates,
                             .features = kContext,
                             .values = waves(kStates * kContext, 1.1f)};
  SampleOptions options;
  options.sampler = "ddim";
  options.steps = 2;
  options.batch = 1;
  options.random = RandomSource::kTorch;
  options.context = &states;
  options.guidance_scale = kScale;
  ASSERT_OK_AND_ASSIGN(options.inpainting,
                       inpainting_of(device(), model, {8, 8, 3}, picture(), fill_mask()));
  ASSERT_OK_AND_ASSIGN(const auto whole, SamplingSession::create(device(), model, options));
  EXPECT_EQ(whole->shape(1), (Shape{1, 8, 8, 3}));
  ASSERT_OK(whole->sample(std::vector<SampleRequest>{{.seed = kSeed}}));

  // On the host, planes first. The masked picture through the encoder:
  Model encoder;
  encoder.network = model.decoder->network;
  encoder.weights = model.decoder->weights;
  std::vector<float> masked = nhwc_to_nchw(picture(), {1, 8, 8, 3});
  for (size_t i = 0; i < masked.size(); ++i)
    if (fill_mask()[i % 64] == 1) masked[i] = 0;
  TensorFile sample;
  sample.tensors.emplace("sample", tensor_from_floats({1, 3, 8, 8}, masked));
  ASSERT_OK_AND_ASSIGN(const TensorFile moments, forward(device(), encoder, sample, false, "test"));
  const std::vector<float> mean = to_floats(moments.tensors.at("mean")),
                           std = to_floats(moments.tensors.at("std"));
  constexpr size_t kNumbers = kLatents * kSide * kSide;
  ASSERT_EQ(mean.size(), kNumbers);
  TorchGenerator generator(kSeed);
  std::vector<float> x(kNumbers), posterior(kNumbers), known(kNumbers);
  generator.randn(x);
  generator.randn(posterior);
  for (size_t i = 0; i < kNumbers; ++i)
    known[i] = static_cast<float>(kVaeScale * (double{mean[i]} + double{std[i]} * posterior[i]));
  std::vector<float> mask;
  for (size_t y = 0; y < kSide; ++y)
    for (size_t c = 0; c < kSide; ++c) mask.push_back(fill_mask()[y * kFactor * 8 + c * kFactor]);
  EXPECT_EQ(mask, (std::vector<float>{1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1}));

  const auto alpha_bar = [](int last) {
    double product = 1;
    for (int t = 0; t <= last; ++t) product *= 1 - (1e-4 + (0.02 - 1e-4) * t / 999.0);
    return product;
  };
  const Model network = [&] {
    Model alone = model;
    alone.decoder.reset();
    return alone;
  }();
  for (const int t : {500, 0}) {
    std::vector<float> given = x;
    given.insert(given.end(), mask.begin(), mask.end());
    given.insert(given.end(), known.begin(), known.end());
    TensorFile inputs;
    inputs.tensors.emplace("sample", tensor_from_floats({1, 9, kSide, kSide}, given));
    inputs.tensors.emplace("timestep", tensor_from_floats({1}, {static_cast<float>(t)}));
    inputs.tensors.emplace("encoder_hidden_states",
                           tensor_from_floats({1, kStates, kContext}, states.values));
    inputs.tensors.emplace("timestep_cond",
                           tensor_from_floats({1, 8}, guidance_embedding(kScale, 8)));
    ASSERT_OK_AND_ASSIGN(const TensorFile out, forward(device(), network, inputs, false, "test"));
    const std::vector<float> epsilon = to_floats(out.tensors.at("out"));
    const double a = alpha_bar(t), to = t == 0 ? 1 : alpha_bar(0);
    for (size_t i = 0; i < kNumbers; ++i) {
      const double x0 = (x[i] - std::sqrt(1 - a) * epsilon[i]) / std::sqrt(a);
      x[i] = static_cast<float>(std::sqrt(to) * x0 + std::sqrt(1 - to) * epsilon[i]);
    }
  }
  ASSERT_OK_AND_ASSIGN(const auto latents, SamplingSession::create(device(), network, options));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> found,
                       latents->sample(std::vector<SampleRequest>{{.seed = kSeed}}));
  const std::vector<float> planes = nhwc_to_nchw(found, {1, kSide, kSide, kLatents});
  ASSERT_EQ(planes.size(), kNumbers);
  // √ᾱ of 500 is 0.28: what rounding there is in ε is magnified by 3.4.
  for (size_t i = 0; i < kNumbers; ++i) EXPECT_NEAR(planes[i], x[i], 5e-5) << i;
}

TEST_F(InpaintingSession, WhatIsMissingOrMeansNothingIsNamed) {
  const Model model = inpainting_pipeline(8), plain = inpainting_pipeline({});
  const ContextStates states{.rows = 1,
                             .length = kStates,
                             .features = kContext,
                             .values = waves(kStates * kContext, 1.1f)};
  ASSERT_OK_AND_ASSIGN(const Inpainting given,
                       inpainting_of(device(), model, {8, 8, 3}, picture(), fill_mask()));
  const auto refusal = [&](const Model& of, const std::function<void(SampleOptions&)>& change) {
    SampleOptions options;
    options.steps = 2;
    options.batch = 1;
    options.context = &states;
    options.guidance_scale = kScale;
    options.inpainting = given;
    change(options);
    const auto session = SamplingSession::create(device(), of, options);
    return session.ok() ? std::string("accepted") : session.error().message;
  };
  EXPECT_EQ(refusal(model, [](SampleOptions&) {}), "accepted");
  EXPECT_NE(
      refusal(model, [](SampleOptions& o) { o.guidance_scale.reset(); }).find("time_cond_proj_dim"),
      std::string::npos);
  EXPECT_NE(refusal(plain, [](SampleOptions&) {}).find("time_cond_proj_dim"), std::string::npos);
  EXPECT_NE(refusal(model, [](SampleOptions& o) { o.inpainting.reset(); }).find("--inpaint"),
            std::string::npos);
  EXPECT_NE(refusal(model, [](SampleOptions& o) { o.classifier_free = ClassifierFree{}; })
                .find("classifier-free"),
            std::string::npos);
  EXPECT_NE(refusal(model, [](SampleOptions& o) { o.height = o.width = 8; }).find("expected 8x8x4"),
            std::string::npos);
  const auto wrong = inpainting_of(device(), model, {8, 8, 3}, picture(), {});
  ASSERT_FALSE(wrong.ok());
  EXPECT_NE(wrong.error().message.find("a mask of 0"), std::string::npos);
}

// In pixels, and the noise on the device: images of a seed do not depend on the batch.
TEST_F(InpaintingSession, APixelModelIsToldThePictureItself) {
  UNet2DConfig config;
  config.sample_size = std::array<int, 2>{8, 8};
  config.in_channels = 3;
  config.out_channels = 1;
  config.block_out_channels = {8};
  config.down_block_types = {"DownBlock2D"};
  config.up_block_types = {"UpBlock2D"};
  config.layers_per_block = 1;
  config.norm_num_groups = 4;
  config.add_attention = false;
  Model model;
  model.network = unet2d_network(config).value();
  model.weights = initial_parameters(model.network.set(), 3);
  const std::vector<float> pixels = waves(64, 0.4f);
  ASSERT_OK_AND_ASSIGN(const Inpainting given,
                       inpainting_of(device(), model, {8, 8, 1}, pixels, fill_mask()));
  EXPECT_EQ(given.known.mean[0], 0);
  EXPECT_EQ(given.known.mean[1], pixels[1]);
  EXPECT_EQ(given.known.mean[40], 0);
  SampleOptions options;
  options.sampler = "ddpm";
  options.steps = 3;
  options.batch = 2;
  options.inpainting = given;
  ASSERT_OK_AND_ASSIGN(const auto session, SamplingSession::create(device(), model, options));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> two,
                       session->sample(std::vector<SampleRequest>{{.seed = 1}, {.seed = 2}}));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> second,
                       session->sample(std::vector<SampleRequest>{{.seed = 2}}));
  EXPECT_EQ(second, (std::vector<float>{two.begin() + 64, two.end()}));
  // What is known makes a difference.
  options.inpainting->known.mean.assign(64, 0.5f);
  ASSERT_OK_AND_ASSIGN(const auto other, SamplingSession::create(device(), model, options));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> changed,
                       other->sample(std::vector<SampleRequest>{{.seed = 2}}));
  EXPECT_NE(changed, second);
}

TEST(InpaintingCommand, FillsInAndRefusesByName) {
  const Scratch scratch;
  ASSERT_OK(save_model(scratch / "model", inpainting_pipeline(8)));
  TensorFile context;
  context.tensors.emplace("encoder_hidden_states",
                          tensor_from_floats({1, kStates, kContext}, waves(30, 1.1f)));
  ASSERT_OK(write_safetensors(scratch / "context.safetensors", context));
  Image colours{.h = 8, .w = 8, .c = 3, .pixels = {}}, mask{.h = 8, .w = 8, .c = 1, .pixels = {}};
  for (int i = 0; i < 192; ++i) colours.pixels.push_back(static_cast<uint8_t>(i));
  for (int i = 0; i < 64; ++i) mask.pixels.push_back(i < 32 ? 255 : 0);
  ASSERT_OK(write_png(scratch / "picture.png", colours));
  ASSERT_OK(write_png(scratch / "mask.png", mask));
  const auto sample = [&](const std::vector<std::string>& more) {
    return run_ito(with({"sample", "--model", (scratch / "model").string(), "--context",
                         (scratch / "context.safetensors").string(), "--num", "1", "--steps", "2",
                         "--out", (scratch / "out").string()},
                        more));
  };
  const std::string picture = (scratch / "picture.png").string();
  const std::string kept = (scratch / "mask.png").string();
  const Outcome filled = sample({"--inpaint", picture, "--mask", kept, "--guidance-scale", "7.5"});
  ASSERT_EQ(filled.code, 0) << filled.err;
  const Outcome settings = run_ito({"inspect", (scratch / "out/000000.png").string()});
  EXPECT_NE(settings.out.find("\"guidance_scale\": 7.5"), std::string::npos) << settings.out;
  // What the files held, not where they lay.
  EXPECT_EQ(settings.out.find("picture.png"), std::string::npos) << settings.out;

  const struct {
    std::vector<std::string> more;
    const char* named;
  } refusals[] = {
      {{"--guidance-scale", "7.5"}, "--inpaint"},
      {{"--inpaint", picture, "--mask", kept}, "--guidance-scale"},
      {{"--inpaint", picture, "--mask", kept, "--guidance-scale", "2", "--guidance-rescale", "0.5"},
       "--guidance-rescale"},
      {{"--inpaint", picture, "--mask", kept, "--guidance-scale", "2", "--null-class", "0"},
       "--null-class"},
      {{"--inpaint", picture, "--mask", kept, "--guidance-scale", "2", "--noise-std", "0.1"},
       "--noise-std"},
      {{"--colorize", picture, "--guidance-scale", "2"}, "--colorize"},
  };
  for (const auto& refusal : refusals) {
    const Outcome refused = sample(refusal.more);
    EXPECT_EQ(refused.code, 1) << refusal.named;
    EXPECT_NE(refused.err.find(refusal.named), std::string::npos) << refused.err;
  }
}

}  // namespace
}  // namespace ito::test
