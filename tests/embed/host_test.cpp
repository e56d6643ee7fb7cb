// The C API as an engine uses it: on a device of the engine's, in its command buffers, into its
// image.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <numeric>

#include "api/sampling.h"
#include "include/ito/ito.h"
#include "io/png.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"
#include "tests/support/host_device.h"

namespace ito::test {
namespace {

ItoApi api() {
  ItoApi api;
  EXPECT_EQ(ito_get_api(ITO_API_VERSION, sizeof(ItoApi), &api), ITO_OK);
  return api;
}

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

#define ASSERT_ITO(call) ASSERT_EQ((call), ITO_OK) << ito_.last_error()

// An engine with a context on its device, and a tiny model.
class PortableEmbeddedHost : public ::testing::Test {
 protected:
  void SetUp() override {
    write_tiny_model(scratch_ / "model");
    ASSERT_OK_AND_ASSIGN(loader_, vk::Loader::open(nullptr, "libvulkan.so.1"));
    host_ = std::make_unique<HostDevice>(device_options(log_));
    ASSERT_NE(host_->device, nullptr);
    ItoHostDevice device;
    ITO_INIT(device, HOST_DEVICE);
    device.get_instance_proc_addr = loader_.functions().vkGetInstanceProcAddr;
    device.instance = host_->instance->handle();
    device.physical_device = host_->physical;
    device.device = host_->device;
    device.api_version = VK_API_VERSION_1_2;
    device.enabled_features = host_->features();
    device.queue = host_->queue;
    device.queue_family = host_->family;
    device.lock_queue = [](void* locks) { ++*static_cast<std::atomic<int>*>(locks); };
    device.unlock_queue = [](void*) {};
    device.user = &locks_;
    ItoContextInfo info;
    ITO_INIT(info, CONTEXT_INFO);
    info.host = &device;
    ASSERT_ITO(ito_.create_context(&info, &context_));
    ItoModelInfo model;
    ITO_INIT(model, MODEL_INFO);
    const std::string folder = (scratch_ / "model").string();
    model.folder = folder.c_str();
    ASSERT_ITO(ito_.load_model(context_, &model, &model_));
    VkCommandPoolCreateInfo pool = {};
    pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    pool.queueFamilyIndex = host_->family;
    ASSERT_EQ(host_->fn.vkCreateCommandPool(host_->device, &pool, nullptr, &pool_), VK_SUCCESS);
  }
  void TearDown() override {
    ito_.destroy_model(model_);
    ito_.destroy_context(context_);
    if (pool_ != VK_NULL_HANDLE) host_->fn.vkDestroyCommandPool(host_->device, pool_, nullptr);
    host_.reset();
    for (const std::string& message : log_.take())
      ADD_FAILURE() << "Vulkan validation: " << message;
  }

  template <typename F>
  F function(const char* name) {
    return reinterpret_cast<F>(
        host_->instance->functions().vkGetDeviceProcAddr(host_->device, name));
  }

  VkCommandBuffer begin_commands() {
    VkCommandBufferAllocateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    info.commandPool = pool_;
    info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    info.commandBufferCount = 1;
    VkCommandBuffer commands = VK_NULL_HANDLE;
    EXPECT_EQ(host_->fn.vkAllocateCommandBuffers(host_->device, &info, &commands), VK_SUCCESS);
    VkCommandBufferBeginInfo begin = {};
    begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    EXPECT_EQ(host_->fn.vkBeginCommandBuffer(commands, &begin), VK_SUCCESS);
    return commands;
  }
  void submit(VkCommandBuffer commands) {
    EXPECT_EQ(host_->fn.vkEndCommandBuffer(commands), VK_SUCCESS);
    VkSubmitInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    info.commandBufferCount = 1;
    info.pCommandBuffers = &commands;
    EXPECT_EQ(host_->fn.vkQueueSubmit(host_->queue, 1, &info, VK_NULL_HANDLE), VK_SUCCESS);
  }
  void wait() { EXPECT_EQ(host_->fn.vkDeviceWaitIdle(host_->device), VK_SUCCESS); }

  ItoJob make_job(const ItoSampleInfo& info) {
    ItoJob job = nullptr;
    EXPECT_EQ(ito_.create_sample_job(model_, &info, &job), ITO_OK) << ito_.last_error();
    return job;
  }
  ItoStatistics statistics() {
    ItoStatistics s;
    ITO_INIT(s, STATISTICS);
    EXPECT_EQ(ito_.get_statistics(context_, &s), ITO_OK);
    return s;
  }
  // Records the job to its end, a command buffer a slice; gives how many.
  int record_all(ItoJob job, uint32_t microseconds, uint32_t dispatches) {
    ItoBudget budget;
    ITO_INIT(budget, BUDGET);
    budget.gpu_microseconds = microseconds;
    budget.max_dispatches = dispatches;
    ItoProgress progress;
    ITO_INIT(progress, PROGRESS);
    int slices = 0;
    while (!progress.recorded && slices < 100000) {
      VkCommandBuffer commands = begin_commands();
      const ItoResult result = ito_.record_slice(job, commands, &budget, &progress);
      EXPECT_EQ(result, ITO_OK) << ito_.last_error();
      submit(commands);
      if (result != ITO_OK) break;
      ++slices;
    }
    EXPECT_EQ(progress.step, progress.steps);
    wait();
    return slices;
  }
  std::vector<float> images_of(ItoJob job) {
    ItoJobProperties properties;
    ITO_INIT(properties, JOB_PROPERTIES);
    EXPECT_EQ(ito_.get_job_properties(job, &properties), ITO_OK);
    std::vector<float> images(properties.image_floats);
    EXPECT_EQ(ito_.read_images(job, images.data(), images.size() * sizeof(float)), ITO_OK)
        << ito_.last_error();
    return images;
  }
  // What a session of the library gives on a device of its own.
  std::vector<float> expected(const SampleOptions& options,
                              const std::vector<SampleRequest>& requests) {
    const Model model = load_model(scratch_ / "model").value();
    ValidationLog log;
    auto device = vk::Device::create(device_options(log));
    EXPECT_TRUE(device.ok());
    auto session = SamplingSession::create(**device, model, options);
    EXPECT_TRUE(session.ok()) << session.error().message;
    auto images = (*session)->sample(requests);
    EXPECT_TRUE(images.ok());
    return images.value();
  }

  const ItoApi ito_ = api();
  Scratch scratch_;
  ValidationLog log_;
  vk::Loader loader_;
  std::unique_ptr<HostDevice> host_;
  std::atomic<int> locks_ = 0;
  ItoContext context_ = nullptr;
  ItoModel model_ = nullptr;
  VkCommandPool pool_ = VK_NULL_HANDLE;
};

ItoSampleInfo sample_info(const char* sampler, uint32_t steps, uint32_t batch) {
  ItoSampleInfo info;
  ITO_INIT(info, SAMPLE_INFO);
  info.sampler = sampler;
  info.steps = steps;
  info.batch = batch;
  return info;
}

constexpr ItoImageRequest kRequests[] = {{7, 0}, {8, 2}};

TEST_F(PortableEmbeddedHost, ImagesInItsCommandBuffersAreThoseOfTheLibraryWhateverTheBudget) {
  // One without a memory, one that keeps a history.
  for (const char* sampler : {"ddpm", "dpm++2m"}) {
    SampleOptions options;
    options.sampler = sampler;
    options.steps = 4;
    options.batch = 2;
    const std::vector<float> whole =
        expected(options, {{.seed = 7, .label = 0}, {.seed = 8, .label = 2}});
    const ItoJob job = make_job(sample_info(sampler, 4, 2));
    ASSERT_NE(job, nullptr);
    int unlimited = 0;
    for (const auto& [microseconds, dispatches] :
         {std::pair{0u, 0u}, {0u, 7u}, {300u, 0u}, {1u, 1000u}}) {
      ASSERT_ITO(ito_.restart(job, kRequests, 2));
      const int slices = record_all(job, microseconds, dispatches);
      if (microseconds == 0 && dispatches == 0)
        unlimited = slices;
      else
        EXPECT_GT(slices, unlimited);
      EXPECT_EQ(images_of(job), whole) << sampler << " " << microseconds << " " << dispatches;
    }
    EXPECT_EQ(unlimited, 1);
    ito_.destroy_job(job);
  }
}

TEST_F(PortableEmbeddedHost, AJobThatIsMadeAllocatesCompilesAndWaitsForNothing) {
  const ItoJob job = make_job(sample_info("ddim", 3, 2));
  ASSERT_NE(job, nullptr);
  const ItoStatistics before = statistics();
  for (int run = 0; run < 3; ++run) {
    ASSERT_ITO(ito_.restart(job, kRequests, 2));
    EXPECT_GT(record_all(job, 0, 11), 3);
  }
  const ItoStatistics after = statistics();
  EXPECT_EQ(std::memcmp(&before, &after, sizeof before), 0) << "nothing at all is counted";
  EXPECT_GT(before.submits, 0u);
  EXPECT_EQ(static_cast<uint64_t>(locks_), before.submits);
  ito_.destroy_job(job);
}

TEST_F(PortableEmbeddedHost, SlicesThatItoSubmitsGiveTheSameAndNeverWait) {
  const ItoJob job = make_job(sample_info("ddim", 3, 2));
  ASSERT_NE(job, nullptr);
  ASSERT_ITO(ito_.restart(job, kRequests, 2));
  record_all(job, 0, 0);
  const std::vector<float> recorded = images_of(job);
  ASSERT_ITO(ito_.restart(job, kRequests, 2));
  std::vector<float> images(recorded.size());
  EXPECT_EQ(ito_.read_images(job, images.data(), images.size() * sizeof(float)), ITO_NOT_READY);
  ItoBudget budget;
  ITO_INIT(budget, BUDGET);
  budget.max_dispatches = 5;
  ItoProgress progress;
  ITO_INIT(progress, PROGRESS);
  const uint64_t waits = statistics().host_waits;
  uint32_t last = 0;
  while (!progress.complete) {
    const ItoResult result = ito_.submit_slice(job, &budget, &progress);
    ASSERT_TRUE(result == ITO_OK || result == ITO_NOT_READY) << ito_.last_error();
    EXPECT_GE(progress.step, last);
    last = progress.step;
  }
  EXPECT_EQ(statistics().host_waits, waits);
  EXPECT_EQ(progress.step, 3u);
  EXPECT_EQ(images_of(job), recorded);
  // The handles may go in any order.
  ito_.destroy_model(model_);
  ito_.destroy_context(context_);
  model_ = nullptr;
  context_ = nullptr;
  ASSERT_ITO(ito_.restart(job, kRequests, 2));
  record_all(job, 0, 0);
  EXPECT_EQ(images_of(job), recorded);
  ito_.destroy_job(job);
}

TEST_F(PortableEmbeddedHost, AnImageOfItsShowsTheBytesOfThePngAndNothingElseChanges) {
  ItoSampleInfo info = sample_info("ddim", 3, 2);
  info.pixel_format = ITO_PIXEL_FORMAT_RGBA8;
  const ItoJob job = make_job(info);
  ASSERT_NE(job, nullptr);
  // 16x12, filled with a colour; the 8x8 image goes to (5, 3).
  constexpr uint32_t kWidth = 16, kHeight = 12;
  constexpr int32_t kX = 5, kY = 3;
  VkImageCreateInfo image_info = {};
  image_info.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO;
  image_info.imageType = VK_IMAGE_TYPE_2D;
  image_info.format = VK_FORMAT_R8G8B8A8_UNORM;
  image_info.extent = {kWidth, kHeight, 1};
  image_info.mipLevels = image_info.arrayLayers = 1;
  image_info.samples = VK_SAMPLE_COUNT_1_BIT;
  image_info.usage = VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT;
  VkImage image = VK_NULL_HANDLE;
  ASSERT_EQ(
      function<PFN_vkCreateImage>("vkCreateImage")(host_->device, &image_info, nullptr, &image),
      VK_SUCCESS);
  VkMemoryRequirements needs;
  function<PFN_vkGetImageMemoryRequirements>("vkGetImageMemoryRequirements")(host_->device, image,
                                                                             &needs);
  VkBufferCreateInfo buffer_info = {};
  buffer_info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
  buffer_info.size = uint64_t{kWidth} * kHeight * 4;
  buffer_info.usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  VkBuffer buffer = VK_NULL_HANDLE;
  ASSERT_EQ(host_->fn.vkCreateBuffer(host_->device, &buffer_info, nullptr, &buffer), VK_SUCCESS);
  VkMemoryRequirements buffer_needs;
  host_->fn.vkGetBufferMemoryRequirements(host_->device, buffer, &buffer_needs);
  const auto memory_for = [&](const VkMemoryRequirements& wanted, VkMemoryPropertyFlags flags) {
    VkPhysicalDeviceMemoryProperties2 properties = {};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
    host_->instance->functions().vkGetPhysicalDeviceMemoryProperties2(host_->physical, &properties);
    VkMemoryAllocateInfo allocation = {};
    allocation.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
    allocation.allocationSize = wanted.size;
    const VkPhysicalDeviceMemoryProperties& all = properties.memoryProperties;
    for (uint32_t i = 0; i < all.memoryTypeCount; ++i)
      if ((wanted.memoryTypeBits >> i & 1) != 0 &&
          (all.memoryTypes[i].propertyFlags & flags) == flags) {
        allocation.memoryTypeIndex = i;
        break;
      }
    VkDeviceMemory memory = VK_NULL_HANDLE;
    EXPECT_EQ(host_->fn.vkAllocateMemory(host_->device, &allocation, nullptr, &memory), VK_SUCCESS);
    return memory;
  };
  const VkDeviceMemory image_memory = memory_for(needs, 0);
  const VkDeviceMemory buffer_memory = memory_for(
      buffer_needs, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
  ASSERT_EQ(
      function<PFN_vkBindImageMemory>("vkBindImageMemory")(host_->device, image, image_memory, 0),
      VK_SUCCESS);
  ASSERT_EQ(host_->fn.vkBindBufferMemory(host_->device, buffer, buffer_memory, 0), VK_SUCCESS);

  VkCommandBuffer commands = begin_commands();
  VkImageMemoryBarrier barrier = {};
  barrier.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER;
  barrier.dstAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT;
  barrier.newLayout = VK_IMAGE_LAYOUT_GENERAL;
  barrier.srcQueueFamilyIndex = barrier.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED;
  barrier.image = image;
  barrier.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
  host_->fn.vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT,
                                 VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 0, nullptr, 0, nullptr, 1,
                                 &barrier);
  const VkClearColorValue green = {{0, 1, 0, 1}};
  function<PFN_vkCmdClearColorImage>("vkCmdClearColorImage")(
      commands, image, VK_IMAGE_LAYOUT_GENERAL, &green, 1, &barrier.subresourceRange);
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
  target.layout_before = VK_IMAGE_LAYOUT_GENERAL;
  target.stages_before = VK_PIPELINE_STAGE_TRANSFER_BIT;
  target.access_before = VK_ACCESS_TRANSFER_WRITE_BIT;
  target.layout_after = VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL;
  target.stages_after = VK_PIPELINE_STAGE_TRANSFER_BIT;
  target.access_after = VK_ACCESS_TRANSFER_READ_BIT;
  ASSERT_ITO(ito_.record_image(job, commands, &target));
  VkBufferImageCopy region = {};
  region.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
  region.imageExtent = {kWidth, kHeight, 1};
  function<PFN_vkCmdCopyImageToBuffer>("vkCmdCopyImageToBuffer")(
      commands, image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, buffer, 1, &region);
  submit(commands);
  wait();
  void* mapped = nullptr;
  ASSERT_EQ(host_->fn.vkMapMemory(host_->device, buffer_memory, 0, VK_WHOLE_SIZE, 0, &mapped),
            VK_SUCCESS);
  std::vector<uint8_t> seen(buffer_info.size);
  std::memcpy(seen.data(), mapped, seen.size());

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
  function<PFN_vkDestroyImage>("vkDestroyImage")(host_->device, image, nullptr);
  host_->fn.vkDestroyBuffer(host_->device, buffer, nullptr);
  host_->fn.vkFreeMemory(host_->device, image_memory, nullptr);
  host_->fn.vkFreeMemory(host_->device, buffer_memory, nullptr);
}

TEST_F(PortableEmbeddedHost, WhatIsWrongIsOneSentenceAndNothingIsMade) {
  const auto expect_error = [&](ItoResult result, ItoResult wanted, const char* words) {
    EXPECT_EQ(result, wanted) << ito_.last_error();
    EXPECT_TRUE(says(ito_.last_error(), words)) << ito_.last_error();
  };
  ItoJob job = nullptr;
  ItoSampleInfo info = sample_info("ddimm", 3, 2);
  expect_error(ito_.create_sample_job(model_, &info, &job), ITO_ERROR_INVALID_ARGUMENT,
               "no sampler \"ddimm\"");
  info = sample_info("ode", 0, 2);
  expect_error(ito_.create_sample_job(model_, &info, &job), ITO_ERROR_UNSUPPORTED,
               "decides its steps");
  info = sample_info("ddim", 3, 2);
  info.guidance_scale = -1;
  expect_error(ito_.create_sample_job(model_, &info, &job), ITO_ERROR_INVALID_ARGUMENT,
               "guidance_scale is -1");
  info = sample_info("ddpm", 3, 2);
  info.eta = 0.5;
  expect_error(ito_.create_sample_job(model_, &info, &job), ITO_ERROR_INVALID_ARGUMENT,
               "eta has no meaning for sampler ddpm");
  info = sample_info("ddim", 3, 2);
  info.type = ITO_STRUCTURE_TYPE_BUDGET;
  expect_error(ito_.create_sample_job(model_, &info, &job), ITO_ERROR_INVALID_ARGUMENT, "type 8");
  EXPECT_EQ(job, nullptr);
  expect_error(ito_.create_sample_job(nullptr, &info, &job), ITO_ERROR_INVALID_ARGUMENT, "NULL");

  ItoModelInfo model;
  ITO_INIT(model, MODEL_INFO);
  model.folder = "/nowhere/at/all";
  ItoModel none = model_;
  expect_error(ito_.load_model(context_, &model, &none), ITO_ERROR_NOT_FOUND, "/nowhere/at/all");
  EXPECT_EQ(none, nullptr);

  job = make_job(sample_info("ddim", 3, 2));
  ItoBudget budget;
  ITO_INIT(budget, BUDGET);
  expect_error(ito_.submit_slice(job, &budget, nullptr), ITO_ERROR_INVALID_ARGUMENT,
               "must be told its images");
  expect_error(ito_.restart(job, kRequests, 1), ITO_ERROR_INVALID_ARGUMENT, "1 requests");
  const ItoImageRequest far[] = {{1, 0}, {2, 3}};
  expect_error(ito_.restart(job, far, 2), ITO_ERROR_INVALID_ARGUMENT, "class 3 does not exist");
  ASSERT_ITO(ito_.restart(job, kRequests, 2));
  expect_error(ito_.submit_slice(job, nullptr, nullptr), ITO_ERROR_INVALID_ARGUMENT,
               "ItoBudget is NULL");
  VkCommandBuffer commands = begin_commands();
  ItoImageTarget target;
  ITO_INIT(target, IMAGE_TARGET);
  expect_error(ito_.record_image(job, commands, &target), ITO_ERROR_UNSUPPORTED,
               "without a pixel format");
  submit(commands);
  float few[3];
  expect_error(ito_.read_images(job, few, sizeof few), ITO_ERROR_INVALID_ARGUMENT,
               "size is 12 bytes, expected 512");
  // None of this has broken anything.
  record_all(job, 0, 0);
  EXPECT_EQ(images_of(job).size(), 128u);
  ito_.destroy_job(job);
}

TEST_F(PortableEmbeddedHost, OlderAndNewerStructuresAreUnderstoodOrRefused) {
  ItoSampleInfo info = sample_info("ddim", 3, 1);
  info.pixel_format = ITO_PIXEL_FORMAT_RGBA8;
  // An older header, which ended before the pixel format.
  info.size = offsetof(ItoSampleInfo, pixel_format);
  const ItoJob job = make_job(info);
  ItoJobProperties properties;
  ITO_INIT(properties, JOB_PROPERTIES);
  ASSERT_ITO(ito_.get_job_properties(job, &properties));
  EXPECT_EQ(properties.pixel_bytes, 0u);
  EXPECT_EQ(properties.image_floats, 64u);
  EXPECT_EQ(properties.steps, 3u);
  properties.size = offsetof(ItoJobProperties, steps);
  properties.steps = 77;
  ASSERT_ITO(ito_.get_job_properties(job, &properties));
  EXPECT_EQ(properties.steps, 77u) << "a field that the older structure does not have";
  ito_.destroy_job(job);
  // A newer one.
  struct {
    ItoSampleInfo known;
    uint64_t unknown;
  } newer;
  std::memset(&newer, 0, sizeof newer);
  newer.known = sample_info("ddim", 3, 1);
  newer.known.size = sizeof newer;
  const ItoJob same = make_job(newer.known);
  EXPECT_NE(same, nullptr);
  ito_.destroy_job(same);
  newer.unknown = 1;
  ItoJob refused = nullptr;
  EXPECT_EQ(ito_.create_sample_job(model_, &newer.known, &refused), ITO_ERROR_UNSUPPORTED);
  EXPECT_TRUE(says(ito_.last_error(), "newer header")) << ito_.last_error();

  ItoApi table;
  EXPECT_EQ(ito_get_api(ITO_API_VERSION + 1, sizeof table, &table), ITO_ERROR_UNSUPPORTED);
  EXPECT_EQ(ito_get_api(ITO_API_VERSION, sizeof table, nullptr), ITO_ERROR_INVALID_ARGUMENT);
  std::memset(&table, 0, sizeof table);
  EXPECT_EQ(ito_get_api(1, offsetof(ItoApi, read_pixels), &table), ITO_OK);
  EXPECT_EQ(table.read_pixels, nullptr);
  EXPECT_NE(table.read_images, nullptr);
}

TEST_F(PortableEmbeddedHost, ItsPropertiesAndThoseOfItsModel) {
  ItoContextProperties context;
  ITO_INIT(context, CONTEXT_PROPERTIES);
  ASSERT_ITO(ito_.get_context_properties(context_, &context));
  EXPECT_TRUE(context.wrapped);
  EXPECT_FALSE(context.half_precision) << "not enabled";
  EXPECT_EQ(context.queue_family, host_->family);
  EXPECT_GT(std::strlen(context.device_name), 3u);
  ItoModelProperties model;
  ITO_INIT(model, MODEL_PROPERTIES);
  ASSERT_ITO(ito_.get_model_properties(model_, &model));
  EXPECT_EQ(model.width, 8u);
  EXPECT_EQ(model.height, 8u);
  EXPECT_EQ(model.channels, 1u);
  EXPECT_EQ(model.classes, 3u);
  EXPECT_GT(model.parameters, 5000u);
  EXPECT_EQ(ito_.get_class_name(model_, 0), nullptr) << "the folder does not say";

  VkPhysicalDeviceFeatures2 features = {};
  VkPhysicalDeviceVulkan12Features v12 = {};
  features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
  v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
  features.pNext = &v12;
  ASSERT_ITO(ito_.enable_features(loader_.functions().vkGetInstanceProcAddr,
                                  host_->instance->handle(), host_->physical, &features));
  EXPECT_EQ(v12.bufferDeviceAddress, VK_TRUE);
  uint32_t count = 0;
  ASSERT_NE(ito_.optional_extensions(&count), nullptr);
  EXPECT_EQ(count, 3u);
}

TEST(PortableEmbeddedAlone, AContextOnADeviceOfItsOwnNamesThoseThereAre) {
  const ItoApi ito = api();
  ItoContextInfo info;
  ITO_INIT(info, CONTEXT_INFO);
  info.device_name = "no such device";
  ItoContext context = nullptr;
  EXPECT_EQ(ito.create_context(&info, &context), ITO_ERROR_NOT_FOUND) << ito.last_error();
  EXPECT_EQ(context, nullptr);
  info.device_name = nullptr;
  ASSERT_EQ(ito.create_context(&info, &context), ITO_OK) << ito.last_error();
  ItoContextProperties properties;
  ITO_INIT(properties, CONTEXT_PROPERTIES);
  ASSERT_EQ(ito.get_context_properties(context, &properties), ITO_OK);
  EXPECT_FALSE(properties.wrapped);
  ito.destroy_context(context);
  ito.destroy_context(nullptr);
}

}  // namespace
}  // namespace ito::test
