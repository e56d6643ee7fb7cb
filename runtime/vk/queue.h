// Queue: submissions to one VkQueue, counted by a value that rises by one each time and that the
// host can poll or wait for. Uses a timeline semaphore where it is enabled, fences otherwise. Safe
// from any thread. May stand for no queue at all, where somebody else submits what is recorded. Not
// for recording (command_buffer.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/result.h"
#include "runtime/vk/context.h"

namespace ito::vk {

class CommandBuffer;

// Why the host waits: each is counted by itself.
enum class WaitReason : uint8_t {
  kResult,    // the host needs something the device makes
  kThrottle,  // the host is ahead by as much as it may be
};

class Queue {
 public:
  // `lock` and `unlock` are held around vkQueueSubmit (both may be empty), and never called while a
  // lock of the Queue's own is held. A null `queue`: nothing can be submitted, and nothing is ever
  // waited for.
  static Result<std::unique_ptr<Queue>> create(const Context& context, VkQueue queue,
                                               uint32_t family, std::function<void()> lock,
                                               std::function<void()> unlock);
  // Waits for all that was submitted here.
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  uint32_t family() const { return family_; }
  bool can_submit() const { return queue_ != VK_NULL_HANDLE; }
  // Makes sure that so many more submissions can be under way without anything being made for them,
  // until unreserve() of as many.
  Status reserve(uint32_t submissions);
  void unreserve(uint32_t submissions) { reserved_ -= submissions; }

  // Submits in order (nulls are left out, at most 4); gives the value which completed() reaches
  // when the device is done with it.
  Result<uint64_t> submit(std::initializer_list<const CommandBuffer*> command_buffers);
  // The value up to which everything is done. Does not wait.
  Result<uint64_t> completed();
  // Waits until completed() >= value.
  Status wait(uint64_t value, WaitReason reason);
  // The value of the newest submission (0: none yet).
  uint64_t last_submitted() const;

 private:
  struct Slot {
    VkFence fence = VK_NULL_HANDLE;
    uint64_t value = 0;  // 0: free
    uint32_t waiters = 0;
  };
  Queue(const Context& context, VkQueue queue, uint32_t family, std::function<void()> lock,
        std::function<void()> unlock)
      : context_(context),
        queue_(queue),
        family_(family),
        lock_(std::move(lock)),
        unlock_(std::move(unlock)) {}
  class HostLock;
  Status add_fence();
  Status provide_fence();
  Result<Slot*> free_slot();
  Status poll_fences();
  Result<uint64_t> submit_now(std::span<const VkCommandBuffer> handles, Slot* slot);

  const Context& context_;
  VkQueue queue_;
  uint32_t family_;
  std::function<void()> lock_, unlock_;
  mutable std::mutex mutex_;
  uint64_t last_ = 0;
  VkSemaphore timeline_ = VK_NULL_HANDLE;
  // Without timeline semaphores:
  std::vector<Slot> slots_;
  std::atomic<uint32_t> reserved_ = 0;
  uint64_t completed_ = 0;
};

}  // namespace ito::vk
