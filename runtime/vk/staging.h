// Staging: copies between host and device memory. upload_now and download_now wait for the device;
// UploadRing and ReadbackPool do not: their copies take their place in the queue's order.
// Bytes only; not for tensors or dtypes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "runtime/vk/command_buffer.h"
#include "runtime/vk/memory.h"

namespace ito::vk {

class Device;

// Waits for all work on the device, then writes `data` at `offset` of the buffer. On a device
// without a queue there is nothing to wait for: it writes, or leaves it to Device::uploads().
Status upload_now(Device& device, const Buffer& to, uint64_t offset,
                  std::span<const std::byte> data);
// Waits for all work on the device, then reads `data.size()` bytes at `offset` of the buffer.
// Without a queue, what was recorded must have been executed; kUnsupported where the host does not
// see that memory.
Status download_now(Device& device, const Buffer& from, uint64_t offset, std::span<std::byte> data);
// As upload_now: fills `size` bytes (a multiple of 4) with a word.
Status fill_now(Device& device, const Buffer& to, uint64_t offset, uint64_t size, uint32_t word);

// Host writes that happen on the device between what was submitted before and what comes after.
class UploadRing {
 public:
  UploadRing(Device& device, uint64_t bytes) : device_(device), bytes_(bytes) {}
  // Waits for the copies that are under way.
  ~UploadRing();
  UploadRing(const UploadRing&) = delete;
  UploadRing& operator=(const UploadRing&) = delete;

  // Takes a copy of `data`, to be put at `offset` of `to` by the next take(). Waits only while the
  // ring is full; data larger than the ring makes it grow.
  Status write(std::shared_ptr<const Buffer> to, uint64_t offset, std::span<const std::byte> data);
  // The recorded copies not yet submitted, or null. The caller must submit it next and then call
  // submitted() with the value of that submission.
  Result<const CommandBuffer*> take();
  void submitted(uint64_t value);
  // Submits what is not yet submitted.
  Status flush();

 private:
  struct Region {
    std::shared_ptr<const Buffer> from, to;
    uint64_t from_offset, to_offset, size;
  };
  struct Batch {
    CommandBuffer commands;
    std::vector<Region> regions;  // kept alive while the device may read them
    uint64_t value = 0;           // of its submission; 0: free
    uint64_t ring_end = 0;        // where the ring is free up to when it is done
  };
  Status make_room(uint64_t size);
  Status wait_for_oldest();
  void retire(uint64_t completed);

  Device& device_;
  uint64_t bytes_;
  std::shared_ptr<Buffer> ring_;
  uint64_t head_ = 0, tail_ = 0;  // ever rising; modulo bytes_ they are places in the ring
  std::vector<Region> pending_;
  std::vector<std::unique_ptr<Batch>> batches_;
  std::deque<Batch*> in_flight_;
  Batch* taken_ = nullptr;
};

// A read under way: a copy the device makes after what was submitted before it. Must be gone before
// its device.
class ReadTicket {
 public:
  ReadTicket() = default;
  bool valid() const { return slot_ != nullptr; }
  uint64_t size() const;
  // Whether the copy is there. Does not wait.
  Result<bool> ready() const;
  // Waits, then copies into `data`, which must have size() bytes.
  Status read(std::span<std::byte> data) const;

 private:
  friend class ReadbackPool;
  struct Slot;
  Device* device_ = nullptr;
  std::shared_ptr<Slot> slot_;
};

class ReadbackPool {
 public:
  explicit ReadbackPool(Device& device) : device_(device) {}
  // Waits for the copies that are under way.
  ~ReadbackPool();
  ReadbackPool(const ReadbackPool&) = delete;
  ReadbackPool& operator=(const ReadbackPool&) = delete;

  // Submits a copy of a range. Host memory of finished and dropped tickets is used again.
  Result<ReadTicket> enqueue(std::shared_ptr<const Buffer> from, uint64_t offset, uint64_t size);
  // Records copies of a range for `tickets` that are under way at once: until there are more,
  // enqueue() of that range allocates and records nothing.
  Status reserve(const std::shared_ptr<const Buffer>& from, uint64_t offset, uint64_t size,
                 size_t tickets);

 private:
  Result<std::shared_ptr<ReadTicket::Slot>> make_slot(uint64_t size);
  Status record(ReadTicket::Slot& slot, std::shared_ptr<const Buffer> from, uint64_t offset,
                uint64_t size);

  Device& device_;
  std::vector<std::shared_ptr<ReadTicket::Slot>> slots_;
};

}  // namespace ito::vk
