// Where results go: an engine's images and buffers, in every form, whoever owns them; previews;
// what is cancelled and what is trimmed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "io/png.h"
#include "tests/embed/embedded_host.h"

namespace ito::test {
namespace {

class PortableEmbeddedTargets : public EmbeddedHost {
 protected:
  // Records the whole job into `commands`.
  void record_whole(ItoJob job, VkCommandBuffer commands) {
    ItoBudget budget;
    ITO_INIT(budget, BUDGET);
    ItoProgress progress;
    ITO_INIT(progress, PROGRESS);
    EXPECT_EQ(ito_.record_slice(job, commands, &budget, &progress), ITO_OK) << ito_.last_error();
    EXPECT_TRUE(progress.recorded);
  }
  // Records slices of `dispatches` until `steps` steps are whole.
  void record_until(ItoJob job, uint32_t steps, uint32_t dispatches) {
    ItoBudget budget;
    ITO_INIT(budget, BUDGET);
    budget.max_dispatches = dispatches;
    ItoProgress progress;
    ITO_INIT(progress, PROGRESS);
    while (progress.step < steps) {
      VkCommandBuffer commands = begin_commands();
      ASSERT_ITO(ito_.record_slice(job, commands, &budget, &progress));
      submit(commands);
    }
    EXPECT_EQ(progress.step, steps);
  }
};

// Of numbers in [0, 1]: IEEE 754's binary16, half to even.
uint16_t half_of(float value) {
  const int exponent = value == 0 ? -14 : std::max(std::ilogb(value), -14);
  const auto fraction = static_cast<int>(std::nearbyint(std::ldexp(double{value}, 10 - exponent)));
  return static_cast<uint16_t>(((exponent + 14) << 10) + fraction);
}

float unit(float x) { return std::clamp(x * 0.5f + 0.5f, 0.0f, 1.0f); }

TEST_F(PortableEmbeddedTargets, AnImageOfItsShowsTheBytesOfThePngAndNothingElseChanges) {
  ItoSampleInfo info = sample_info("ddim", 3, 2);
  info.pixel_format = ITO_PIXEL_FORMAT_RGBA8;
  const ItoJob job = make_job(info);
  ASSERT_NE(job, nullptr);
  // 16x12, filled with a colour; the 8x8 image goes to (5, 3).
  constexpr uint32_t kWidth = 16, kHeight = 12;
  constexpr int32_t kX = 5, kY = 3;
  const VkImage image = memory().image(VK_FORMAT_R8G8B8A8_UNORM, kWidth, kHeight);
  const HostBuffer buffer = memory().buffer(uint64_t{kWidth} * kHeight * 4);
  buffer.write(std::vector<uint32_t>(kWidth * kHeight, 0xff00ff00));
  VkCommandBuffer commands = begin_commands();
  memory().transition(commands, image, {}, kAsTarget);
  memory().fill(commands, buffer, image, kWidth, kHeight);
  ASSERT_ITO(ito_.restart(job, kRequests, 2));
  ItoBudget budget;
  ITO_INIT(budget, BUDGET);
  ItoProgress progress;
  ITO_INIT(progress, PROGRESS);
  ASSERT_ITO(ito_.record_slice(job, commands, &budget, &progress));
  ASSERT_TRUE(progress.recorded);
  ItoImageTarget target;
  ITO_INIT(target, IMAGE_TARGET);
  target.image_index = 1;
  target.image = image;
  target.offset = {kX, kY};
  target.layout_before = kAsTarget.layout;
  target.stages_before = VK_PIPELINE_STAGE_TRANSFER_BIT;
  target.access_before = VK_ACCESS_TRANSFER_WRITE_BIT;
  target.layout_after = VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL;
  target.stages_after = VK_PIPELINE_STAGE_TRANSFER_BIT;
  target.access_after = VK_ACCESS_TRANSFER_READ_BIT;
  ASSERT_ITO(ito_.record_image(job, commands, &target));
  memory().read(commands, image, buffer, kWidth, kHeight);
  submit(commands);
  wait();
  const std::vector<uint8_t> seen = buffer.read<uint8_t>();

  const std::vector<float> images = images_of(job);
  std::vector<uint8_t> wanted(seen.size());
  for (uint32_t y = 0; y < kHeight; ++y)
    for (uint32_t x = 0; x < kWidth; ++x) {
      uint8_t* pixel = &wanted[(size_t{y} * kWidth + x) * 4];
      const uint32_t column = x - kX, row = y - kY;  // wraps below zero
      const bool inside = column < 8 && row < 8;
      const uint8_t grey = inside ? to_byte(images[64 + row * 8 + column]) : 0;
      pixel[0] = pixel[2] = grey;
      pixel[1] = inside ? grey : 255;
      pixel[3] = 255;
    }
  EXPECT_EQ(seen, wanted);
  std::vector<uint8_t> pixels(2 * 64 * 4);
  ASSERT_ITO(ito_.read_pixels(job, pixels.data(), pixels.size()));
  for (size_t i = 0; i < pixels.size(); ++i)
    ASSERT_EQ(pixels[i], i % 4 == 3 ? 255 : to_byte(images[i / 4])) << i;

  ito_.destroy_job(job);
}

TEST_F(PortableEmbeddedTargets, ImagesOfHalvesAndFloatsAndBuffersHoldTheSameNumbers) {
  ItoSampleInfo info = sample_info("ddim", 2, 2);
  for (const auto& [form, format, bytes] :
       {std::tuple{ITO_PIXEL_FORMAT_RGBA16F, VK_FORMAT_R16G16B16A16_SFLOAT, 8u},
        {ITO_PIXEL_FORMAT_RGBA32F, VK_FORMAT_R32G32B32A32_SFLOAT, 16u},
        {ITO_PIXEL_FORMAT_R32F, VK_FORMAT_R32_SFLOAT, 4u}}) {
    info.pixel_format = form;
    const ItoJob job = make_job(info);
    ASSERT_NE(job, nullptr);
    ASSERT_ITO(ito_.restart(job, kRequests, 2));
    // The last layer of an array, at its second mip level.
    const VkImage image = memory().image(format, 16, 16, 2, 3);
    const HostBuffer seen = memory().buffer(64 * bytes), numbers = memory().buffer(256 + 12);
    const HostBuffer pixels = memory().buffer(2 * 64 * bytes);
    VkCommandBuffer commands = begin_commands();
    record_whole(job, commands);
    ItoImageTarget target;
    ITO_INIT(target, IMAGE_TARGET);
    target.image_index = 1;
    target.image = image;
    target.mip_level = 1;
    target.array_layer = 2;
    target.layout_after = kAsSource.layout;
    target.stages_after = kAsSource.stages;
    target.access_after = kAsSource.accesses;
    ASSERT_ITO(ito_.record_image(job, commands, &target));
    memory().read(commands, image, seen, 8, 8, 1, 2);
    ItoBufferTarget range;
    ITO_INIT(range, BUFFER_TARGET);
    range.image_index = 1;
    range.buffer = numbers.buffer;
    range.offset = 12;
    range.stages_after = VK_PIPELINE_STAGE_HOST_BIT;
    range.access_after = VK_ACCESS_HOST_READ_BIT;
    ASSERT_ITO(ito_.record_buffer(job, commands, &range));
    range.content = ITO_CONTENT_PIXELS;
    range.image_index = 0;
    range.buffer = pixels.buffer;
    range.offset = 0;
    ASSERT_ITO(ito_.record_buffer(job, commands, &range));
    submit(commands);
    wait();
    const std::vector<float> images = images_of(job);
    std::vector<float> copied(64);
    std::memcpy(copied.data(), numbers.mapped + 12, 256);
    EXPECT_EQ(copied, std::vector<float>(images.begin() + 64, images.end()));
    const std::vector<uint8_t> shown = seen.read<uint8_t>(), all = pixels.read<uint8_t>();
    EXPECT_TRUE(std::equal(shown.begin(), shown.end(), all.begin() + 64 * bytes));
    std::vector<uint8_t> read(all.size());
    ASSERT_ITO(ito_.read_pixels(job, read.data(), read.size()));
    EXPECT_EQ(read, all);
    for (size_t i = 0; i < 128; ++i) {
      const float value = unit(images[i]);
      if (form == ITO_PIXEL_FORMAT_RGBA16F) {
        uint16_t halves[4];
        std::memcpy(halves, &all[i * 8], sizeof halves);
        for (int c = 0; c < 3; ++c) ASSERT_EQ(halves[c], half_of(value)) << value;
        ASSERT_EQ(halves[3], 0x3c00);
      } else {
        float first;
        std::memcpy(&first, &all[i * bytes], sizeof first);
        ASSERT_EQ(first, value);
      }
    }
    ito_.destroy_job(job);
  }
}

// The other half of each change of owners is what an engine records on its other queue; where there
// is one family only it is another API's (external). Validation says whether ours fits.
TEST_F(PortableEmbeddedTargets, AnImageComesFromAnotherOwnerAndGoesToOne) {
  ItoSampleInfo info = sample_info("ddim", 2, 1);
  info.pixel_format = ITO_PIXEL_FORMAT_RGBA8;
  const ItoJob job = make_job(info);
  ASSERT_NE(job, nullptr);
  ASSERT_ITO(ito_.restart(job, kRequests, 1));
  const VkImage image = memory().image(VK_FORMAT_R8G8B8A8_SRGB, 8, 8);
  const HostBuffer buffer = memory().buffer(256);
  VkCommandBuffer commands = begin_commands();
  memory().transition(commands, image, {}, {VK_IMAGE_LAYOUT_GENERAL});
  record_whole(job, commands);
  ItoImageTarget target;
  ITO_INIT(target, IMAGE_TARGET);
  target.image = image;
  target.layout_before = VK_IMAGE_LAYOUT_GENERAL;
  target.owner_before = target.owner_after = ITO_QUEUE_FAMILY(VK_QUEUE_FAMILY_EXTERNAL);
  target.layout_after = VK_IMAGE_LAYOUT_GENERAL;
  ASSERT_ITO(ito_.record_image(job, commands, &target));
  // And back, to be looked at.
  target.layout_after = kAsSource.layout;
  target.stages_after = kAsSource.stages;
  target.access_after = kAsSource.accesses;
  target.owner_after = ITO_QUEUE_FAMILY(host_->family);
  ASSERT_ITO(ito_.record_image(job, commands, &target));
  memory().read(commands, image, buffer, 8, 8);
  submit(commands);
  wait();
  std::vector<uint8_t> pixels(256);
  ASSERT_ITO(ito_.read_pixels(job, pixels.data(), pixels.size()));
  EXPECT_EQ(buffer.read<uint8_t>(), pixels);
  ito_.destroy_job(job);
}

TEST_F(PortableEmbeddedTargets, APreviewIsTheEstimateOfTheStepsSoFarAndChangesNothing) {
  ItoSampleInfo info = sample_info("ddim", 5, 2);
  info.pixel_format = ITO_PIXEL_FORMAT_RGBA8;
  const ItoJob plain = make_job(info);
  info.preview = VK_TRUE;
  const ItoJob job = make_job(info);
  ASSERT_NE(job, nullptr);
  ASSERT_ITO(ito_.restart(plain, kRequests, 2));
  record_all(plain, 0, 0);
  // What the library says after three steps.
  const Model model = load_model(scratch_ / "model").value();
  auto device = vk::Device::create(device_options(log_)).value();
  SampleOptions options;
  options.sampler = "ddim";
  options.steps = 5;
  options.batch = 2;
  options.previews = true;
  auto session = SamplingSession::create(*device, model, options).value();
  std::vector<float> estimate;
  ASSERT_TRUE(session
                  ->preview(3,
                            [&](int step, const std::vector<float>& images) {
                              if (step == 3) estimate = images;
                            })
                  .ok());
  ASSERT_TRUE(session->sample(kSampleRequests).ok());
  ASSERT_EQ(estimate.size(), 128u);

  ASSERT_ITO(ito_.restart(job, kRequests, 2));
  record_until(job, 3, 1);
  const VkImage image = memory().image(VK_FORMAT_R8G8B8A8_UNORM, 8, 8);
  const HostBuffer seen = memory().buffer(256), both = memory().buffer(512);
  VkCommandBuffer commands = begin_commands();
  ItoImageTarget target;
  ITO_INIT(target, IMAGE_TARGET);
  target.image_index = 1;
  target.image = image;
  target.layout_after = kAsSource.layout;
  target.stages_after = kAsSource.stages;
  target.access_after = kAsSource.accesses;
  ASSERT_ITO(ito_.record_preview(job, commands, &target));
  memory().read(commands, image, seen, 8, 8);
  ItoBufferTarget range;
  ITO_INIT(range, BUFFER_TARGET);
  range.content = ITO_CONTENT_PREVIEW;
  range.buffer = both.buffer;
  ASSERT_ITO(ito_.record_buffer(job, commands, &range));
  submit(commands);
  wait();
  const std::vector<uint8_t> shown = seen.read<uint8_t>(), all = both.read<uint8_t>();
  for (size_t i = 0; i < 512; ++i)
    ASSERT_EQ(all[i], i % 4 == 3 ? 255 : to_byte(estimate[i / 4])) << i;
  EXPECT_TRUE(std::equal(shown.begin(), shown.end(), all.begin() + 256));
  record_all(job, 0, 7);
  EXPECT_EQ(images_of(job), images_of(plain));
  EXPECT_EQ(ito_.record_preview(plain, commands, &target), ITO_ERROR_UNSUPPORTED);
  EXPECT_TRUE(says(ito_.last_error(), "set preview")) << ito_.last_error();
  ito_.destroy_job(plain);
  ito_.destroy_job(job);
}

TEST_F(PortableEmbeddedTargets, WhatIsCancelledOrTrimmedBeginsAnewAsIfNothingHadBeen) {
  const ItoJob job = make_job(sample_info("dpm++2m", 4, 2));
  ASSERT_NE(job, nullptr);
  ASSERT_ITO(ito_.restart(job, kRequests, 2));
  record_all(job, 0, 0);
  const std::vector<float> whole = images_of(job);
  constexpr ItoImageRequest kOthers[] = {{90, 1}, {91, 1}};
  ASSERT_ITO(ito_.restart(job, kOthers, 2));
  record_until(job, 2, 3);
  EXPECT_EQ(ito_.trim_memory(job), ITO_ERROR_INVALID_ARGUMENT) << "a step is under way";
  ASSERT_ITO(ito_.cancel(job));
  ItoBudget budget;
  ITO_INIT(budget, BUDGET);
  EXPECT_EQ(ito_.submit_slice(job, &budget, nullptr), ITO_ERROR_INVALID_ARGUMENT);
  ASSERT_ITO(ito_.restart(job, kRequests, 2));
  record_all(job, 0, 5);
  EXPECT_EQ(images_of(job), whole);

  const uint64_t before = statistics().device_bytes;
  ASSERT_ITO(ito_.trim_memory(job));
  const uint64_t trimmed = statistics().device_bytes;
  EXPECT_LT(trimmed, before);
  EXPECT_EQ(images_of(job), whole) << "results stay";
  ASSERT_ITO(ito_.restart(job, kRequests, 2));
  EXPECT_EQ(statistics().device_bytes, before);
  record_all(job, 0, 0);
  EXPECT_EQ(images_of(job), whole);
  ito_.destroy_job(job);
}

}  // namespace
}  // namespace ito::test
