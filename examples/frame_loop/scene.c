#include "scene.h"

#include <math.h>
#include <string.h>

#include "scene_frag.h"
#include "scene_vert.h"

typedef struct Push {
  float world[16], camera[16]; /* columns */
} Push;

static VkShaderModule shader(const Gpu *gpu, const uint32_t *words, size_t bytes) {
  VkShaderModuleCreateInfo info = {VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  VkShaderModule module;
  info.codeSize = bytes;
  info.pCode = words;
  check(vkCreateShaderModule(gpu->device, &info, NULL, &module), "vkCreateShaderModule");
  return module;
}

/* Every device has one of the two. */
static VkFormat depth_format(const Gpu *gpu) {
  VkFormatProperties properties;
  vkGetPhysicalDeviceFormatProperties(gpu->physical, VK_FORMAT_D32_SFLOAT, &properties);
  return (properties.optimalTilingFeatures & VK_FORMAT_FEATURE_DEPTH_STENCIL_ATTACHMENT_BIT) != 0
             ? VK_FORMAT_D32_SFLOAT
             : VK_FORMAT_X8_D24_UNORM_PACK32;
}

static VkRenderPass render_pass(const Gpu *gpu) {
  VkAttachmentDescription attachments[2];
  VkAttachmentReference colour = {0, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL};
  VkAttachmentReference depth = {1, VK_IMAGE_LAYOUT_DEPTH_STENCIL_ATTACHMENT_OPTIMAL};
  VkSubpassDescription subpass;
  VkSubpassDependency depends[2];
  VkRenderPassCreateInfo info = {VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO};
  const VkPipelineStageFlags drawing = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT |
                                       VK_PIPELINE_STAGE_EARLY_FRAGMENT_TESTS_BIT |
                                       VK_PIPELINE_STAGE_LATE_FRAGMENT_TESTS_BIT;
  VkRenderPass pass;
  memset(attachments, 0, sizeof attachments);
  memset(&subpass, 0, sizeof subpass);
  memset(depends, 0, sizeof depends);
  attachments[0].format = VK_FORMAT_R8G8B8A8_UNORM;
  attachments[0].samples = attachments[1].samples = VK_SAMPLE_COUNT_1_BIT;
  attachments[0].loadOp = attachments[1].loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR;
  attachments[0].storeOp = VK_ATTACHMENT_STORE_OP_STORE;
  attachments[0].finalLayout = VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL;
  attachments[1].format = depth_format(gpu);
  attachments[1].storeOp = VK_ATTACHMENT_STORE_OP_DONT_CARE;
  attachments[0].stencilLoadOp = attachments[1].stencilLoadOp = VK_ATTACHMENT_LOAD_OP_DONT_CARE;
  attachments[0].stencilStoreOp = attachments[1].stencilStoreOp = VK_ATTACHMENT_STORE_OP_DONT_CARE;
  attachments[1].finalLayout = VK_IMAGE_LAYOUT_DEPTH_STENCIL_ATTACHMENT_OPTIMAL;
  subpass.pipelineBindPoint = VK_PIPELINE_BIND_POINT_GRAPHICS;
  subpass.colorAttachmentCount = 1;
  subpass.pColorAttachments = &colour;
  subpass.pDepthStencilAttachment = &depth;
  /* The frame before has drawn and has been copied; this one is copied afterwards. */
  depends[0].srcSubpass = VK_SUBPASS_EXTERNAL;
  depends[0].srcStageMask = drawing | VK_PIPELINE_STAGE_TRANSFER_BIT;
  depends[0].dstStageMask = drawing;
  depends[0].srcAccessMask = VK_ACCESS_DEPTH_STENCIL_ATTACHMENT_WRITE_BIT;
  depends[0].dstAccessMask = VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT |
                             VK_ACCESS_DEPTH_STENCIL_ATTACHMENT_READ_BIT |
                             VK_ACCESS_DEPTH_STENCIL_ATTACHMENT_WRITE_BIT;
  depends[1].dstSubpass = VK_SUBPASS_EXTERNAL;
  depends[1].srcStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT;
  depends[1].dstStageMask = VK_PIPELINE_STAGE_TRANSFER_BIT;
  depends[1].srcAccessMask = VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT;
  depends[1].dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT;
  info.attachmentCount = 2;
  info.pAttachments = attachments;
  info.subpassCount = 1;
  info.pSubpasses = &subpass;
  info.dependencyCount = 2;
  info.pDependencies = depends;
  check(vkCreateRenderPass(gpu->device, &info, NULL, &pass), "vkCreateRenderPass");
  return pass;
}

static void describe(const Gpu *gpu, Scene *scene, VkImageView picture) {
  VkSamplerCreateInfo sampler = {VK_STRUCTURE_TYPE_SAMPLER_CREATE_INFO};
  VkDescriptorSetLayoutBinding binding = {0, VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER, 1,
                                          VK_SHADER_STAGE_FRAGMENT_BIT, NULL};
  VkDescriptorSetLayoutCreateInfo layout = {VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
  VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER, 1};
  VkDescriptorPoolCreateInfo pool = {VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO};
  VkDescriptorSetAllocateInfo allocate = {VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO};
  VkDescriptorImageInfo image;
  VkWriteDescriptorSet write = {VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET};
  sampler.magFilter = sampler.minFilter = VK_FILTER_NEAREST; /* pixels are shown as they are */
  sampler.addressModeU = sampler.addressModeV = VK_SAMPLER_ADDRESS_MODE_CLAMP_TO_EDGE;
  check(vkCreateSampler(gpu->device, &sampler, NULL, &scene->sampler), "vkCreateSampler");
  layout.bindingCount = 1;
  layout.pBindings = &binding;
  check(vkCreateDescriptorSetLayout(gpu->device, &layout, NULL, &scene->set_layout),
        "vkCreateDescriptorSetLayout");
  pool.maxSets = 1;
  pool.poolSizeCount = 1;
  pool.pPoolSizes = &size;
  check(vkCreateDescriptorPool(gpu->device, &pool, NULL, &scene->pool), "vkCreateDescriptorPool");
  allocate.descriptorPool = scene->pool;
  allocate.descriptorSetCount = 1;
  allocate.pSetLayouts = &scene->set_layout;
  check(vkAllocateDescriptorSets(gpu->device, &allocate, &scene->set), "vkAllocateDescriptorSets");
  image.sampler = scene->sampler;
  image.imageView = picture;
  image.imageLayout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL;
  write.dstSet = scene->set;
  write.descriptorCount = 1;
  write.descriptorType = VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER;
  write.pImageInfo = &image;
  vkUpdateDescriptorSets(gpu->device, 1, &write, 0, NULL);
}

static VkPipeline pipeline(const Gpu *gpu, const Scene *scene) {
  VkPipelineShaderStageCreateInfo stages[2];
  VkPipelineVertexInputStateCreateInfo vertices = {
      VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_STATE_CREATE_INFO};
  VkPipelineInputAssemblyStateCreateInfo assembly = {
      VK_STRUCTURE_TYPE_PIPELINE_INPUT_ASSEMBLY_STATE_CREATE_INFO};
  VkViewport viewport = {0, 0, (float)scene->colour.width, (float)scene->colour.height, 0, 1};
  VkRect2D scissor = {{0, 0}, {scene->colour.width, scene->colour.height}};
  VkPipelineViewportStateCreateInfo view = {VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_STATE_CREATE_INFO};
  VkPipelineRasterizationStateCreateInfo raster = {
      VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_STATE_CREATE_INFO};
  VkPipelineMultisampleStateCreateInfo samples = {
      VK_STRUCTURE_TYPE_PIPELINE_MULTISAMPLE_STATE_CREATE_INFO};
  VkPipelineDepthStencilStateCreateInfo depth = {
      VK_STRUCTURE_TYPE_PIPELINE_DEPTH_STENCIL_STATE_CREATE_INFO};
  VkPipelineColorBlendAttachmentState attachment;
  VkPipelineColorBlendStateCreateInfo blend = {
      VK_STRUCTURE_TYPE_PIPELINE_COLOR_BLEND_STATE_CREATE_INFO};
  VkGraphicsPipelineCreateInfo info = {VK_STRUCTURE_TYPE_GRAPHICS_PIPELINE_CREATE_INFO};
  VkPipeline result;
  memset(stages, 0, sizeof stages);
  stages[0].sType = stages[1].sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  stages[0].stage = VK_SHADER_STAGE_VERTEX_BIT;
  stages[0].module = shader(gpu, scene_vert, sizeof scene_vert);
  stages[1].stage = VK_SHADER_STAGE_FRAGMENT_BIT;
  stages[1].module = shader(gpu, scene_frag, sizeof scene_frag);
  stages[0].pName = stages[1].pName = "main";
  assembly.topology = VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST;
  view.viewportCount = view.scissorCount = 1;
  view.pViewports = &viewport;
  view.pScissors = &scissor;
  raster.lineWidth = 1;
  samples.rasterizationSamples = VK_SAMPLE_COUNT_1_BIT;
  depth.depthTestEnable = depth.depthWriteEnable = VK_TRUE;
  depth.depthCompareOp = VK_COMPARE_OP_LESS;
  memset(&attachment, 0, sizeof attachment);
  attachment.colorWriteMask = VK_COLOR_COMPONENT_R_BIT | VK_COLOR_COMPONENT_G_BIT |
                              VK_COLOR_COMPONENT_B_BIT | VK_COLOR_COMPONENT_A_BIT;
  blend.attachmentCount = 1;
  blend.pAttachments = &attachment;
  info.stageCount = 2;
  info.pStages = stages;
  info.pVertexInputState = &vertices;
  info.pInputAssemblyState = &assembly;
  info.pViewportState = &view;
  info.pRasterizationState = &raster;
  info.pMultisampleState = &samples;
  info.pDepthStencilState = &depth;
  info.pColorBlendState = &blend;
  info.layout = scene->layout;
  info.renderPass = scene->pass;
  check(vkCreateGraphicsPipelines(gpu->device, VK_NULL_HANDLE, 1, &info, NULL, &result),
        "vkCreateGraphicsPipelines");
  vkDestroyShaderModule(gpu->device, stages[0].module, NULL);
  vkDestroyShaderModule(gpu->device, stages[1].module, NULL);
  return result;
}

Scene scene_create(const Gpu *gpu, uint32_t width, uint32_t height, VkImageView picture) {
  Scene scene;
  VkPushConstantRange push = {VK_SHADER_STAGE_VERTEX_BIT, 0, sizeof(Push)};
  VkPipelineLayoutCreateInfo layout = {VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  VkFramebufferCreateInfo frame = {VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO};
  VkImageView views[2];
  scene.colour = gpu_image(gpu, VK_FORMAT_R8G8B8A8_UNORM, width, height,
                           VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT,
                           VK_IMAGE_ASPECT_COLOR_BIT);
  scene.depth = gpu_image(gpu, depth_format(gpu), width, height,
                          VK_IMAGE_USAGE_DEPTH_STENCIL_ATTACHMENT_BIT, VK_IMAGE_ASPECT_DEPTH_BIT);
  scene.pass = render_pass(gpu);
  describe(gpu, &scene, picture);
  layout.setLayoutCount = 1;
  layout.pSetLayouts = &scene.set_layout;
  layout.pushConstantRangeCount = 1;
  layout.pPushConstantRanges = &push;
  check(vkCreatePipelineLayout(gpu->device, &layout, NULL, &scene.layout),
        "vkCreatePipelineLayout");
  views[0] = scene.colour.view;
  views[1] = scene.depth.view;
  frame.renderPass = scene.pass;
  frame.attachmentCount = 2;
  frame.pAttachments = views;
  frame.width = width;
  frame.height = height;
  frame.layers = 1;
  check(vkCreateFramebuffer(gpu->device, &frame, NULL, &scene.framebuffer), "vkCreateFramebuffer");
  scene.pipeline = pipeline(gpu, &scene);
  return scene;
}

/* c = a b, by columns. */
static void multiply(const float *a, const float *b, float *c) {
  int row, column, k;
  for (column = 0; column < 4; ++column)
    for (row = 0; row < 4; ++row) {
      float sum = 0;
      for (k = 0; k < 4; ++k) sum += a[k * 4 + row] * b[column * 4 + k];
      c[column * 4 + row] = sum;
    }
}

static Push matrices(const Scene *scene, double turns) {
  const double pi = 3.14159265358979323846;
  const float c = (float)cos(2 * pi * turns), s = (float)sin(2 * pi * turns);
  const float tilt = 0.42f, distance = 5.2f, near_plane = 1, far_plane = 20, focal = 1.9f;
  const float ct = (float)cos(tilt), st = (float)sin(tilt);
  const float aspect = (float)scene->colour.width / (float)scene->colour.height;
  const float depth = far_plane / (near_plane - far_plane);
  const float world[16] = {c, 0, -s, 0, 0, 1, 0, 0, s, 0, c, 0, 0, 0, 0, 1};
  /* Down by `tilt`, and back; y points down in Vulkan's pictures. */
  const float view[16] = {1, 0, 0, 0, 0, ct, st, 0, 0, -st, ct, 0, 0, 0, -distance, 1};
  const float perspective[16] = {
      focal / aspect, 0, 0, 0, 0, -focal, 0, 0, 0, 0, depth, -1, 0, 0, depth * near_plane, 0};
  Push push;
  memcpy(push.world, world, sizeof world);
  multiply(perspective, view, push.camera);
  return push;
}

void scene_record(const Scene *scene, VkCommandBuffer commands, double turns) {
  VkRenderPassBeginInfo begin = {VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO};
  VkClearValue clear[2];
  const Push push = matrices(scene, turns);
  memset(clear, 0, sizeof clear);
  clear[0].color.float32[0] = 0.09f;
  clear[0].color.float32[1] = 0.10f;
  clear[0].color.float32[2] = 0.13f;
  clear[0].color.float32[3] = 1;
  clear[1].depthStencil.depth = 1;
  begin.renderPass = scene->pass;
  begin.framebuffer = scene->framebuffer;
  begin.renderArea.extent.width = scene->colour.width;
  begin.renderArea.extent.height = scene->colour.height;
  begin.clearValueCount = 2;
  begin.pClearValues = clear;
  vkCmdBeginRenderPass(commands, &begin, VK_SUBPASS_CONTENTS_INLINE);
  vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, scene->pipeline);
  vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, scene->layout, 0, 1,
                          &scene->set, 0, NULL);
  vkCmdPushConstants(commands, scene->layout, VK_SHADER_STAGE_VERTEX_BIT, 0, sizeof push, &push);
  vkCmdDraw(commands, 42, 1, 0, 0);
  vkCmdEndRenderPass(commands);
}

void scene_destroy(const Gpu *gpu, Scene *scene) {
  vkDestroyPipeline(gpu->device, scene->pipeline, NULL);
  vkDestroyPipelineLayout(gpu->device, scene->layout, NULL);
  vkDestroyDescriptorPool(gpu->device, scene->pool, NULL);
  vkDestroyDescriptorSetLayout(gpu->device, scene->set_layout, NULL);
  vkDestroySampler(gpu->device, scene->sampler, NULL);
  vkDestroyFramebuffer(gpu->device, scene->framebuffer, NULL);
  vkDestroyRenderPass(gpu->device, scene->pass, NULL);
  gpu_destroy_image(gpu, &scene->depth);
  gpu_destroy_image(gpu, &scene->colour);
}
