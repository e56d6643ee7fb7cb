// FirstDispatches: kernels dispatched once, over no workgroups, on devices beside the one that they
// are for. A driver on the CPU makes machine code when a kernel is first dispatched, one kernel
// after the other on the queue's thread; on several devices' queues it makes that of several side
// by side, keeps it in its own cache on disk, and finds it there when the kernel is dispatched in
// earnest. Not for drivers that make machine code with the pipeline.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "runtime/vk/context.h"

namespace ito::vk {

// Opens another device like the context's; null where that fails.
using OpenTwin = std::function<VkDevice()>;

class FirstDispatches {
 public:
  static constexpr int kTrials = 3;
  // `family`: of the queue, as the twins have it. Both arguments outlive this.
  FirstDispatches(const Context& context, uint32_t family, const OpenTwin& open);
  ~FirstDispatches();  // destroys the twins
  FirstDispatches(const FirstDispatches&) = delete;
  FirstDispatches& operator=(const FirstDispatches&) = delete;

  // Makes the pipeline on a twin, whose module and layout are its own, dispatches it and waits. Any
  // thread; as many twins are opened as threads are here at once. The first kernel is dispatched on
  // a second twin too, up to kTrials times: where that is never much faster, the driver kept
  // nothing, and this and all later calls do nothing. Nothing is an error: what fails here is made,
  // or fails, where the kernel is used.
  void dispatch(const VkComputePipelineCreateInfo& info, std::span<const uint32_t> spirv,
                uint32_t push_constant_bytes);

 private:
  struct Twin;
  std::unique_ptr<Twin> take();
  void give_back(std::unique_ptr<Twin> twin);
  // Seconds from submitting to the end; negative where something failed.
  double run(Twin& twin, VkComputePipelineCreateInfo info, std::span<const uint32_t> spirv,
             uint32_t push_constant_bytes) const;
  bool helps(const VkComputePipelineCreateInfo& info, std::span<const uint32_t> spirv,
             uint32_t push_constant_bytes);

  const Context& context_;
  uint32_t family_;
  const OpenTwin& open_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Twin>> idle_;
  std::once_flag tried_;
  std::atomic<bool> helps_{false};
};

}  // namespace ito::vk
