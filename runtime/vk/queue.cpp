#include "runtime/vk/queue.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include "base/check.h"
#include "base/error.h"
#include "runtime/vk/command_buffer.h"

namespace ito::vk {
namespace {

Error lost_earlier() { return device_lost("the Vulkan device was lost earlier"); }

}  // namespace

Result<std::unique_ptr<Queue>> Queue::create(const Context& context, VkQueue queue, uint32_t family,
                                             std::function<void()> lock,
                                             std::function<void()> unlock) {
  std::unique_ptr<Queue> self(
      new Queue(context, queue, family, std::move(lock), std::move(unlock)));
  if (self->can_submit() && context.features.timeline_semaphore) {
    VkSemaphoreTypeCreateInfo type = {};
    type.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO;
    type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
    VkSemaphoreCreateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO;
    info.pNext = &type;
    const VkResult result =
        context.fn.vkCreateSemaphore(context.device, &info, context.callbacks, &self->timeline_);
    if (result != VK_SUCCESS) return context.error(result, "creating a timeline semaphore");
  }
  return self;
}

Queue::~Queue() {
  if (!context_.lost) (void)wait(last_, WaitReason::kResult);
  if (timeline_ != VK_NULL_HANDLE)
    context_.fn.vkDestroySemaphore(context_.device, timeline_, context_.callbacks);
  for (const Slot& slot : slots_)
    context_.fn.vkDestroyFence(context_.device, slot.fence, context_.callbacks);
}

uint64_t Queue::last_submitted() const {
  std::lock_guard lock(mutex_);
  return last_;
}

// The caller's lock comes before the Queue's own and goes after it: who holds the first may ask the
// Queue how far it is.
class Queue::HostLock {
 public:
  explicit HostLock(const Queue& queue) : queue_(queue) {
    if (queue_.lock_) queue_.lock_();
  }
  ~HostLock() {
    if (queue_.unlock_) queue_.unlock_();
  }
  HostLock(const HostLock&) = delete;
  HostLock& operator=(const HostLock&) = delete;

 private:
  const Queue& queue_;
};

// Made while no lock is held, since the driver may ask the caller's allocator for memory.
Status Queue::add_fence() {
  Slot slot;
  VkFenceCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO;
  const VkResult result =
      context_.fn.vkCreateFence(context_.device, &info, context_.callbacks, &slot.fence);
  if (result != VK_SUCCESS) return context_.error(result, "creating a fence");
  const std::lock_guard lock(mutex_);
  slots_.push_back(slot);
  return {};
}

// Sees to it that one slot is free.
Status Queue::provide_fence() {
  {
    const std::lock_guard lock(mutex_);
    ITO_TRY(poll_fences());
    for (const Slot& slot : slots_)
      if (slot.value == 0 && slot.waiters == 0) return {};
  }
  return add_fence();
}

Status Queue::reserve(uint32_t submissions) {
  reserved_ += submissions;
  if (!can_submit() || timeline_ != VK_NULL_HANDLE) return {};
  const auto made = [&] {
    const std::lock_guard lock(mutex_);
    return slots_.size();
  };
  while (made() < reserved_) ITO_TRY(add_fence());
  return {};
}

// One whose fence nobody uses, ready to be signalled; null where there is none. A fence whose
// waiter is still inside vkWaitForFences may not be reset, so it stays out of use until the waiter
// has left.
Result<Queue::Slot*> Queue::free_slot() {
  for (Slot& slot : slots_) {
    if (slot.value != 0 || slot.waiters != 0) continue;
    const VkResult result = context_.fn.vkResetFences(context_.device, 1, &slot.fence);
    if (result != VK_SUCCESS) return context_.error(result, "resetting a fence");
    return &slot;
  }
  return nullptr;
}

// Fences of one queue signal in submission order, so the newest signalled one covers the older
// ones.
Status Queue::poll_fences() {
  for (Slot& slot : slots_) {
    if (slot.value == 0) continue;
    const VkResult result = context_.fn.vkGetFenceStatus(context_.device, slot.fence);
    if (result == VK_NOT_READY) continue;
    if (result != VK_SUCCESS) return context_.error(result, "asking for a fence's state");
    completed_ = std::max(completed_, slot.value);
    slot.value = 0;
  }
  return {};
}

Result<uint64_t> Queue::submit(std::initializer_list<const CommandBuffer*> command_buffers) {
  std::array<VkCommandBuffer, 4> handles;
  uint32_t count = 0;
  for (const CommandBuffer* command_buffer : command_buffers) {
    if (command_buffer == nullptr) continue;
    CHECK(count < handles.size(), "too many command buffers in one submission");
    handles[count++] = command_buffer->handle();
  }
  if (context_.lost) return lost_earlier();
  if (!can_submit())
    return unsupported(
        "the device was wrapped without a queue, so nothing can be submitted to it; record into "
        "command buffers of the queue's owner instead");
  for (;;) {
    // So that the caller's lock is taken once, but for a race with another thread.
    if (timeline_ == VK_NULL_HANDLE) ITO_TRY(provide_fence());
    {
      const HostLock host(*this);
      const std::lock_guard lock(mutex_);
      Slot* slot = nullptr;
      if (timeline_ == VK_NULL_HANDLE) {
        ITO_TRY(poll_fences());
        ITO_ASSIGN(slot, free_slot());
      }
      if (timeline_ != VK_NULL_HANDLE || slot != nullptr)
        return submit_now(std::span(handles).first(count), slot);
    }
  }
}

// Both locks are held.
Result<uint64_t> Queue::submit_now(std::span<const VkCommandBuffer> handles, Slot* slot) {
  const uint64_t value = last_ + 1;
  VkTimelineSemaphoreSubmitInfo timeline = {};
  timeline.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO;
  timeline.signalSemaphoreValueCount = 1;
  timeline.pSignalSemaphoreValues = &value;
  VkSubmitInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
  info.commandBufferCount = static_cast<uint32_t>(handles.size());
  info.pCommandBuffers = handles.data();
  if (slot == nullptr) {
    info.pNext = &timeline;
    info.signalSemaphoreCount = 1;
    info.pSignalSemaphores = &timeline_;
  }
  const VkResult result = context_.fn.vkQueueSubmit(
      queue_, 1, &info, slot == nullptr ? VkFence{VK_NULL_HANDLE} : slot->fence);
  if (result != VK_SUCCESS) return context_.error(result, "submitting work to the device");
  if (slot != nullptr) slot->value = value;
  ++context_.counters.submits;
  last_ = value;
  return value;
}

Result<uint64_t> Queue::completed() {
  if (context_.lost) return lost_earlier();
  if (timeline_ != VK_NULL_HANDLE) {
    uint64_t value = 0;
    const VkResult result =
        context_.fn.vkGetSemaphoreCounterValue(context_.device, timeline_, &value);
    if (result != VK_SUCCESS) return context_.error(result, "asking how far the device is");
    return value;
  }
  std::lock_guard lock(mutex_);
  ITO_TRY(poll_fences());
  return completed_;
}

// Who has waited frees what the device worked with. So a driver that is short of memory while it is
// asked or waited on is no end of the waiting: the other of the two calls is tried, and only where
// both fail, or the device is lost, there is an error.
Status Queue::wait(uint64_t value, WaitReason reason) {
  if (value == 0) return {};
  const Result<uint64_t> done = completed();
  if (context_.lost) return done.ok() ? lost_earlier() : done.error();
  if (done.ok() && *done >= value) return {};
  ++(reason == WaitReason::kResult ? context_.counters.host_waits
                                   : context_.counters.throttle_waits);
  const auto wait_for_timeline = [&] {
    VkSemaphoreWaitInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
    info.semaphoreCount = 1;
    info.pSemaphores = &timeline_;
    info.pValues = &value;
    return context_.fn.vkWaitSemaphores(context_.device, &info, UINT64_MAX);
  };
  const auto wait_for_fence = [&] {
    VkFence fence = VK_NULL_HANDLE;
    {
      std::lock_guard lock(mutex_);
      for (Slot& slot : slots_)
        if (slot.value == value) {
          fence = slot.fence;
          ++slot.waiters;
        }
    }
    if (fence == VK_NULL_HANDLE) return VK_SUCCESS;  // done meanwhile
    const VkResult result =
        context_.fn.vkWaitForFences(context_.device, 1, &fence, VK_TRUE, UINT64_MAX);
    std::lock_guard lock(mutex_);
    for (Slot& slot : slots_)
      if (slot.fence == fence) --slot.waiters;
    return result;
  };
  const VkResult result = timeline_ != VK_NULL_HANDLE ? wait_for_timeline() : wait_for_fence();
  if (result == VK_SUCCESS) return {};
  Error error = context_.error(result, "waiting for the device");
  while (!context_.lost) {
    const Result<uint64_t> now = completed();
    if (!now.ok()) return error;
    if (*now >= value) return {};
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return error;
}

}  // namespace ito::vk
