// Pictures that a sampling job begins at or fills in, from an engine's memory, buffers and images.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>

#include "api/control.h"
#include "io/pictures/picture.h"
#include "nn/unet2d.h"
#include "tests/embed/embedded_host.h"

namespace ito::test {
namespace {

class PortableEmbeddedPictures : public EmbeddedHost {
 protected:
  ItoSampleInfo image_to_image(ItoPixelFormat format) {
    ItoSampleInfo info = sample_info("ddim", 5, 2);
    info.eta = 1;  // with noise of its own besides the picture's
    info.strength = 0.6;
    info.picture_format = format;
    return info;
  }
  ItoSampleInfo inpainting(ItoPixelFormat picture, ItoPixelFormat mask) {
    ItoSampleInfo info = sample_info("ddpm", 4, 2);
    info.inpaint = VK_TRUE;
    info.picture_format = picture;
    info.mask_format = mask;
    return info;
  }
  std::vector<float> run(ItoJob job, uint32_t dispatches = 0) {
    EXPECT_EQ(ito_.restart(job, kRequests, 2), ITO_OK) << ito_.last_error();
    record_all(job, 0, dispatches);
    return images_of(job);
  }
  template <typename T>
  void give(ItoJob job, ItoInput input, uint32_t row, const std::vector<T>& values) {
    ASSERT_ITO(ito_.write_input(job, input, row, values.data(), values.size() * sizeof(T)));
  }
  // Puts `bytes` into an 8x8 part of an image, at (3, 2) of mip level 1 of layer 1, and records it
  // as the input's source.
  void give_image(ItoJob job, ItoInput input, uint32_t row, VkFormat format,
                  const std::vector<uint8_t>& bytes) {
    const size_t texel = bytes.size() / 64;
    std::vector<uint8_t> whole(16 * 16 * texel, 77);
    for (size_t y = 0; y < 8; ++y)
      std::memcpy(&whole[((y + 2) * 16 + 3) * texel], &bytes[y * 8 * texel], 8 * texel);
    const VkImage image = memory().image(format, 32, 32, 2, 2);
    const HostBuffer buffer = memory().buffer(whole.size());
    buffer.write(whole);
    VkCommandBuffer commands = begin_commands();
    memory().transition(commands, image, {}, kAsTarget, 1, 1);
    memory().fill(commands, buffer, image, 16, 16, 1, 1);
    ItoImageSource source;
    ITO_INIT(source, IMAGE_SOURCE);
    source.input = input;
    source.row = row;
    source.image = image;
    source.offset = {3, 2};
    source.mip_level = source.array_layer = 1;
    source.layout_before = kAsTarget.layout;
    source.stages_before = kAsTarget.stages;
    source.access_before = kAsTarget.accesses;
    source.layout_after = VK_IMAGE_LAYOUT_GENERAL;  // the image is not sampled
    source.stages_after = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
    source.access_after = VK_ACCESS_SHADER_READ_BIT;
    ASSERT_ITO(ito_.record_image_source(job, commands, &source));
    submit(commands);
  }
};

// Two pictures of 8x8, all bytes among them.
std::vector<uint8_t> grey_bytes() {
  std::vector<uint8_t> bytes(128);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 37 % 256);
  return bytes;
}
std::vector<float> numbers_of_bytes(const std::vector<uint8_t>& bytes) {
  std::vector<float> numbers;
  for (const uint8_t byte : bytes) numbers.push_back(number_of_byte(byte));
  return numbers;
}
// What is not the grey's red must not be looked at.
std::vector<uint8_t> rgba_of(const std::vector<uint8_t>& grey) {
  std::vector<uint8_t> pixels;
  for (const uint8_t byte : grey) pixels.insert(pixels.end(), {byte, 13, 200, 7});
  return pixels;
}
template <typename T>
std::vector<T> part(const std::vector<T>& values, size_t first, size_t count) {
  return {values.begin() + static_cast<ptrdiff_t>(first),
          values.begin() + static_cast<ptrdiff_t>(first + count)};
}
template <typename T>
std::vector<uint8_t> as_bytes(const std::vector<T>& values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

SampleOptions library_options(const ItoSampleInfo& info) {
  SampleOptions options;
  options.sampler = info.sampler;
  options.steps = static_cast<int>(info.steps);
  options.batch = 2;
  options.eta = info.eta;
  if (info.strength > 0) options.initial = InitialImage{.picture = {}, .strength = info.strength};
  return options;
}

TEST_F(PortableEmbeddedPictures, BeginsAtPicturesOfItsAsTheLibraryDoes) {
  const std::vector<uint8_t> grey = grey_bytes(), rgba = rgba_of(grey);
  const std::vector<float> numbers = numbers_of_bytes(grey);
  const ItoSampleInfo info = image_to_image(ITO_PIXEL_FORMAT_NONE);
  const std::vector<float> wanted = expected(library_options(info), kSampleRequests, numbers);

  const ItoJob job = make_job(info);
  ASSERT_NE(job, nullptr);
  ItoInputProperties properties;
  ITO_INIT(properties, INPUT_PROPERTIES);
  ASSERT_ITO(ito_.get_input_properties(job, ITO_INPUT_INITIAL, &properties));
  EXPECT_EQ(properties.rows, 2u);
  EXPECT_EQ(properties.row_bytes, 256u);
  give(job, ITO_INPUT_INITIAL, 0, numbers);
  EXPECT_EQ(run(job, 7), wanted);
  EXPECT_EQ(run(job), wanted) << "the pictures stay";
  // One of them changes, and with it one image; a buffer brings it back.
  give(job, ITO_INPUT_INITIAL, 1, std::vector<float>(64, 0.5f));
  const std::vector<float> other = run(job);
  EXPECT_EQ(part(other, 0, 64), part(wanted, 0, 64));
  EXPECT_NE(part(other, 64, 64), part(wanted, 64, 64));
  const HostBuffer buffer = memory().buffer(256 + 8);
  std::memcpy(buffer.mapped + 8, numbers.data() + 64, 256);
  VkCommandBuffer commands = begin_commands();
  ItoBufferSource source;
  ITO_INIT(source, BUFFER_SOURCE);
  source.input = ITO_INPUT_INITIAL;
  source.row = 1;
  source.buffer = buffer.buffer;
  source.offset = 8;
  ASSERT_ITO(ito_.record_buffer_source(job, commands, &source));
  submit(commands);
  EXPECT_EQ(run(job), wanted);
  ito_.destroy_job(job);

  const ItoJob pixels = make_job(image_to_image(ITO_PIXEL_FORMAT_RGBA8));
  ASSERT_NE(pixels, nullptr);
  give(pixels, ITO_INPUT_INITIAL, 0, rgba);
  EXPECT_EQ(run(pixels), wanted);
  give(pixels, ITO_INPUT_INITIAL, 0, std::vector<uint8_t>(512, 9));
  give_image(pixels, ITO_INPUT_INITIAL, 0, VK_FORMAT_R8G8B8A8_SRGB, part(rgba, 0, 256));
  give_image(pixels, ITO_INPUT_INITIAL, 1, VK_FORMAT_R8G8B8A8_UNORM, part(rgba, 256, 256));
  EXPECT_EQ(run(pixels, 5), wanted);
  ito_.destroy_job(pixels);
}

// Numbers that halves hold, of both signs, whole binades and the smallest of all.
TEST_F(PortableEmbeddedPictures, PicturesOfHalvesFloatsAndBytesAreTheSameNumbers) {
  std::vector<uint16_t> halves(64);
  std::vector<float> values(64);
  for (uint32_t i = 0; i < 64; ++i) {
    const uint32_t exponent = i % 17, fraction = i * 16 + i % 3, negative = i % 5 == 4;
    halves[i] = static_cast<uint16_t>(negative << 15 | exponent << 10 | (fraction & 1023));
    const double magnitude =
        exponent == 0 ? std::ldexp(fraction & 1023, -24)
                      : std::ldexp(1024 + (fraction & 1023), static_cast<int>(exponent) - 25);
    values[i] = static_cast<float>(negative != 0 ? -magnitude : magnitude);
  }
  std::vector<float> numbers, rgba;
  std::vector<uint16_t> half_pixels;
  for (size_t i = 0; i < 64; ++i) {
    numbers.push_back(values[i] * 2.0f - 1.0f);
    rgba.insert(rgba.end(), {values[i], 0.25f, 5.0f, -1.0f});
    half_pixels.insert(half_pixels.end(), {halves[i], 0x7bff, 0xbc00, 1});
  }
  ItoSampleInfo info = image_to_image(ITO_PIXEL_FORMAT_NONE);
  std::vector<float> twice = numbers;
  twice.insert(twice.end(), numbers.begin(), numbers.end());
  const std::vector<float> wanted = expected(library_options(info), kSampleRequests, twice);
  const struct {
    ItoPixelFormat form;
    VkFormat format;
    std::vector<uint8_t> bytes;
  } pictures[] = {{ITO_PIXEL_FORMAT_RGBA16F, VK_FORMAT_R16G16B16A16_SFLOAT, as_bytes(half_pixels)},
                  {ITO_PIXEL_FORMAT_RGBA32F, VK_FORMAT_R32G32B32A32_SFLOAT, as_bytes(rgba)},
                  {ITO_PIXEL_FORMAT_R32F, VK_FORMAT_R32_SFLOAT, as_bytes(values)}};
  for (const auto& picture : pictures) {
    const ItoJob job = make_job(image_to_image(picture.form));
    ASSERT_NE(job, nullptr);
    give(job, ITO_INPUT_INITIAL, 0, picture.bytes);
    give_image(job, ITO_INPUT_INITIAL, 1, picture.format, picture.bytes);
    EXPECT_EQ(run(job), wanted) << picture.format;
    ito_.destroy_job(job);
  }
}

TEST_F(PortableEmbeddedPictures, FillsInWhatAMaskSaysAsTheLibraryDoes) {
  const std::vector<uint8_t> grey = part(grey_bytes(), 0, 64);
  const std::vector<float> numbers = numbers_of_bytes(grey);
  std::vector<uint8_t> mask(64);
  std::vector<float> known(64);
  for (size_t i = 0; i < 64; ++i) {
    known[i] = i % 8 < 5 && i / 8 > 1 ? 1.0f : 0.0f;
    mask[i] = known[i] > 0 ? (i % 2 ? 255 : 128) : (i % 2 ? 127 : 0);
  }
  ItoSampleInfo info = inpainting(ITO_PIXEL_FORMAT_NONE, ITO_PIXEL_FORMAT_NONE);
  SampleOptions options = library_options(info);
  SampleControl control;
  control.observation =
      Observation{.measurement = Measurement::mask({8, 8, 1}, known).value(), .y = numbers};
  options.control = &control;
  const std::vector<float> wanted = expected(options, kSampleRequests);
  for (size_t i = 0; i < 128; ++i) {
    if (known[i % 64] > 0) {
      ASSERT_EQ(wanted[i], numbers[i % 64]);
    }
  }

  const ItoJob job = make_job(info);
  ASSERT_NE(job, nullptr);
  give(job, ITO_INPUT_KNOWN, 0, numbers);
  give(job, ITO_INPUT_MASK, 0, known);
  EXPECT_EQ(run(job, 9), wanted);
  ito_.destroy_job(job);

  const ItoJob images = make_job(inpainting(ITO_PIXEL_FORMAT_RGBA8, ITO_PIXEL_FORMAT_R8));
  ASSERT_NE(images, nullptr);
  give_image(images, ITO_INPUT_KNOWN, 0, VK_FORMAT_R8G8B8A8_UNORM, rgba_of(grey));
  give_image(images, ITO_INPUT_MASK, 0, VK_FORMAT_R8_UNORM, mask);
  EXPECT_EQ(run(images), wanted);
  ito_.destroy_job(images);
}

// Both at once: begins at a picture and keeps parts of another.
TEST_F(PortableEmbeddedPictures, BeginsAtOnePictureAndKeepsPartsOfAnother) {
  const std::vector<float> begin = numbers_of_bytes(grey_bytes());
  const std::vector<float> keep(64, 0.25f);
  std::vector<float> known(64, 0);
  std::fill(known.begin(), known.begin() + 20, 1.0f);
  ItoSampleInfo info = inpainting(ITO_PIXEL_FORMAT_NONE, ITO_PIXEL_FORMAT_NONE);
  info.strength = 0.75;
  SampleOptions options = library_options(info);
  SampleControl control;
  control.observation =
      Observation{.measurement = Measurement::mask({8, 8, 1}, known).value(), .y = keep};
  options.control = &control;
  const ItoJob job = make_job(info);
  ASSERT_NE(job, nullptr);
  give(job, ITO_INPUT_INITIAL, 0, begin);
  give(job, ITO_INPUT_KNOWN, 0, keep);
  give(job, ITO_INPUT_MASK, 0, known);
  EXPECT_EQ(run(job), expected(options, kSampleRequests, begin));
  ito_.destroy_job(job);
}

// A network whose channels are the sample, a mask and a masked picture.
TEST_F(PortableEmbeddedPictures, TellsANetworkThatFillsIn) {
  UNet2DConfig config = tiny_unet();
  config.in_channels = 3;
  const Network network = unet2d_network(config).value();
  const Path folder = scratch_ / "model";
  ASSERT_TRUE(save_model(folder, network, {}, initial_parameters(network.set(), 3)).ok());
  ito_.destroy_model(model_);
  ItoModelInfo named;
  ITO_INIT(named, MODEL_INFO);
  const std::string text = folder.string();
  named.folder = text.c_str();
  ASSERT_ITO(ito_.load_model(context_, &named, &model_));
  std::vector<float> numbers = part(numbers_of_bytes(grey_bytes()), 0, 64), known(64), fill(64);
  std::vector<float> masked = numbers;
  for (size_t i = 0; i < 64; ++i) {
    known[i] = i % 3 == 0 ? 1.0f : 0.0f;
    fill[i] = 1 - known[i];
    if (fill[i] > 0) masked[i] = 0;
  }
  ItoSampleInfo info = inpainting(ITO_PIXEL_FORMAT_NONE, ITO_PIXEL_FORMAT_NONE);
  SampleOptions options = library_options(info);
  options.inpainting = Inpainting{.fill = fill, .known = {.mean = masked}};
  const ItoJob job = make_job(info);
  ASSERT_NE(job, nullptr);
  give(job, ITO_INPUT_KNOWN, 0, numbers);
  give(job, ITO_INPUT_MASK, 0, known);
  EXPECT_EQ(run(job), expected(options, kSampleRequests));
  ito_.destroy_job(job);
  info.inpaint = VK_FALSE;
  ItoJob none = nullptr;
  EXPECT_EQ(ito_.create_sample_job(model_, &info, &none), ITO_ERROR_INVALID_ARGUMENT);
  EXPECT_TRUE(says(ito_.last_error(), "set inpaint")) << ito_.last_error();
}

TEST_F(PortableEmbeddedPictures, WhatIsWrongWithAPictureIsSaid) {
  const auto expect_error = [&](ItoResult result, const char* words) {
    EXPECT_EQ(result, ITO_ERROR_INVALID_ARGUMENT) << ito_.last_error();
    EXPECT_TRUE(says(ito_.last_error(), words)) << ito_.last_error();
  };
  const ItoJob job = make_job(image_to_image(ITO_PIXEL_FORMAT_NONE));
  const std::vector<float> numbers(64 * 3);
  expect_error(ito_.write_input(job, ITO_INPUT_MASK, 0, numbers.data(), 256),
               "takes no ITO_INPUT_MASK");
  expect_error(ito_.write_input(job, ITO_INPUT_INITIAL, 0, numbers.data(), 250), "rows of 256");
  expect_error(ito_.write_input(job, ITO_INPUT_INITIAL, 0, numbers.data(), 768), "rows 0 to 2");
  expect_error(ito_.write_input(job, ITO_INPUT_INITIAL, 2, numbers.data(), 256), "below 2");
  expect_error(ito_.write_input(job, static_cast<ItoInput>(0), 0, numbers.data(), 256),
               "input is 0");
  VkCommandBuffer commands = begin_commands();
  ItoImageSource source;
  ITO_INIT(source, IMAGE_SOURCE);
  source.input = ITO_INPUT_INITIAL;
  source.image = memory().image(VK_FORMAT_R32_SFLOAT, 8, 8);
  source.layout_before = source.layout_after = VK_IMAGE_LAYOUT_GENERAL;
  expect_error(ito_.record_image_source(job, commands, &source), "as numbers or bytes");
  submit(commands);
  wait();
  ito_.destroy_job(job);
  ItoSampleInfo info = image_to_image(ITO_PIXEL_FORMAT_NONE);
  info.strength = 1.5;
  ItoJob none = nullptr;
  expect_error(ito_.create_sample_job(model_, &info, &none), "strength is 1.5");
  info = image_to_image(static_cast<ItoPixelFormat>(9));
  expect_error(ito_.create_sample_job(model_, &info, &none), "picture_format is 9");
}

}  // namespace
}  // namespace ito::test
