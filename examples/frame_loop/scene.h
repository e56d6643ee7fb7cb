/* The scene: a cube that turns over a floor, a picture on its six sides. Drawn into an image of its
 * own, so that a frame needs no window. Not for: Ito, which only ever sees the picture. */
#ifndef FRAME_LOOP_SCENE_H
#define FRAME_LOOP_SCENE_H

#include "gpu.h"

typedef struct Scene {
  GpuImage colour, depth; /* R8G8B8A8_UNORM */
  VkRenderPass pass;
  VkFramebuffer framebuffer;
  VkSampler sampler;
  VkDescriptorSetLayout set_layout;
  VkDescriptorPool pool;
  VkDescriptorSet set;
  VkPipelineLayout layout;
  VkPipeline pipeline;
} Scene;

/* `picture` is sampled in VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL. */
Scene scene_create(const Gpu *gpu, uint32_t width, uint32_t height, VkImageView picture);
/* Draws it, turned by `turns` of a circle; leaves `colour` in TRANSFER_SRC_OPTIMAL. */
void scene_record(const Scene *scene, VkCommandBuffer commands, double turns);
void scene_destroy(const Gpu *gpu, Scene *scene);

#endif
