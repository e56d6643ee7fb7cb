// Screen: Dear ImGui drawn into an image, pictures copied over it, and the image shown in a window;
// it can be read back, so that a test sees what a person would. Not for: what is drawn.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "gpu.h"
#include "window.h"

namespace view {

// A part of an image (in TRANSFER_SRC_OPTIMAL) and where it is shown, in pixels of the screen.
struct Shown {
  VkImage image;
  VkRect2D from;
  float x, y, width, height;
};

class Screen {
 public:
  Screen(const Gpu& gpu, std::mutex& queue, uint32_t width, uint32_t height);
  ~Screen();
  Screen(const Screen&) = delete;

  // Input, and a new frame of ImGui's. False when the window was closed.
  bool begin();
  // Ends ImGui's frame: `before` records what comes first, then its windows are drawn, then
  // pictures.
  void end(const std::function<void(VkCommandBuffer)>& before, const std::vector<Shown>& pictures);
  // RGBA of what the last frame showed, and its size. Waits.
  std::vector<uint8_t> read(uint32_t& width, uint32_t& height);

 private:
  static constexpr uint32_t kSlots = 2;
  void make_target();
  void drop_target();
  void upload_font();
  void show(VkCommandBuffer commands, const Shown& picture) const;

  const Gpu& gpu_;
  std::mutex& queue_;
  Window* window_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkDescriptorPool descriptors_ = VK_NULL_HANDLE;
  VkRenderPass pass_ = VK_NULL_HANDLE;
  VkFramebuffer framebuffer_ = VK_NULL_HANDLE;
  GpuImage target_ = {};
  VkCommandBuffer commands_[kSlots] = {};
  VkFence fences_[kSlots] = {};
  uint32_t slot_ = 0;
};

}  // namespace view
