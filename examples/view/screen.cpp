#include "screen.h"

#include <backends/imgui_impl_glfw.h>
#include <backends/imgui_impl_vulkan.h>
#include <imgui.h>

#include <algorithm>

namespace view {
namespace {

void begin_commands(VkCommandBuffer commands) {
  VkCommandBufferBeginInfo begin = {};
  begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  check(vkBeginCommandBuffer(commands, &begin), "vkBeginCommandBuffer");
}

VkRenderPass make_pass(const Gpu& gpu) {
  VkAttachmentDescription colour = {};
  colour.format = VK_FORMAT_R8G8B8A8_UNORM;
  colour.samples = VK_SAMPLE_COUNT_1_BIT;
  colour.loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR;
  colour.storeOp = VK_ATTACHMENT_STORE_OP_STORE;
  colour.stencilLoadOp = VK_ATTACHMENT_LOAD_OP_DONT_CARE;
  colour.stencilStoreOp = VK_ATTACHMENT_STORE_OP_DONT_CARE;
  colour.finalLayout = VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL;  // pictures are copied into it
  const VkAttachmentReference reference = {0, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL};
  VkSubpassDescription subpass = {};
  subpass.pipelineBindPoint = VK_PIPELINE_BIND_POINT_GRAPHICS;
  subpass.colorAttachmentCount = 1;
  subpass.pColorAttachments = &reference;
  VkSubpassDependency depends[2] = {};
  depends[0].srcSubpass = VK_SUBPASS_EXTERNAL;
  depends[0].srcStageMask = VK_PIPELINE_STAGE_TRANSFER_BIT;
  depends[0].dstStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT;
  depends[0].srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT;
  depends[0].dstAccessMask = VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT;
  depends[1].dstSubpass = VK_SUBPASS_EXTERNAL;
  depends[1].srcStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT;
  depends[1].dstStageMask = VK_PIPELINE_STAGE_TRANSFER_BIT;
  depends[1].srcAccessMask = VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT;
  depends[1].dstAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT;
  VkRenderPassCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO;
  info.attachmentCount = 1;
  info.pAttachments = &colour;
  info.subpassCount = 1;
  info.pSubpasses = &subpass;
  info.dependencyCount = 2;
  info.pDependencies = depends;
  VkRenderPass pass = VK_NULL_HANDLE;
  check(vkCreateRenderPass(gpu.device, &info, nullptr, &pass), "vkCreateRenderPass");
  return pass;
}

}  // namespace

Screen::Screen(const Gpu& gpu, std::mutex& queue, uint32_t width, uint32_t height)
    : gpu_(gpu), queue_(queue), window_(window_open(&gpu, "ito view", width, height)) {
  VkCommandPoolCreateInfo pool = {};
  pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
  pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  pool.queueFamilyIndex = gpu.family;
  check(vkCreateCommandPool(gpu.device, &pool, nullptr, &pool_), "vkCreateCommandPool");
  VkCommandBufferAllocateInfo commands = {};
  commands.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
  commands.commandPool = pool_;
  commands.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  commands.commandBufferCount = kSlots;
  check(vkAllocateCommandBuffers(gpu.device, &commands, commands_), "vkAllocateCommandBuffers");
  VkFenceCreateInfo fence = {};
  fence.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO;
  fence.flags = VK_FENCE_CREATE_SIGNALED_BIT;
  for (VkFence& made : fences_)
    check(vkCreateFence(gpu.device, &fence, nullptr, &made), "vkCreateFence");
  const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER, 1};
  VkDescriptorPoolCreateInfo descriptors = {};
  descriptors.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
  descriptors.flags = VK_DESCRIPTOR_POOL_CREATE_FREE_DESCRIPTOR_SET_BIT;
  descriptors.maxSets = 1;
  descriptors.poolSizeCount = 1;
  descriptors.pPoolSizes = &size;
  check(vkCreateDescriptorPool(gpu.device, &descriptors, nullptr, &descriptors_), "descriptors");
  pass_ = make_pass(gpu);

  ImGui::CreateContext();
  ImGui::GetIO().IniFilename = nullptr;  // nothing is written
  ImGui::StyleColorsDark();
  ImGui_ImplGlfw_InitForVulkan(window_handle(window_), true);
  ImGui_ImplVulkan_InitInfo info = {};
  info.Instance = gpu.instance;
  info.PhysicalDevice = gpu.physical;
  info.Device = gpu.device;
  info.QueueFamily = gpu.family;
  info.Queue = gpu.queue;
  info.DescriptorPool = descriptors_;
  info.MinImageCount = info.ImageCount = kSlots;
  info.MSAASamples = VK_SAMPLE_COUNT_1_BIT;
  info.CheckVkResultFn = [](VkResult result) { check(result, "a function of Vulkan in ImGui"); };
  ImGui_ImplVulkan_Init(&info, pass_);
  upload_font();
}

Screen::~Screen() {
  check(vkDeviceWaitIdle(gpu_.device), "vkDeviceWaitIdle");
  ImGui_ImplVulkan_Shutdown();
  ImGui_ImplGlfw_Shutdown();
  ImGui::DestroyContext();
  drop_target();
  vkDestroyRenderPass(gpu_.device, pass_, nullptr);
  vkDestroyDescriptorPool(gpu_.device, descriptors_, nullptr);
  for (VkFence fence : fences_) vkDestroyFence(gpu_.device, fence, nullptr);
  vkDestroyCommandPool(gpu_.device, pool_, nullptr);
  window_close(window_);
}

void Screen::upload_font() {
  begin_commands(commands_[0]);
  ImGui_ImplVulkan_CreateFontsTexture(commands_[0]);
  check(vkEndCommandBuffer(commands_[0]), "vkEndCommandBuffer");
  VkSubmitInfo submit = {};
  submit.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
  submit.commandBufferCount = 1;
  submit.pCommandBuffers = &commands_[0];
  {
    const std::lock_guard hold(queue_);
    check(vkQueueSubmit(gpu_.queue, 1, &submit, VK_NULL_HANDLE), "vkQueueSubmit");
    check(vkQueueWaitIdle(gpu_.queue), "vkQueueWaitIdle");
  }
  ImGui_ImplVulkan_DestroyFontUploadObjects();
}

void Screen::make_target() {
  const ImVec2 size = ImGui::GetIO().DisplaySize;
  target_ = gpu_image(&gpu_, VK_FORMAT_R8G8B8A8_UNORM, std::max(1u, static_cast<uint32_t>(size.x)),
                      std::max(1u, static_cast<uint32_t>(size.y)),
                      VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT |
                          VK_IMAGE_USAGE_TRANSFER_DST_BIT,
                      VK_IMAGE_ASPECT_COLOR_BIT);
  VkFramebufferCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO;
  info.renderPass = pass_;
  info.attachmentCount = 1;
  info.pAttachments = &target_.view;
  info.width = target_.width;
  info.height = target_.height;
  info.layers = 1;
  check(vkCreateFramebuffer(gpu_.device, &info, nullptr, &framebuffer_), "vkCreateFramebuffer");
}

void Screen::drop_target() {
  if (framebuffer_ == VK_NULL_HANDLE) return;
  vkDestroyFramebuffer(gpu_.device, framebuffer_, nullptr);
  gpu_destroy_image(&gpu_, &target_);
  framebuffer_ = VK_NULL_HANDLE;
}

bool Screen::begin() {
  int space = 0;
  if (!window_poll(window_, &space)) return false;
  ImGui_ImplVulkan_NewFrame();
  ImGui_ImplGlfw_NewFrame();
  ImGui::NewFrame();
  const ImVec2 size = ImGui::GetIO().DisplaySize;
  if (framebuffer_ == VK_NULL_HANDLE || target_.width != static_cast<uint32_t>(size.x) ||
      target_.height != static_cast<uint32_t>(size.y)) {
    const std::lock_guard hold(queue_);
    check(vkDeviceWaitIdle(gpu_.device), "vkDeviceWaitIdle");
    drop_target();
    make_target();
  }
  return true;
}

void Screen::show(VkCommandBuffer commands, const Shown& picture) const {
  const auto inside = [](float x, uint32_t size) {
    return std::clamp(static_cast<int32_t>(x), 0, static_cast<int32_t>(size));
  };
  VkImageBlit blit = {};
  blit.srcSubresource = blit.dstSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
  blit.srcOffsets[0] = {picture.from.offset.x, picture.from.offset.y, 0};
  blit.srcOffsets[1] = {picture.from.offset.x + static_cast<int32_t>(picture.from.extent.width),
                        picture.from.offset.y + static_cast<int32_t>(picture.from.extent.height),
                        1};
  blit.dstOffsets[0] = {inside(picture.x, target_.width), inside(picture.y, target_.height), 0};
  blit.dstOffsets[1] = {inside(picture.x + picture.width, target_.width),
                        inside(picture.y + picture.height, target_.height), 1};
  if (blit.dstOffsets[0].x == blit.dstOffsets[1].x || blit.dstOffsets[0].y == blit.dstOffsets[1].y)
    return;
  vkCmdBlitImage(commands, picture.image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, target_.image,
                 VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &blit, VK_FILTER_NEAREST);
}

void Screen::end(const std::function<void(VkCommandBuffer)>& before,
                 const std::vector<Shown>& pictures) {
  ImGui::Render();
  slot_ = (slot_ + 1) % kSlots;
  const VkFence fence = fences_[slot_];
  VkCommandBuffer commands = commands_[slot_];
  check(vkWaitForFences(gpu_.device, 1, &fence, VK_TRUE, UINT64_MAX), "vkWaitForFences");
  check(vkResetFences(gpu_.device, 1, &fence), "vkResetFences");
  begin_commands(commands);
  before(commands);
  VkClearValue clear = {};
  clear.color = {{0.07f, 0.075f, 0.09f, 1.0f}};
  VkRenderPassBeginInfo begin = {};
  begin.sType = VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO;
  begin.renderPass = pass_;
  begin.framebuffer = framebuffer_;
  begin.renderArea.extent = {target_.width, target_.height};
  begin.clearValueCount = 1;
  begin.pClearValues = &clear;
  vkCmdBeginRenderPass(commands, &begin, VK_SUBPASS_CONTENTS_INLINE);
  ImGui_ImplVulkan_RenderDrawData(ImGui::GetDrawData(), commands);
  vkCmdEndRenderPass(commands);
  for (const Shown& picture : pictures) show(commands, picture);
  gpu_barrier(commands, target_.image, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
              VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, VK_PIPELINE_STAGE_TRANSFER_BIT,
              VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT,
              VK_ACCESS_TRANSFER_READ_BIT);
  window_record(window_, commands, &target_);
  check(vkEndCommandBuffer(commands), "vkEndCommandBuffer");
  const std::lock_guard hold(queue_);
  window_submit(window_, commands, fence);
}

std::vector<uint8_t> Screen::read(uint32_t& width, uint32_t& height) {
  width = target_.width;
  height = target_.height;
  const size_t size = size_t{width} * height * 4;
  GpuBuffer buffer = gpu_buffer(&gpu_, size, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
  const std::lock_guard hold(queue_);
  check(vkDeviceWaitIdle(gpu_.device), "vkDeviceWaitIdle");
  VkCommandBuffer commands = commands_[slot_];
  begin_commands(commands);
  VkBufferImageCopy region = {};
  region.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
  region.imageExtent = {width, height, 1};
  vkCmdCopyImageToBuffer(commands, target_.image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
                         buffer.buffer, 1, &region);
  check(vkEndCommandBuffer(commands), "vkEndCommandBuffer");
  VkSubmitInfo submit = {};
  submit.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
  submit.commandBufferCount = 1;
  submit.pCommandBuffers = &commands;
  check(vkQueueSubmit(gpu_.queue, 1, &submit, VK_NULL_HANDLE), "vkQueueSubmit");
  check(vkQueueWaitIdle(gpu_.queue), "vkQueueWaitIdle");
  const auto* data = static_cast<const uint8_t*>(buffer.data);
  std::vector<uint8_t> pixels(data, data + size);
  gpu_destroy_buffer(&gpu_, &buffer);
  return pixels;
}

}  // namespace view
