// Engine: an engine as the tests of the C API need it: its device, a queue, command buffers, a tiny
// model on disk, and a witness between Ito and the driver. A context is made by what the test
// changes of the structures.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "include/ito/ito.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"
#include "tests/embed/support/witness.h"
#include "tests/support/host_device.h"

namespace ito::test {

#define EXPECT_ITO(call) EXPECT_EQ((call), ITO_OK) << ito.last_error()
#define ASSERT_ITO_OK(call) ASSERT_EQ((call), ITO_OK) << ito.last_error()

// What a test changes of a context before it is made.
using ChangeContext = std::function<void(ItoHostDevice&, ItoContextInfo&)>;

class Engine {
 public:
  explicit Engine(bool timeline = false) {
    EXPECT_EQ(ito_get_api(ITO_API_VERSION, sizeof(ItoApi), &ito), ITO_OK);
    write_tiny_model(scratch_ / "model");
    host = std::make_unique<HostDevice>(device_options(log_), timeline);
    if (host->device == VK_NULL_HANDLE) return;
    if (timeline) witness.enable_timeline();
    // A device that is lost has stopped.
    witness.before_failure = [this] { fn().vkDeviceWaitIdle(host->device); };
    VkCommandPoolCreateInfo pool = {};
    pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
    pool.queueFamilyIndex = host->family;
    EXPECT_EQ(fn().vkCreateCommandPool(host->device, &pool, nullptr, &pool_), VK_SUCCESS);
    VkCommandBufferAllocateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    info.commandPool = pool_;
    info.commandBufferCount = 1;
    EXPECT_EQ(fn().vkAllocateCommandBuffers(host->device, &info, &commands), VK_SUCCESS);
  }
  ~Engine() {
    if (pool_ != VK_NULL_HANDLE) fn().vkDestroyCommandPool(host->device, pool_, nullptr);
    const auto alive = witness.alive();
    EXPECT_TRUE(alive.empty()) << alive.size() << " objects are left, as of " << *alive.begin();
    for (const std::string& fault : witness.take_faults()) ADD_FAILURE() << fault;
    host.reset();
    for (const std::string& message : log_.take())
      ADD_FAILURE() << "Vulkan validation: " << message;
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  vk::DeviceFunctions& fn() { return host->fn; }
  std::string folder() const { return (scratch_ / "model").string(); }
  std::string cache_folder() const { return (scratch_ / "cache").string(); }

  ItoResult create_context(ItoContext* context, const ChangeContext& change = {}) {
    ItoHostDevice device;
    ITO_INIT(device, HOST_DEVICE);
    device.get_instance_proc_addr = witness.loader();
    device.instance = host->instance->handle();
    device.physical_device = host->physical;
    device.device = host->device;
    device.api_version = VK_API_VERSION_1_2;
    device.enabled_features = host->features();
    device.queue = host->queue;
    device.queue_family = host->family;
    ItoContextInfo info;
    ITO_INIT(info, CONTEXT_INFO);
    info.host = &device;
    if (change) change(device, info);
    return ito.create_context(&info, context);
  }
  ItoResult load_model(ItoContext context, ItoModel* model, const std::string& other = "") {
    ItoModelInfo info;
    ITO_INIT(info, MODEL_INFO);
    const std::string path = other.empty() ? folder() : other;
    info.folder = path.c_str();
    return ito.load_model(context, &info, model);
  }
  ItoResult create_job(ItoModel model, ItoJob* job, uint32_t steps = 2,
                       ItoPixelFormat format = ITO_PIXEL_FORMAT_RGBA8) {
    ItoSampleInfo info;
    ITO_INIT(info, SAMPLE_INFO);
    info.sampler = "ddim";
    info.steps = steps;
    info.pixel_format = format;
    return ito.create_sample_job(model, &info, job);
  }
  ItoResult restart(ItoJob job, uint32_t seed = 5) {
    const ItoImageRequest request = {seed, 1};
    return ito.restart(job, &request, 1);
  }

  // One frame: begins the command buffer, has `record` fill it, submits it and waits.
  template <typename Record>
  void frame(Record&& record) {
    VkCommandBufferBeginInfo begin = {};
    begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    ASSERT_EQ(fn().vkBeginCommandBuffer(commands, &begin), VK_SUCCESS);
    record();
    ASSERT_EQ(fn().vkEndCommandBuffer(commands), VK_SUCCESS);
    VkSubmitInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    info.commandBufferCount = 1;
    info.pCommandBuffers = &commands;
    ASSERT_EQ(fn().vkQueueSubmit(host->queue, 1, &info, VK_NULL_HANDLE), VK_SUCCESS);
    ASSERT_EQ(fn().vkDeviceWaitIdle(host->device), VK_SUCCESS);
  }
  // Records a job to its end, so many dispatches a frame; gives the first result that is not
  // ITO_OK.
  ItoResult record_all(ItoJob job, uint32_t dispatches = 40) {
    ItoBudget budget;
    ITO_INIT(budget, BUDGET);
    budget.max_dispatches = dispatches;
    ItoProgress progress;
    ITO_INIT(progress, PROGRESS);
    ItoResult result = ITO_OK;
    while (result == ITO_OK && !progress.recorded)
      frame([&] { result = ito.record_slice(job, commands, &budget, &progress); });
    return result;
  }
  std::vector<float> images(ItoJob job) {
    ItoJobProperties properties;
    ITO_INIT(properties, JOB_PROPERTIES);
    EXPECT_ITO(ito.get_job_properties(job, &properties));
    std::vector<float> images(properties.image_floats);
    EXPECT_ITO(ito.read_images(job, images.data(), images.size() * sizeof(float)));
    return images;
  }
  std::vector<uint8_t> pixels(ItoJob job) {
    ItoJobProperties properties;
    ITO_INIT(properties, JOB_PROPERTIES);
    EXPECT_ITO(ito.get_job_properties(job, &properties));
    std::vector<uint8_t> pixels(properties.pixel_bytes);
    EXPECT_ITO(ito.read_pixels(job, pixels.data(), pixels.size()));
    return pixels;
  }

  ItoApi ito;
  Witness witness;
  std::unique_ptr<HostDevice> host;
  VkCommandBuffer commands = VK_NULL_HANDLE;

 private:
  Scratch scratch_;
  ValidationLog log_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
};

// A context, a model and a job of an engine's, destroyed with this.
class Loaded {
 public:
  // `result` is the first that is not ITO_OK.
  explicit Loaded(Engine& engine, const ChangeContext& change = {}) : engine_(engine) {
    result = engine.create_context(&context, change);
    if (result == ITO_OK) result = engine.load_model(context, &model);
    if (result == ITO_OK) result = engine.create_job(model, &job);
  }
  ~Loaded() {
    engine_.ito.destroy_job(job);
    engine_.ito.destroy_model(model);
    engine_.ito.destroy_context(context);
  }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;

  ItoResult result = ITO_OK;
  ItoContext context = nullptr;
  ItoModel model = nullptr;
  ItoJob job = nullptr;

 private:
  Engine& engine_;
};

}  // namespace ito::test
