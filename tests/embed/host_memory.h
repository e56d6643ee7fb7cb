// Images and buffers as an engine has them, on a HostDevice, and what it records to fill and to
// read them.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tests/support/host_device.h"

namespace ito::test {

struct HostBuffer {
  VkBuffer buffer = VK_NULL_HANDLE;
  std::byte* mapped = nullptr;
  uint64_t size = 0;

  template <typename T>
  std::vector<T> read() const {
    std::vector<T> values(size / sizeof(T));
    std::memcpy(values.data(), mapped, size);
    return values;
  }
  template <typename T>
  void write(const std::vector<T>& values) const {
    std::memcpy(mapped, values.data(), values.size() * sizeof(T));
  }
};

// A subresource of an image and what it is used for.
struct ImageUse {
  VkImageLayout layout = VK_IMAGE_LAYOUT_UNDEFINED;
  VkPipelineStageFlags stages = VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT;
  VkAccessFlags accesses = 0;
};
inline constexpr ImageUse kAsTarget = {VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
                                       VK_PIPELINE_STAGE_TRANSFER_BIT,
                                       VK_ACCESS_TRANSFER_WRITE_BIT};
inline constexpr ImageUse kAsSource = {VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
                                       VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_READ_BIT};

class HostMemory {
 public:
  explicit HostMemory(HostDevice& host) : host_(host) {}
  ~HostMemory() {
    for (VkImage image : images_)
      function<PFN_vkDestroyImage>("vkDestroyImage")(host_.device, image, nullptr);
    for (VkBuffer buffer : buffers_) host_.fn.vkDestroyBuffer(host_.device, buffer, nullptr);
    for (VkDeviceMemory memory : memories_) host_.fn.vkFreeMemory(host_.device, memory, nullptr);
  }
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;

  VkImage image(VkFormat format, uint32_t width, uint32_t height, uint32_t mips = 1,
                uint32_t layers = 1) {
    VkImageCreateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO;
    info.imageType = VK_IMAGE_TYPE_2D;
    info.format = format;
    info.extent = {width, height, 1};
    info.mipLevels = mips;
    info.arrayLayers = layers;
    info.samples = VK_SAMPLE_COUNT_1_BIT;
    info.usage = VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT;
    VkImage image = VK_NULL_HANDLE;
    EXPECT_EQ(function<PFN_vkCreateImage>("vkCreateImage")(host_.device, &info, nullptr, &image),
              VK_SUCCESS);
    images_.push_back(image);
    VkMemoryRequirements needs;
    function<PFN_vkGetImageMemoryRequirements>("vkGetImageMemoryRequirements")(host_.device, image,
                                                                               &needs);
    const VkDeviceMemory memory = memory_for(needs, 0);
    EXPECT_EQ(function<PFN_vkBindImageMemory>("vkBindImageMemory")(host_.device, image, memory, 0),
              VK_SUCCESS);
    return image;
  }

  HostBuffer buffer(uint64_t size) {
    VkBufferCreateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
    info.size = size;
    info.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    HostBuffer made;
    made.size = size;
    EXPECT_EQ(host_.fn.vkCreateBuffer(host_.device, &info, nullptr, &made.buffer), VK_SUCCESS);
    buffers_.push_back(made.buffer);
    VkMemoryRequirements needs;
    host_.fn.vkGetBufferMemoryRequirements(host_.device, made.buffer, &needs);
    const VkDeviceMemory memory = memory_for(
        needs, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
    EXPECT_EQ(host_.fn.vkBindBufferMemory(host_.device, made.buffer, memory, 0), VK_SUCCESS);
    void* mapped = nullptr;
    EXPECT_EQ(host_.fn.vkMapMemory(host_.device, memory, 0, VK_WHOLE_SIZE, 0, &mapped), VK_SUCCESS);
    made.mapped = static_cast<std::byte*>(mapped);
    return made;
  }

  void transition(VkCommandBuffer commands, VkImage image, const ImageUse& from, const ImageUse& to,
                  uint32_t mip = 0, uint32_t layer = 0) {
    VkImageMemoryBarrier barrier = {};
    barrier.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER;
    barrier.srcAccessMask = from.accesses;
    barrier.dstAccessMask = to.accesses;
    barrier.oldLayout = from.layout;
    barrier.newLayout = to.layout;
    barrier.srcQueueFamilyIndex = barrier.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED;
    barrier.image = image;
    barrier.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, mip, 1, layer, 1};
    host_.fn.vkCmdPipelineBarrier(commands, from.stages, to.stages, 0, 0, nullptr, 0, nullptr, 1,
                                  &barrier);
  }

  // All pixels of a subresource that is a target, from a buffer; and of a source, into one.
  void fill(VkCommandBuffer commands, const HostBuffer& from, VkImage image, uint32_t width,
            uint32_t height, uint32_t mip = 0, uint32_t layer = 0) {
    const VkBufferImageCopy region = whole(width, height, mip, layer);
    function<PFN_vkCmdCopyBufferToImage>("vkCmdCopyBufferToImage")(commands, from.buffer, image,
                                                                   kAsTarget.layout, 1, &region);
  }
  void read(VkCommandBuffer commands, VkImage image, const HostBuffer& to, uint32_t width,
            uint32_t height, uint32_t mip = 0, uint32_t layer = 0) {
    const VkBufferImageCopy region = whole(width, height, mip, layer);
    function<PFN_vkCmdCopyImageToBuffer>("vkCmdCopyImageToBuffer")(
        commands, image, kAsSource.layout, to.buffer, 1, &region);
    VkMemoryBarrier barrier = {};
    barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
    barrier.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT;
    barrier.dstAccessMask = VK_ACCESS_HOST_READ_BIT;
    host_.fn.vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
                                  VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, nullptr, 0,
                                  nullptr);
  }

 private:
  template <typename F>
  F function(const char* name) {
    return reinterpret_cast<F>(host_.instance->functions().vkGetDeviceProcAddr(host_.device, name));
  }
  static VkBufferImageCopy whole(uint32_t width, uint32_t height, uint32_t mip, uint32_t layer) {
    VkBufferImageCopy region = {};
    region.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, mip, layer, 1};
    region.imageExtent = {width, height, 1};
    return region;
  }
  VkDeviceMemory memory_for(const VkMemoryRequirements& wanted, VkMemoryPropertyFlags flags) {
    VkPhysicalDeviceMemoryProperties2 properties = {};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
    host_.instance->functions().vkGetPhysicalDeviceMemoryProperties2(host_.physical, &properties);
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
    EXPECT_EQ(host_.fn.vkAllocateMemory(host_.device, &allocation, nullptr, &memory), VK_SUCCESS);
    memories_.push_back(memory);
    return memory;
  }

  HostDevice& host_;
  std::vector<VkImage> images_;
  std::vector<VkBuffer> buffers_;
  std::vector<VkDeviceMemory> memories_;
};

}  // namespace ito::test
