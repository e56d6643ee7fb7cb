// Memory: device memory in few big blocks, each one VkDeviceMemory under one VkBuffer with a device
// address, cut into buffers. Safe from any thread; the driver is never called under its lock, since
// it may ask a caller's allocator for memory. Not for copies between host and device
// (staging.h) and not for images.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/result.h"
#include "runtime/vk/context.h"

namespace ito::vk {

enum class MemoryUse : uint8_t {
  kDevice,    // the device's own; mapped too where that costs nothing (unified memory, full ReBAR)
  kUpload,    // host memory the device can read
  kReadback,  // host memory, cached, the device can write
};

class Memory;
struct MemoryBlock;

// A range of device memory. Gives its bytes back when destroyed; the device must not use it any
// more by then.
class Buffer {
 public:
  Buffer() = default;
  ~Buffer() { release(); }
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  // A view of a caller's VkBuffer (created with shader device address, transfer source and
  // destination usage), which must outlive it. `address` is that of `offset`.
  static Buffer borrow(VkBuffer handle, uint64_t offset, uint64_t size, uint64_t address);

  bool valid() const { return handle_ != VK_NULL_HANDLE; }
  uint64_t address() const { return address_; }
  uint64_t size() const { return size_; }  // bytes asked for
  VkBuffer handle() const { return handle_; }
  uint64_t offset() const { return offset_; }  // within handle()
  // The host's view, or null. Coherent: no flush is needed.
  std::byte* mapped() const { return mapped_; }
  // Whether reading through mapped() is as fast as ordinary memory.
  bool host_cached() const { return host_cached_; }

  // How often the bytes have been changed, by which others see whether what they made of them still
  // holds; nothing where that cannot be known, as of a caller's buffer. It rises after a change was
  // submitted: who reads it, then submits work on the bytes, and later finds it unchanged has seen
  // all changes.
  std::optional<uint64_t> version() const;
  // Whoever changes bytes says so, once what changes them is submitted.
  void changed() const { ++version_; }
  // From now on bytes may be changed at times that nobody says, as by commands of a caller's.
  void changes_unseen() const { unseen_ = true; }

 private:
  friend class Memory;
  void release();

  Memory* memory_ = nullptr;
  MemoryBlock* block_ = nullptr;
  VkBuffer handle_ = VK_NULL_HANDLE;
  uint64_t offset_ = 0;
  uint64_t size_ = 0;
  uint64_t address_ = 0;
  std::byte* mapped_ = nullptr;
  bool host_cached_ = false;
  mutable std::atomic<uint64_t> version_ = 0;
  mutable std::atomic<bool> unseen_ = false;
};

struct MemoryStatistics {
  uint64_t block_bytes = 0;       // taken from the driver now
  uint64_t used_bytes = 0;        // in live buffers now
  uint64_t peak_block_bytes = 0;  // highest so far
  uint64_t peak_used_bytes = 0;
  uint64_t live_buffers = 0;
};

class Memory {
 public:
  // `budget`: bytes that all blocks together may take; 0 for no limit but the device's.
  Memory(const Context& context, uint64_t budget);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // A buffer of `size` bytes at an address that is a multiple of 256. Content undefined.
  // Errors: kOutOfMemory with the size asked for and what limits it.
  Result<Buffer> allocate(uint64_t size, MemoryUse use);
  // Called with each range that is given back, before anybody else may get it.
  void on_free(std::function<void(VkBuffer, uint64_t offset, uint64_t size)> call) {
    on_free_ = std::move(call);
  }
  // Whether so many bytes are free at all, in however many pieces: asked before a program takes
  // many. Error kOutOfMemory with both numbers.
  Status check_room(uint64_t size, MemoryUse use) const;
  // Bytes of device memory that there are in all, taken or not: the budget, or the device's.
  uint64_t total() const;
  MemoryStatistics statistics() const;

 private:
  friend class Buffer;
  Result<std::unique_ptr<MemoryBlock>> make_block(uint64_t size, MemoryUse use);
  Status reserve_bytes(uint64_t size);
  void destroy(std::unique_ptr<MemoryBlock> block);
  Buffer cut(MemoryBlock& block, uint64_t offset, uint64_t size, uint64_t bytes);
  void free(MemoryBlock* block, uint64_t offset, uint64_t size);
  std::vector<uint32_t> candidate_types(MemoryUse use) const;
  uint64_t heap_room(uint32_t heap) const;

  const Context& context_;
  const uint64_t budget_;
  VkPhysicalDeviceMemoryProperties properties_ = {};
  bool unified_ = false;
  std::function<void(VkBuffer, uint64_t, uint64_t)> on_free_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<MemoryBlock>> blocks_;
  MemoryStatistics statistics_;
};

}  // namespace ito::vk
