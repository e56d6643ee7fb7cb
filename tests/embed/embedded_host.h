// An engine that embeds Ito: its device, its command buffers, a context on them and a tiny model.
// Not what it does with them (the tests).
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "api/sampling.h"
#include "include/ito/ito.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"
#include "tests/embed/host_memory.h"
#include "tests/support/host_device.h"

namespace ito::test {

inline ItoApi api() {
  ItoApi api;
  EXPECT_EQ(ito_get_api(ITO_API_VERSION, sizeof(ItoApi), &api), ITO_OK);
  return api;
}

inline bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

#define ASSERT_ITO(call) ASSERT_EQ((call), ITO_OK) << ito_.last_error()

// An engine with a context on its device, and a tiny model.
class EmbeddedHost : public ::testing::Test {
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
    if (memory_) memory_.reset();
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
  // Memory of the host's own, freed before its device.
  HostMemory& memory() {
    if (!memory_) memory_ = std::make_unique<HostMemory>(*host_);
    return *memory_;
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
  // What a session of the library gives on a device of its own, from noise or from pictures.
  std::vector<float> expected(const SampleOptions& options,
                              const std::vector<SampleRequest>& requests,
                              const std::vector<float>& pictures = {}) {
    const Model model = load_model(scratch_ / "model").value();
    ValidationLog log;
    auto device = vk::Device::create(device_options(log));
    EXPECT_TRUE(device.ok());
    auto session = SamplingSession::create(**device, model, options);
    EXPECT_TRUE(session.ok()) << session.error().message;
    auto images = pictures.empty() ? (*session)->sample(requests)
                                   : (*session)->sample_from(pictures, requests);
    EXPECT_TRUE(images.ok()) << images.error().message;
    return images.value();
  }

  const ItoApi ito_ = api();
  Scratch scratch_;
  ValidationLog log_;
  vk::Loader loader_;
  std::unique_ptr<HostDevice> host_;
  std::unique_ptr<HostMemory> memory_;
  std::atomic<int> locks_ = 0;
  ItoContext context_ = nullptr;
  ItoModel model_ = nullptr;
  VkCommandPool pool_ = VK_NULL_HANDLE;
};

inline ItoSampleInfo sample_info(const char* sampler, uint32_t steps, uint32_t batch) {
  ItoSampleInfo info;
  ITO_INIT(info, SAMPLE_INFO);
  info.sampler = sampler;
  info.steps = steps;
  info.batch = batch;
  return info;
}

inline constexpr ItoImageRequest kRequests[] = {{7, 0}, {8, 2}};

inline const std::vector<SampleRequest> kSampleRequests = {{.seed = 7, .label = 0},
                                                           {.seed = 8, .label = 2}};

}  // namespace ito::test
