// CommandRecorder writes compute commands into any VkCommandBuffer, Ito's own or a caller's, and
// touches only compute state: pipeline, push constants, dispatches, memory barriers, buffer copies.
// CommandBuffer owns one that can be submitted again and again. Timestamps is a pool of time marks.
// Not for submission (queue.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "runtime/vk/context.h"
#include "runtime/vk/memory.h"
#include "runtime/vk/pipeline.h"

namespace ito::vk {

class Device;
class Timestamps;

// What a caller does with an image or a buffer of its own before or after a copy, and the queue
// family that owns it then; VK_QUEUE_FAMILY_IGNORED: that of the command buffer. Between another
// family and this one ownership is acquired and released, whose other halves, with the same layout
// before and after, are the caller's.
struct ForeignUse {
  VkImageLayout layout = VK_IMAGE_LAYOUT_UNDEFINED;
  VkPipelineStageFlags stages = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
  VkAccessFlags accesses = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT;
  uint32_t family = VK_QUEUE_FAMILY_IGNORED;
};

// A part of one subresource of a colour image of the caller's.
struct ForeignImage {
  VkImage image = VK_NULL_HANDLE;
  uint32_t width = 0, height = 0;
  VkOffset3D offset = {0, 0, 0};
  uint32_t mip_level = 0, array_layer = 0;
  ForeignUse before, after;
};

// A range of a buffer of the caller's.
struct ForeignBuffer {
  VkBuffer buffer = VK_NULL_HANDLE;
  uint64_t offset = 0, size = 0;
  ForeignUse before, after;
};

class CommandRecorder {
 public:
  // `handle` is in the recording state and outside a render pass.
  CommandRecorder(Device& device, VkCommandBuffer handle);

  void bind(const Pipeline& pipeline);
  // Argument addresses, in the order of the kernel's push constants.
  void push_addresses(std::span<const uint64_t> addresses);
  // Workgroups [base, base + groups); gl_NumWorkGroups is `groups`.
  void dispatch(const std::array<uint32_t, 3>& base, const std::array<uint32_t, 3>& groups);
  // Later dispatches see what earlier ones wrote.
  void barrier();
  // Later commands see all that came before on the queue, of whatever kind; and the other way round
  // at the end, the host's reads included.
  void begin_barrier();
  void end_barrier();
  // Copies bytes; offsets are relative to the buffers. Ordered against nothing: put barriers.
  void copy(const Buffer& from, uint64_t from_offset, const Buffer& to, uint64_t to_offset,
            uint64_t size);
  // Fills with a repeated word; offset and size are multiples of 4.
  void fill(const Buffer& buffer, uint64_t offset, uint64_t size, uint32_t word);
  // Writes up to 65,536 bytes, a multiple of 4, that travel inside the command buffer.
  void update(const Buffer& buffer, uint64_t offset, std::span<const std::byte> bytes);
  // Copies between a buffer of ours and memory of the caller's, pixels tightly packed. Of that
  // memory the copy is ordered as its uses say; of ours it is not: put barriers.
  void copy_to(const Buffer& from, uint64_t from_offset, const ForeignImage& to);
  void copy_to(const Buffer& from, uint64_t from_offset, const ForeignBuffer& to);
  void copy_from(const ForeignImage& from, const Buffer& to, uint64_t to_offset);
  void copy_from(const ForeignBuffer& from, const Buffer& to, uint64_t to_offset);
  // Between the two, dispatches have the priority that the device's options ask for, where it can
  // be set; afterwards the normal one.
  void begin_priority();
  void end_priority();
  void reset(const Timestamps& timestamps);
  void reset(const Timestamps& timestamps, uint32_t first, uint32_t count);
  // Marks when all commands before it are done.
  void timestamp(const Timestamps& timestamps, uint32_t index);
  // Copies marks made in this command buffer, 8 bytes each in ticks, once they are there.
  void copy_marks(const Timestamps& timestamps, uint32_t first, uint32_t count, const Buffer& to,
                  uint64_t offset);

 private:
  void set_priority(float priority);
  void memory_barrier(VkPipelineStageFlags from, VkAccessFlags writes, VkPipelineStageFlags to,
                      VkAccessFlags accesses);
  // What happens to the caller's memory between two uses.
  void transition(const ForeignImage& image, const ForeignUse& from, const ForeignUse& to);
  void transition(const ForeignBuffer& buffer, const ForeignUse& from, const ForeignUse& to);
  template <typename Foreign>
  void hand_over(const Foreign& foreign, const ForeignUse& from, const ForeignUse& to);

  const Context& context_;
  uint32_t family_;
  VkPipelineLayout layout_;
  VkCommandBuffer handle_;
  VkPipeline bound_ = VK_NULL_HANDLE;
};

// A primary command buffer with a pool of its own. May be pending several times at once.
class CommandBuffer {
 public:
  static Result<CommandBuffer> create(Device& device);
  CommandBuffer() = default;
  ~CommandBuffer() { release(); }
  CommandBuffer(CommandBuffer&& other) noexcept { *this = std::move(other); }
  CommandBuffer& operator=(CommandBuffer&& other) noexcept;
  CommandBuffer(const CommandBuffer&) = delete;
  CommandBuffer& operator=(const CommandBuffer&) = delete;

  bool valid() const { return handle_ != VK_NULL_HANDLE; }
  VkCommandBuffer handle() const { return handle_; }
  // Forgets what was recorded (it must not be pending) and begins anew.
  Result<CommandRecorder> begin();
  Status end();

 private:
  void release();

  Device* device_ = nullptr;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkCommandBuffer handle_ = VK_NULL_HANDLE;
};

class Timestamps {
 public:
  // Errors: kUnsupported where the queue has no timestamps.
  static Result<std::unique_ptr<Timestamps>> create(Device& device, uint32_t count);
  ~Timestamps();
  Timestamps(const Timestamps&) = delete;
  Timestamps& operator=(const Timestamps&) = delete;

  uint32_t count() const { return count_; }
  VkQueryPool handle() const { return handle_; }
  // The marks in nanoseconds of a clock of the device's own; their commands must have finished.
  Result<std::vector<double>> read() const;
  // Milliseconds between two marks as copy_marks() gives them.
  double milliseconds(uint64_t from_ticks, uint64_t to_ticks) const;

 private:
  Timestamps(const Context& context, uint32_t count) : context_(context), count_(count) {}

  const Context& context_;
  uint32_t count_;
  uint64_t mask_ = ~0ull;
  VkQueryPool handle_ = VK_NULL_HANDLE;
};

}  // namespace ito::vk
