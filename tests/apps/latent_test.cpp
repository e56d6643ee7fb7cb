// Latent diffusion: a conditional pipeline on files, its context and its autoencoder; and tiles.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "api/autoencoder.h"
#include "api/forward.h"
#include "api/sampling.h"
#include "diffusion/streams.h"
#include "diffusion/torch_rng.h"
#include "io/layout.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_pipeline.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

constexpr int64_t kFactor = 2;  // pixels per latent

// Each latent's value in a square of pixels: what needs no blending.
Result<std::vector<float>> squares(const Shape& shape, std::span<const float> latents) {
  std::vector<float> picture;
  for (int64_t n = 0; n < shape[0]; ++n)
    for (int64_t y = 0; y < shape[1] * kFactor; ++y)
      for (int64_t x = 0; x < shape[2] * kFactor; ++x)
        picture.push_back(latents[static_cast<size_t>(
            ((n * shape[1] + y / kFactor) * shape[2] + x / kFactor) * shape[3])]);
  return picture;
}

TEST(Tiles, OfALocalDecoderMakeThePicture) {
  const Shape shape{2, 11, 7, 3};
  const std::vector<float> latents = waves(shape.numel(), 0.37f);
  ASSERT_OK_AND_ASSIGN(const std::vector<float> whole, squares(shape, latents));
  ASSERT_OK_AND_ASSIGN(
      const std::vector<float> tiled,
      decode_in_tiles({.tile = 4, .factor = kFactor, .channels = 1}, shape, latents, squares));
  ASSERT_EQ(tiled.size(), whole.size());
  // A blend of equal numbers rounds.
  for (size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(tiled[i], whole[i], 1e-6) << i;
}

// Tiles that are the numbers 1, 2, 3 … in the order of their decoding. One tile has 8 pixels, the
// next begins 6 later and fades in over 2: shares 0 and 1/2, downwards first.
TEST(Tiles, FadeIntoOneAnother) {
  int count = 0;
  const auto numbered = [&](const Shape& piece, std::span<const float>) {
    return Result<std::vector<float>>(std::vector<float>(
        static_cast<size_t>(piece[1] * piece[2] * kFactor * kFactor), static_cast<float>(++count)));
  };
  const Shape shape{1, 6, 6, 1};
  ASSERT_OK_AND_ASSIGN(const std::vector<float> picture,
                       decode_in_tiles({.tile = 4, .factor = kFactor, .channels = 1}, shape,
                                       std::vector<float>(36), numbered));
  EXPECT_EQ(count, 4);
  const auto at = [&](int y, int x) { return picture[static_cast<size_t>(y * 12 + x)]; };
  EXPECT_EQ(at(0, 5), 1);
  EXPECT_EQ(at(0, 6), 1);
  EXPECT_EQ(at(0, 7), 1.5f);
  EXPECT_EQ(at(0, 8), 2);
  EXPECT_EQ(at(6, 0), 1);
  EXPECT_EQ(at(7, 0), 2);  // half of 1, half of 3
  EXPECT_EQ(at(8, 0), 3);
  EXPECT_EQ(at(8, 7), 3.5f);
  EXPECT_EQ(at(8, 8), 4);
  EXPECT_EQ(at(7, 8), 3);
  // Half of the second tile's own blend 1.5 and half of 4; of that half, and half of the third's 2.
  EXPECT_EQ(at(7, 7), ((1.5f + 4) / 2 + 2) / 2);
}

class LatentDiffusion : public VulkanTest {};

TEST_F(LatentDiffusion, SamplesAreDecodedLatentsOfTheirContext) {
  const Scratch scratch;
  Model model = tiny_pipeline({.shift_factor = 0.25});
  ASSERT_OK(save_model(scratch / "model", model));
  ASSERT_OK_AND_ASSIGN(Model loaded, load_model(scratch / "model"));
  EXPECT_EQ(loaded.weights, model.weights);
  ASSERT_TRUE(loaded.decoder.has_value());
  EXPECT_EQ(loaded.decoder->weights, model.decoder->weights);

  SampleOptions options;
  options.steps = 3;
  options.batch = 2;
  const auto missing = SamplingSession::create(device(), model, options);
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("--context"), std::string::npos);

  const ContextStates states{.rows = 2, .length = 5, .features = 6, .values = waves(60, 1.1f)};
  options.context = &states;
  const std::vector<SampleRequest> requests = {{.seed = 1, .context = 0},
                                               {.seed = 1, .context = 1}};
  ASSERT_OK_AND_ASSIGN(const auto session, SamplingSession::create(device(), loaded, options));
  EXPECT_EQ(session->shape(2), (Shape{2, 8, 8, 3}));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> pictures, session->sample(requests));
  ASSERT_EQ(pictures.size(), 2u * 8 * 8 * 3);
  // One seed, two contexts.
  double difference = 0;
  for (size_t i = 0; i < 192; ++i)
    difference = std::max(difference, std::fabs(double{pictures[i]} - pictures[192 + i]));
  EXPECT_GT(difference, 1e-3);

  // The same latents without the autoencoder, decoded by hand: latent / scale + shift.
  model.decoder.reset();
  ASSERT_OK_AND_ASSIGN(const auto bare, SamplingSession::create(device(), model, options));
  ASSERT_OK_AND_ASSIGN(std::vector<float> latents, bare->sample(requests));
  ASSERT_EQ(latents.size(), 2u * 4 * 4 * 4);
  for (float& value : latents) value = value / 0.18215f + 0.25f;
  ASSERT_OK_AND_ASSIGN(const auto decoder,
                       LatentDecoder::create(device(), *loaded.decoder, /*tiled=*/false));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> decoded, decoder->decode({2, 4, 4, 4}, latents));
  ASSERT_EQ(decoded.size(), pictures.size());
  for (size_t i = 0; i < decoded.size(); ++i) EXPECT_NEAR(decoded[i], pictures[i], 1e-5) << i;
}

// u + s (c - u): at scale 1 the context alone, at scale 0 the negative one alone, and with both the
// same no change at any scale. One step of DDIM is affine in it, so that scale 2 lies on the line.
TEST_F(LatentDiffusion, GuidanceLeadsFromTheNegativeContextToTheContext) {
  Model model = tiny_pipeline({.shift_factor = 0.25});
  model.decoder.reset();
  const ContextStates states{.rows = 2, .length = 5, .features = 6, .values = waves(60, 1.1f)};
  const ContextStates none{.rows = 1, .length = 5, .features = 6, .values = waves(30, 0.7f)};
  const std::vector<SampleRequest> requests = {{.seed = 1, .context = 0},
                                               {.seed = 2, .context = 1}};
  const auto sample = [&](const ContextStates* context, std::optional<double> scale,
                          const ContextStates* negative) {
    SampleOptions options;
    options.sampler = "ddim";
    options.steps = 1;
    options.spacing = "trailing";  // from noise to x_0 at once: (x - std ε)/mean, in the hundreds
    options.batch = 2;
    options.context = context;
    options.negative_context = negative;
    if (scale) options.classifier_free = ClassifierFree{.scale = *scale};
    std::vector<SampleRequest> asked = requests;
    if (context == &none)
      for (SampleRequest& request : asked) request.context = 0;
    auto session = SamplingSession::create(device(), model, options);
    EXPECT_TRUE(session.ok()) << (session.ok() ? "" : session.error().message);
    return session.ok() ? (*session)->sample(asked).value() : std::vector<float>();
  };
  const std::vector<float> with = sample(&states, {}, nullptr),
                           without = sample(&none, {}, nullptr);
  const std::vector<float> one = sample(&states, 1, &none), zero = sample(&states, 0, &none),
                           two = sample(&states, 2, &none), same = sample(&none, 3, &none);
  ASSERT_EQ(with.size(), 2u * 4 * 4 * 4);
  double apart = 0;
  for (size_t i = 0; i < with.size(); ++i) {
    EXPECT_NEAR(one[i], with[i], 5e-3) << i;
    EXPECT_NEAR(zero[i], without[i], 5e-3) << i;
    EXPECT_NEAR(same[i], without[i], 5e-3) << i;
    EXPECT_NEAR(two[i], 2 * with[i] - without[i], 1e-2) << i;
    apart = std::max(apart, std::fabs(double{with[i]} - without[i]));
  }
  EXPECT_GT(apart, 1);
  SampleOptions options;
  options.steps = 1;
  options.context = &states;
  options.classifier_free = ClassifierFree{.scale = 2};
  const auto missing = SamplingSession::create(device(), model, options);
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("--negative-context"), std::string::npos);
}

// Image to image: a draw of the picture's latents, noised by as much as the strength says. The draw
// and the noise of PyTorch's generator follow one another, as diffusers draws them.
TEST_F(LatentDiffusion, BeginsAtAPicture) {
  const Model model = tiny_pipeline();
  const ContextStates states{.rows = 1, .length = 5, .features = 6, .values = waves(30, 1.1f)};
  const std::vector<float> picture = waves(8 * 8 * 3, 0.05f);
  SampleOptions options;
  options.sampler = "ddim";
  options.steps = 20;
  options.batch = 2;
  options.context = &states;
  ASSERT_OK_AND_ASSIGN(EncodedPicture encoded, encode_picture(device(), model, {8, 8, 3}, picture));
  ASSERT_EQ(encoded.mean.size(), 4u * 4 * 4);
  ASSERT_EQ(encoded.std.size(), encoded.mean.size());
  options.initial = InitialImage{.picture = encoded, .strength = 0.5};
  const std::vector<SampleRequest> requests = {{.seed = 3}, {.seed = 4}};
  for (const RandomSource random : {RandomSource::kDevice, RandomSource::kTorch}) {
    options.random = random;
    ASSERT_OK_AND_ASSIGN(const auto session, SamplingSession::create(device(), model, options));
    ASSERT_OK_AND_ASSIGN(const std::vector<float> pictures, session->sample(requests));
    ASSERT_EQ(pictures.size(), 2u * 8 * 8 * 3);

    // The same from latents drawn by hand, and the autoencoder left out.
    std::vector<float> noise;
    if (random == RandomSource::kTorch) {
      for (const SampleRequest& request : requests) {
        std::vector<float> one(64);
        TorchGenerator(request.seed).randn(one);
        const std::vector<float> nhwc = nchw_to_nhwc(one, {1, 4, 4, 4});
        noise.insert(noise.end(), nhwc.begin(), nhwc.end());
      }
    } else {
      noise = picture_noise(std::vector<uint32_t>{3, 4}, 64, kStreamInitialLatents);
    }
    for (size_t image = 0; image < 2; ++image) {
      SampleOptions by_hand = options;
      EncodedPicture drawn;
      const std::vector<float> both = encoded.drawn(2, noise);
      drawn.mean.assign(both.begin() + static_cast<ptrdiff_t>(image * 64),
                        both.begin() + static_cast<ptrdiff_t>(image * 64 + 64));
      if (random == RandomSource::kTorch) {
        // A picture that is its mean takes no draw, so one that adds nothing is asked for.
        drawn.std.assign(64, 0);
      }
      by_hand.initial->picture = drawn;
      ASSERT_OK_AND_ASSIGN(const auto again, SamplingSession::create(device(), model, by_hand));
      ASSERT_OK_AND_ASSIGN(const std::vector<float> one,
                           again->sample(std::span(requests).subspan(image, 1)));
      for (size_t i = 0; i < one.size(); ++i)
        ASSERT_NEAR(one[i], pictures[image * one.size() + i], 1e-5) << i;
    }
  }
}

TEST_F(LatentDiffusion, InversionGivesLatentsThatLeadBack) {
  const Scratch scratch;
  Model model = tiny_pipeline();
  model.scheduler.num_train_timesteps = 100;
  ASSERT_OK(save_model(scratch / "model", model));
  TensorFile context;
  context.tensors.emplace("encoder_hidden_states", tensor_from_floats({1, 5, 6}, waves(30, 1.1f)));
  ASSERT_OK(write_safetensors(scratch / "context.safetensors", context));
  Image picture{8, 8, 3, {}};
  for (int i = 0; i < 8 * 8 * 3; ++i) picture.pixels.push_back(static_cast<uint8_t>(60 + i % 97));
  ASSERT_TRUE(write_png(scratch / "a.png", picture).ok());
  const auto sample = [&](std::vector<std::string> more) {
    return run_ito(
        with({"sample", "--model", (scratch / "model").string(), "--context",
              (scratch / "context.safetensors").string(), "--steps", "100", "--num", "1"},
             std::move(more)));
  };
  Outcome outcome =
      sample({"--sampler", "ddim-inverse", "--init-image", (scratch / "a.png").string(), "--out",
              (scratch / "a.safetensors").string()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  ASSERT_OK_AND_ASSIGN(const TensorFile latents, read_safetensors(scratch / "a.safetensors"));
  EXPECT_EQ(latents.tensors.at("latents").shape, (Shape{1, 4, 4, 4}));
  outcome = sample({"--sampler", "ddim", "--latents", (scratch / "a.safetensors").string(), "--out",
                    (scratch / "back.safetensors").string()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  ASSERT_OK_AND_ASSIGN(const TensorFile back, read_safetensors(scratch / "back.safetensors"));
  // The same by hand: from the picture's mean latents without the autoencoder, and back through it.
  std::vector<float> pixels;
  for (const uint8_t value : picture.pixels)
    pixels.push_back(static_cast<float>(value) / 127.5f - 1);
  ASSERT_OK_AND_ASSIGN(EncodedPicture encoded, encode_picture(device(), model, {8, 8, 3}, pixels));
  encoded.std.clear();
  ASSERT_OK_AND_ASSIGN(const auto decoder,
                       LatentDecoder::create(device(), *model.decoder, /*tiled=*/false));
  model.decoder.reset();
  const ContextStates states{.rows = 1, .length = 5, .features = 6, .values = waves(30, 1.1f)};
  SampleOptions options;
  options.steps = 100;
  options.batch = 1;
  options.context = &states;
  std::vector<float> x = encoded.drawn(1, {});
  for (const char* sampler : {"ddim-inverse", "ddim"}) {
    options.sampler = sampler;
    ASSERT_OK_AND_ASSIGN(const auto session, SamplingSession::create(device(), model, options));
    ASSERT_OK_AND_ASSIGN(x, session->sample_from(x, std::vector<SampleRequest>{{.seed = 0}}));
    if (sampler == std::string("ddim")) continue;
    const HostTensor& written = latents.tensors.at("latents");
    const std::vector<float> values = nchw_to_nhwc(to_floats(written), written.shape);
    for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(values[i], x[i], 1e-5) << i;
  }
  ASSERT_OK_AND_ASSIGN(const std::vector<float> through, decoder->decode_scaled({1, 4, 4, 4}, x));
  const HostTensor& images = back.tensors.at("images");
  ASSERT_EQ(images.shape, (Shape{1, 3, 8, 8}));
  const std::vector<float> values = nchw_to_nhwc(to_floats(images), images.shape);
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], through[i], 1e-4) << i;
}

TEST_F(LatentDiffusion, CommandsTakeContextsAndAutoencoders) {
  const Scratch scratch;
  ASSERT_OK(save_model(scratch / "model", tiny_pipeline({.shift_factor = 0.25})));
  TensorFile context;
  context.tensors.emplace("encoder_hidden_states", tensor_from_floats({1, 5, 6}, waves(30, 1.1f)));
  ASSERT_OK(write_safetensors(scratch / "context.safetensors", context));
  const Outcome sampled = run_ito({"sample", "--model", (scratch / "model").string(), "--context",
                                   (scratch / "context.safetensors").string(), "--num", "2",
                                   "--steps", "2", "--out", (scratch / "out.npz").string()});
  EXPECT_EQ(sampled.code, 0) << sampled.err;
  const Outcome without = run_ito({"sample", "--model", (scratch / "model").string(), "--num", "1",
                                   "--out", (scratch / "none.npz").string()});
  EXPECT_NE(without.code, 0);
  EXPECT_NE(without.err.find("--context"), std::string::npos) << without.err;

  // Twice the size of the autoencoder's pictures: in tiles by the command as in a session.
  const Outcome tiled = run_ito(
      {"sample", "--model", (scratch / "model").string(), "--context",
       (scratch / "context.safetensors").string(), "--seeds", "1", "--steps", "2", "--sampler",
       "ddim", "--size", "16", "--vae-tiling", "--out", (scratch / "tiled.safetensors").string()});
  ASSERT_EQ(tiled.code, 0) << tiled.err;
  const HostTensor found =
      read_safetensors(scratch / "tiled.safetensors").value().tensors.at("images");
  ASSERT_EQ(found.shape, (Shape{1, 3, 16, 16}));
  const std::vector<float> values = nchw_to_nhwc(to_floats(found), found.shape);
  const ContextStates states{.rows = 1, .length = 5, .features = 6, .values = waves(30, 1.1f)};
  SampleOptions options;
  options.sampler = "ddim";
  options.steps = 2;
  options.batch = 1;
  options.height = options.width = 8;
  options.context = &states;
  ASSERT_OK_AND_ASSIGN(const Model model, load_model(scratch / "model"));
  for (const bool in_tiles : {true, false}) {
    options.tiled = in_tiles;
    ASSERT_OK_AND_ASSIGN(const auto session, SamplingSession::create(device(), model, options));
    ASSERT_OK_AND_ASSIGN(const std::vector<float> own,
                         session->sample(std::vector<SampleRequest>{{.seed = 1}}));
    double most = 0;
    for (size_t i = 0; i < values.size(); ++i)
      most = std::max(most, std::fabs(double{values[i]} - own[i]));
    EXPECT_EQ(most < 1e-5, in_tiles) << most;
  }

  TensorFile pictures;
  pictures.tensors.emplace("sample", tensor_from_floats({1, 3, 8, 12}, waves(288, 0.2f)));
  pictures.tensors.emplace("latent", tensor_from_floats({1, 4, 4, 6}, waves(96, 0.3f)));
  ASSERT_OK(write_safetensors(scratch / "in.safetensors", pictures));
  const Outcome forwarded = run_ito({"forward", "--model", (scratch / "model" / "vae").string(),
                                     "--in", (scratch / "in.safetensors").string(), "--out",
                                     (scratch / "o.safetensors").string()});
  ASSERT_EQ(forwarded.code, 0) << forwarded.err;
  const TensorFile out = read_safetensors(scratch / "o.safetensors").value();
  EXPECT_EQ(out.tensors.at("moments").shape, (Shape{1, 8, 4, 6}));
  EXPECT_EQ(out.tensors.at("mean").shape, (Shape{1, 4, 4, 6}));
  EXPECT_EQ(out.tensors.at("decoded").shape, (Shape{1, 3, 8, 12}));
  for (const float std : to_floats(out.tensors.at("std"))) EXPECT_GT(std, 0);
  const Outcome inspected = run_ito({"inspect", (scratch / "model").string()});
  EXPECT_NE(inspected.out.find("AutoencoderKL"), std::string::npos) << inspected.out;
}

}  // namespace
}  // namespace ito::test
