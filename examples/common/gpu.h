/* What the examples in plain Vulkan keep of it: one device, one queue, images and buffers with
 * memory of their own. Not for: anything of Ito. A call that fails ends the program with its name.
 */
#ifndef EXAMPLES_GPU_H
#define EXAMPLES_GPU_H

#include <vulkan/vulkan.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct Gpu {
  VkInstance instance;
  VkPhysicalDevice physical;
  VkPhysicalDeviceProperties properties;
  VkPhysicalDeviceMemoryProperties memory;
  uint32_t family;
  /* As the device was created with them. */
  VkPhysicalDeviceFeatures2 features;
  VkPhysicalDeviceVulkan11Features features11;
  VkPhysicalDeviceVulkan12Features features12;
  VkPhysicalDeviceSubgroupSizeControlFeatures subgroups;
  const char *extensions[16];
  uint32_t extension_count;
  VkDevice device;
  VkQueue queue;
} Gpu;

typedef struct GpuImage {
  VkImage image;
  VkImageView view;
  VkDeviceMemory memory;
  uint32_t width, height;
} GpuImage;

typedef struct GpuBuffer {
  VkBuffer buffer;
  VkDeviceMemory memory;
  void *data; /* mapped, coherent */
} GpuBuffer;

/* End the program with a message, which begins with the name given to gpu_open. */
void fail(const char *what);
void check(VkResult result, const char *what);

/* The first device with a queue for graphics and compute. `instance_extensions` are a window's. */
void gpu_open(Gpu *gpu, const char *program, const char *const *instance_extensions,
              uint32_t count);
int gpu_has_extension(const Gpu *gpu, const char *name);
void gpu_enable_extension(Gpu *gpu, const char *name);
/* Creates the device with the features and extensions that stand in `gpu`. */
void gpu_create_device(Gpu *gpu);
void gpu_close(Gpu *gpu);

GpuImage gpu_image(const Gpu *gpu, VkFormat format, uint32_t width, uint32_t height,
                   VkImageUsageFlags usage, VkImageAspectFlags aspect);
void gpu_destroy_image(const Gpu *gpu, GpuImage *image);
GpuBuffer gpu_buffer(const Gpu *gpu, VkDeviceSize size, VkBufferUsageFlags usage);
void gpu_destroy_buffer(const Gpu *gpu, GpuBuffer *buffer);

/* An image with these pixels (R8G8B8A8_UNORM), in TRANSFER_SRC_OPTIMAL. Waits. */
GpuImage gpu_upload(const Gpu *gpu, uint32_t width, uint32_t height, const void *pixels);

/* A barrier for the one subresource of a colour image. */
void gpu_barrier(VkCommandBuffer commands, VkImage image, VkImageLayout before, VkImageLayout after,
                 VkPipelineStageFlags stages_before, VkAccessFlags access_before,
                 VkPipelineStageFlags stages_after, VkAccessFlags access_after);

#ifdef __cplusplus
}
#endif

#endif
