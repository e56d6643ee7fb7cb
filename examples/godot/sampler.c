#include "sampler.h"

#include <ito/ito.h>
#include <stdio.h>
#include <stdlib.h>
#include <vulkan/vulkan.h>

enum { kSlots = 3 }; /* slices that may be under way */

struct Sampler {
  ItoApi ito;
  ItoContext context;
  ItoModel model;
  ItoJob job;
  ItoJobProperties properties;
  ItoProgress progress;
  VkDevice device;
  VkQueue queue;
  VkCommandPool pool;
  VkCommandBuffer commands[kSlots];
  VkFence fences[kSlots];
  uint32_t next;
  int done;
  char error[512];
};

static int failed(Sampler *sampler, const char *what) {
  snprintf(sampler->error, sizeof sampler->error, "%s", what);
  return -1;
}

static int asked(Sampler *sampler, ItoResult result) {
  return result >= 0 ? 0 : failed(sampler, sampler->ito.last_error());
}

static int called(Sampler *sampler, VkResult result, const char *what) {
  if (result == VK_SUCCESS) return 0;
  snprintf(sampler->error, sizeof sampler->error, "%s gave VkResult %d", what, (int)result);
  return -1;
}

Sampler *sampler_new(void) {
  Sampler *sampler = calloc(1, sizeof *sampler);
  if (sampler == NULL) return NULL;
  ITO_INIT(sampler->properties, JOB_PROPERTIES);
  ITO_INIT(sampler->progress, PROGRESS);
  return sampler;
}

void sampler_free(Sampler *sampler) {
  uint32_t i;
  if (sampler->device != VK_NULL_HANDLE) {
    /* A fence that was never created, or is not under way, is signalled. */
    for (i = 0; i < kSlots; ++i)
      if (sampler->fences[i] != VK_NULL_HANDLE)
        vkWaitForFences(sampler->device, 1, &sampler->fences[i], VK_TRUE, UINT64_MAX);
    sampler->ito.destroy_job(sampler->job);
    sampler->ito.destroy_model(sampler->model);
    sampler->ito.destroy_context(sampler->context);
    for (i = 0; i < kSlots; ++i) vkDestroyFence(sampler->device, sampler->fences[i], NULL);
    vkDestroyCommandPool(sampler->device, sampler->pool, NULL);
  }
  free(sampler);
}

const char *sampler_error(const Sampler *sampler) { return sampler->error; }

int sampler_open(Sampler *sampler, uint64_t instance, uint64_t physical, uint64_t device,
                 uint64_t queue, uint32_t family, const char *cache) {
  /* Of what Godot has enabled only this is certain, and enough. */
  VkPhysicalDeviceBufferDeviceAddressFeatures address = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES};
  VkCommandPoolCreateInfo pool = {VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  VkCommandBufferAllocateInfo allocate = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  VkFenceCreateInfo fence = {VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
  ItoHostDevice host;
  ItoContextInfo info;
  uint32_t i;
  if (sampler->device != VK_NULL_HANDLE) return failed(sampler, "open: it is open already");
  if (ito_get_api(ITO_API_VERSION, sizeof sampler->ito, &sampler->ito) < 0)
    return failed(sampler, "libito.so is older than this extension");
  address.bufferDeviceAddress = VK_TRUE;
  ITO_INIT(host, HOST_DEVICE);
  host.get_instance_proc_addr = vkGetInstanceProcAddr;
  host.instance = (VkInstance)(uintptr_t)instance;
  host.physical_device = (VkPhysicalDevice)(uintptr_t)physical;
  host.device = (VkDevice)(uintptr_t)device;
  host.api_version = VK_API_VERSION_1_2;
  host.enabled_features = &address;
  host.queue_family = family;
  host.queue = (VkQueue)(uintptr_t)queue;
  ITO_INIT(info, CONTEXT_INFO);
  info.host = &host;
  info.cache_folder = cache[0] != 0 ? cache : NULL;
  if (asked(sampler, sampler->ito.create_context(&info, &sampler->context)) < 0) return -1;
  sampler->device = host.device;
  sampler->queue = host.queue;
  pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  pool.queueFamilyIndex = family;
  if (called(sampler, vkCreateCommandPool(host.device, &pool, NULL, &sampler->pool), "pool") < 0)
    return -1;
  allocate.commandPool = sampler->pool;
  allocate.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  allocate.commandBufferCount = kSlots;
  if (called(sampler, vkAllocateCommandBuffers(host.device, &allocate, sampler->commands),
             "command buffers") < 0)
    return -1;
  fence.flags = VK_FENCE_CREATE_SIGNALED_BIT;
  for (i = 0; i < kSlots; ++i)
    if (called(sampler, vkCreateFence(host.device, &fence, NULL, &sampler->fences[i]), "fence") < 0)
      return -1;
  return 0;
}

int sampler_load(Sampler *sampler, const char *folder, const char *sampler_name, uint32_t steps,
                 double guidance) {
  const ItoApi *ito = &sampler->ito;
  ItoModelInfo model;
  ItoSampleInfo sample;
  if (sampler->context == NULL) return failed(sampler, "load: it is not open");
  if (sampler->job != NULL) return failed(sampler, "load: something is loaded already");
  ITO_INIT(model, MODEL_INFO);
  model.folder = folder;
  if (asked(sampler, ito->load_model(sampler->context, &model, &sampler->model)) < 0) return -1;
  ITO_INIT(sample, SAMPLE_INFO);
  sample.sampler = sampler_name[0] != 0 ? sampler_name : NULL;
  sample.steps = steps;
  sample.guidance_scale = guidance;
  sample.pixel_format = ITO_PIXEL_FORMAT_RGBA8;
  if (asked(sampler, ito->create_sample_job(sampler->model, &sample, &sampler->job)) < 0) return -1;
  return asked(sampler, ito->get_job_properties(sampler->job, &sampler->properties));
}

int sampler_begin(Sampler *sampler, uint32_t seed, uint32_t class_index) {
  const ItoImageRequest request = {seed, class_index};
  if (sampler->job == NULL) return failed(sampler, "begin: nothing is loaded");
  ITO_INIT(sampler->progress, PROGRESS);
  sampler->done = 0;
  return asked(sampler, sampler->ito.restart(sampler->job, &request, 1));
}

static int record(Sampler *sampler, VkCommandBuffer commands, uint64_t image, uint32_t budget_us) {
  const ItoApi *ito = &sampler->ito;
  ItoBudget budget;
  ItoImageTarget target;
  ITO_INIT(budget, BUDGET);
  budget.gpu_microseconds = budget_us;
  if (asked(sampler, ito->record_slice(sampler->job, commands, &budget, &sampler->progress)) < 0)
    return -1;
  if (!sampler->progress.recorded) return 0;
  ITO_INIT(target, IMAGE_TARGET);
  /* A handle that is not a pointer everywhere. */
  memcpy(&target.image, &image, sizeof target.image);
  target.layout_before = target.layout_after = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL;
  target.access_after = VK_ACCESS_SHADER_READ_BIT;
  target.stages_before = target.stages_after = VK_PIPELINE_STAGE_VERTEX_SHADER_BIT |
                                               VK_PIPELINE_STAGE_FRAGMENT_SHADER_BIT |
                                               VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
  if (asked(sampler, ito->record_image(sampler->job, commands, &target)) < 0) return -1;
  sampler->done = 1;
  return 0;
}

int sampler_advance(Sampler *sampler, uint64_t image, uint32_t budget_us) {
  VkCommandBufferBeginInfo begin = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  VkSubmitInfo submit = {VK_STRUCTURE_TYPE_SUBMIT_INFO};
  VkCommandBuffer commands;
  VkFence fence;
  if (sampler->job == NULL) return failed(sampler, "advance: nothing is loaded");
  if (sampler->done) return 1;
  commands = sampler->commands[sampler->next];
  fence = sampler->fences[sampler->next];
  if (vkGetFenceStatus(sampler->device, fence) == VK_NOT_READY) return 0;
  begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  if (called(sampler, vkBeginCommandBuffer(commands, &begin), "vkBeginCommandBuffer") < 0)
    return -1;
  if (record(sampler, commands, image, budget_us) < 0) return -1;
  if (called(sampler, vkEndCommandBuffer(commands), "vkEndCommandBuffer") < 0) return -1;
  if (called(sampler, vkResetFences(sampler->device, 1, &fence), "vkResetFences") < 0) return -1;
  submit.commandBufferCount = 1;
  submit.pCommandBuffers = &commands;
  if (called(sampler, vkQueueSubmit(sampler->queue, 1, &submit, fence), "vkQueueSubmit") < 0)
    return -1;
  sampler->next = (sampler->next + 1) % kSlots;
  return sampler->done;
}

uint32_t sampler_width(const Sampler *sampler) { return sampler->properties.width; }
uint32_t sampler_height(const Sampler *sampler) { return sampler->properties.height; }
uint32_t sampler_step(const Sampler *sampler) { return sampler->progress.step; }
uint32_t sampler_steps(const Sampler *sampler) { return sampler->properties.steps; }
