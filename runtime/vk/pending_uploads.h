// PendingUploads: what is to be written to the memory of a device that has no queue of its own
// (Queue::can_submit), kept on the host until the owner of a queue lets it be recorded. Only where
// the host does not see that memory itself. Safe from any thread. Not for devices with a queue
// (staging.h).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/result.h"
#include "runtime/vk/memory.h"

namespace ito::vk {

class CommandRecorder;

class PendingUploads {
 public:
  explicit PendingUploads(Memory& memory) : memory_(memory) {}
  PendingUploads(const PendingUploads&) = delete;
  PendingUploads& operator=(const PendingUploads&) = delete;

  // Takes a copy of `data`, for `offset` of the buffer; sizes and offsets are multiples of 4.
  // Errors: kOutOfMemory for the copy, which lies in memory that the device can read.
  Status write(const Buffer& to, uint64_t offset, std::span<const std::byte> data);
  void fill(const Buffer& to, uint64_t offset, uint64_t size, uint32_t word);

  // How many there have been, and how many of them, from the first on, are recorded as a whole or
  // were given up with their buffer. What is made after the n-th needs n recorded ones.
  uint64_t count() const { return count_; }
  uint64_t recorded() const { return recorded_; }

  // Records the next ones in order, about `bytes` of them in at most `commands` copies and fills,
  // at least a part of one. By one thread at a time, while no buffer is given back. The command
  // buffers must be executed in the order of recording, each once.
  void record(CommandRecorder& recorder, uint64_t bytes, uint32_t commands);
  // All that was recorded has been executed: gives the copies' memory back.
  void release();
  // A range of memory is given back; what was to be written there no longer is.
  void forget(VkBuffer handle, uint64_t offset, uint64_t size);

 private:
  struct Upload {
    VkBuffer to = VK_NULL_HANDLE;
    uint64_t offset = 0, size = 0;       // in the VkBuffer
    std::unique_ptr<const Buffer> from;  // null: a fill
    uint32_t word = 0;
    uint64_t done = 0;  // bytes that are recorded; `size`: all, or given up
  };
  void add(Upload upload);

  Memory& memory_;
  mutable std::mutex mutex_;
  std::deque<Upload> waiting_;
  std::vector<std::unique_ptr<const Buffer>> used_;  // by recorded commands
  std::atomic<uint64_t> count_ = 0, recorded_ = 0;
};

}  // namespace ito::vk
