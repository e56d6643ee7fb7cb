#include "gpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *program_name = "example";

void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", program_name, what);
  exit(1);
}

void check(VkResult result, const char *what) {
  if (result == VK_SUCCESS) return;
  fprintf(stderr, "%s: %s gave VkResult %d\n", program_name, what, (int)result);
  exit(1);
}

static int find_queue(VkPhysicalDevice device, uint32_t *family) {
  VkQueueFamilyProperties families[16];
  uint32_t count = 16, i;
  const VkQueueFlags wanted = VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT;
  vkGetPhysicalDeviceQueueFamilyProperties(device, &count, families);
  for (i = 0; i < count; ++i) {
    if ((families[i].queueFlags & wanted) != wanted || families[i].timestampValidBits == 0)
      continue;
    *family = i;
    return 1;
  }
  return 0;
}

void gpu_open(Gpu *gpu, const char *program, const char *const *instance_extensions,
              uint32_t count) {
  VkApplicationInfo application = {VK_STRUCTURE_TYPE_APPLICATION_INFO};
  VkInstanceCreateInfo info = {VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  VkPhysicalDevice devices[16];
  uint32_t device_count = 16, i;
  memset(gpu, 0, sizeof *gpu);
  program_name = program;
  application.pApplicationName = program;
  application.apiVersion = VK_API_VERSION_1_2;
  info.pApplicationInfo = &application;
  info.enabledExtensionCount = count;
  info.ppEnabledExtensionNames = instance_extensions;
  check(vkCreateInstance(&info, NULL, &gpu->instance), "vkCreateInstance");
  if (vkEnumeratePhysicalDevices(gpu->instance, &device_count, devices) < 0) device_count = 0;
  for (i = 0; i < device_count && gpu->physical == VK_NULL_HANDLE; ++i) {
    vkGetPhysicalDeviceProperties(devices[i], &gpu->properties);
    if (gpu->properties.apiVersion < VK_API_VERSION_1_2) continue;
    if (find_queue(devices[i], &gpu->family)) gpu->physical = devices[i];
  }
  if (gpu->physical == VK_NULL_HANDLE)
    fail("no Vulkan 1.2 device with a queue for graphics, compute and timestamps");
  vkGetPhysicalDeviceMemoryProperties(gpu->physical, &gpu->memory);
  gpu->features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
  gpu->features.pNext = &gpu->features11;
  gpu->features11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
  gpu->features11.pNext = &gpu->features12;
  gpu->features12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
  if (gpu_has_extension(gpu, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) {
    gpu_enable_extension(gpu, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    gpu->features12.pNext = &gpu->subgroups;
    gpu->subgroups.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES;
  }
}

int gpu_has_extension(const Gpu *gpu, const char *name) {
  uint32_t count = 0, i;
  int found = 0;
  VkExtensionProperties *all;
  check(vkEnumerateDeviceExtensionProperties(gpu->physical, NULL, &count, NULL), "extensions");
  all = malloc((count + 1) * sizeof *all);
  if (all == NULL) fail("out of memory");
  check(vkEnumerateDeviceExtensionProperties(gpu->physical, NULL, &count, all), "extensions");
  for (i = 0; i < count; ++i) found |= strcmp(all[i].extensionName, name) == 0;
  free(all);
  return found;
}

void gpu_enable_extension(Gpu *gpu, const char *name) {
  uint32_t i;
  for (i = 0; i < gpu->extension_count; ++i)
    if (strcmp(gpu->extensions[i], name) == 0) return;
  if (gpu->extension_count == sizeof gpu->extensions / sizeof *gpu->extensions)
    fail("too many extensions");
  gpu->extensions[gpu->extension_count++] = name;
}

void gpu_create_device(Gpu *gpu) {
  const float priority = 1;
  VkDeviceQueueCreateInfo queue = {VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
  VkDeviceCreateInfo info = {VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
  queue.queueFamilyIndex = gpu->family;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  info.pNext = &gpu->features;
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = gpu->extension_count;
  info.ppEnabledExtensionNames = gpu->extensions;
  check(vkCreateDevice(gpu->physical, &info, NULL, &gpu->device), "vkCreateDevice");
  vkGetDeviceQueue(gpu->device, gpu->family, 0, &gpu->queue);
}

void gpu_close(Gpu *gpu) {
  vkDestroyDevice(gpu->device, NULL);
  vkDestroyInstance(gpu->instance, NULL);
}

static VkDeviceMemory allocate(const Gpu *gpu, const VkMemoryRequirements *needs,
                               VkMemoryPropertyFlags flags) {
  VkMemoryAllocateInfo info = {VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
  VkDeviceMemory memory;
  uint32_t i;
  for (i = 0; i < gpu->memory.memoryTypeCount; ++i) {
    if ((needs->memoryTypeBits >> i & 1) == 0) continue;
    if ((gpu->memory.memoryTypes[i].propertyFlags & flags) == flags) break;
  }
  if (i == gpu->memory.memoryTypeCount) fail("no memory type for an image or a buffer");
  info.allocationSize = needs->size;
  info.memoryTypeIndex = i;
  check(vkAllocateMemory(gpu->device, &info, NULL, &memory), "vkAllocateMemory");
  return memory;
}

GpuImage gpu_image(const Gpu *gpu, VkFormat format, uint32_t width, uint32_t height,
                   VkImageUsageFlags usage, VkImageAspectFlags aspect) {
  VkImageCreateInfo info = {VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO};
  VkImageViewCreateInfo view = {VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO};
  VkMemoryRequirements needs;
  GpuImage image;
  image.width = width;
  image.height = height;
  info.imageType = VK_IMAGE_TYPE_2D;
  info.format = format;
  info.extent.width = width;
  info.extent.height = height;
  info.extent.depth = 1;
  info.mipLevels = info.arrayLayers = 1;
  info.samples = VK_SAMPLE_COUNT_1_BIT;
  info.usage = usage;
  check(vkCreateImage(gpu->device, &info, NULL, &image.image), "vkCreateImage");
  vkGetImageMemoryRequirements(gpu->device, image.image, &needs);
  image.memory = allocate(gpu, &needs, 0);
  check(vkBindImageMemory(gpu->device, image.image, image.memory, 0), "vkBindImageMemory");
  view.image = image.image;
  view.viewType = VK_IMAGE_VIEW_TYPE_2D;
  view.format = format;
  view.subresourceRange.aspectMask = aspect;
  view.subresourceRange.levelCount = view.subresourceRange.layerCount = 1;
  check(vkCreateImageView(gpu->device, &view, NULL, &image.view), "vkCreateImageView");
  return image;
}

void gpu_destroy_image(const Gpu *gpu, GpuImage *image) {
  vkDestroyImageView(gpu->device, image->view, NULL);
  vkDestroyImage(gpu->device, image->image, NULL);
  vkFreeMemory(gpu->device, image->memory, NULL);
}

GpuBuffer gpu_buffer(const Gpu *gpu, VkDeviceSize size, VkBufferUsageFlags usage) {
  VkBufferCreateInfo info = {VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  VkMemoryRequirements needs;
  GpuBuffer buffer;
  info.size = size;
  info.usage = usage;
  check(vkCreateBuffer(gpu->device, &info, NULL, &buffer.buffer), "vkCreateBuffer");
  vkGetBufferMemoryRequirements(gpu->device, buffer.buffer, &needs);
  buffer.memory = allocate(
      gpu, &needs, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
  check(vkBindBufferMemory(gpu->device, buffer.buffer, buffer.memory, 0), "vkBindBufferMemory");
  check(vkMapMemory(gpu->device, buffer.memory, 0, VK_WHOLE_SIZE, 0, &buffer.data), "vkMapMemory");
  return buffer;
}

void gpu_destroy_buffer(const Gpu *gpu, GpuBuffer *buffer) {
  vkDestroyBuffer(gpu->device, buffer->buffer, NULL);
  vkFreeMemory(gpu->device, buffer->memory, NULL);
}

void gpu_barrier(VkCommandBuffer commands, VkImage image, VkImageLayout before, VkImageLayout after,
                 VkPipelineStageFlags stages_before, VkAccessFlags access_before,
                 VkPipelineStageFlags stages_after, VkAccessFlags access_after) {
  VkImageMemoryBarrier barrier = {VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER};
  barrier.srcAccessMask = access_before;
  barrier.dstAccessMask = access_after;
  barrier.oldLayout = before;
  barrier.newLayout = after;
  barrier.srcQueueFamilyIndex = barrier.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED;
  barrier.image = image;
  barrier.subresourceRange.aspectMask = VK_IMAGE_ASPECT_COLOR_BIT;
  barrier.subresourceRange.levelCount = barrier.subresourceRange.layerCount = 1;
  vkCmdPipelineBarrier(commands, stages_before, stages_after, 0, 0, NULL, 0, NULL, 1, &barrier);
}

GpuImage gpu_upload(const Gpu *gpu, uint32_t width, uint32_t height, const void *pixels) {
  const VkDeviceSize size = (VkDeviceSize)width * height * 4;
  GpuBuffer buffer = gpu_buffer(gpu, size, VK_BUFFER_USAGE_TRANSFER_SRC_BIT);
  const GpuImage image = gpu_image(gpu, VK_FORMAT_R8G8B8A8_UNORM, width, height,
                                   VK_IMAGE_USAGE_TRANSFER_SRC_BIT |
                                       VK_IMAGE_USAGE_TRANSFER_DST_BIT | VK_IMAGE_USAGE_SAMPLED_BIT,
                                   VK_IMAGE_ASPECT_COLOR_BIT);
  VkCommandPoolCreateInfo pool_info = {VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  VkCommandBufferAllocateInfo allocate_info = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  VkCommandBufferBeginInfo begin = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  VkSubmitInfo submit = {VK_STRUCTURE_TYPE_SUBMIT_INFO};
  VkBufferImageCopy region;
  VkCommandPool pool;
  VkCommandBuffer commands;
  memcpy(buffer.data, pixels, (size_t)size);
  pool_info.queueFamilyIndex = gpu->family;
  check(vkCreateCommandPool(gpu->device, &pool_info, NULL, &pool), "vkCreateCommandPool");
  allocate_info.commandPool = pool;
  allocate_info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  allocate_info.commandBufferCount = 1;
  check(vkAllocateCommandBuffers(gpu->device, &allocate_info, &commands), "commands");
  check(vkBeginCommandBuffer(commands, &begin), "vkBeginCommandBuffer");
  gpu_barrier(commands, image.image, VK_IMAGE_LAYOUT_UNDEFINED,
              VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, VK_PIPELINE_STAGE_TRANSFER_BIT, 0,
              VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT);
  memset(&region, 0, sizeof region);
  region.imageSubresource.aspectMask = VK_IMAGE_ASPECT_COLOR_BIT;
  region.imageSubresource.layerCount = 1;
  region.imageExtent.width = width;
  region.imageExtent.height = height;
  region.imageExtent.depth = 1;
  vkCmdCopyBufferToImage(commands, buffer.buffer, image.image, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
                         1, &region);
  gpu_barrier(commands, image.image, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
              VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, VK_PIPELINE_STAGE_TRANSFER_BIT,
              VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT,
              VK_ACCESS_TRANSFER_READ_BIT);
  check(vkEndCommandBuffer(commands), "vkEndCommandBuffer");
  submit.commandBufferCount = 1;
  submit.pCommandBuffers = &commands;
  check(vkQueueSubmit(gpu->queue, 1, &submit, VK_NULL_HANDLE), "vkQueueSubmit");
  check(vkQueueWaitIdle(gpu->queue), "vkQueueWaitIdle");
  vkDestroyCommandPool(gpu->device, pool, NULL);
  gpu_destroy_buffer(gpu, &buffer);
  return image;
}
