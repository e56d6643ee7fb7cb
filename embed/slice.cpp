// What stands around the dispatches of a slice: its budget, what comes before it where the host
// submits everything, its clock and its priority.
#include <limits>

#include "base/error.h"
#include "embed/objects.h"
#include "embed/structures.h"

namespace ito::embed {
namespace {

// Bytes that a device copies in a millisecond at least: 2 GB/s.
constexpr double kUploadBytesPerMs = 2e6;

}  // namespace

Result<SliceBudget> read_budget(const ItoBudget* given) {
  ITO_ASSIGN(const ItoBudget budget, read_structure(given, ITO_STRUCTURE_TYPE_BUDGET, "ItoBudget"));
  return SliceBudget{.ms = budget.gpu_microseconds == 0 ? std::numeric_limits<double>::infinity()
                                                        : budget.gpu_microseconds * 1e-3,
                     .dispatches = budget.max_dispatches == 0 ? std::numeric_limits<uint32_t>::max()
                                                              : budget.max_dispatches};
}

Status make_sliceable(ItoJob_T& job) {
  vk::Device& device = *job.shared->device;
  ITO_ASSIGN(job.clock, SliceClock::create(device));
  if (device.queue().can_submit()) {
    for (ItoJob_T::Submitted& slice : job.submitted) {
      ITO_ASSIGN(slice.commands, vk::CommandBuffer::create(device));
    }
    job.reserved = true;
    return device.queue().reserve(ItoJob_T::kSlices);
  }
  job.uploads = device.uploads().count();
  return {};
}

bool uploads_are_recorded(const ItoJob_T& job) {
  return job.shared->device->uploads().recorded() >= job.uploads;
}

Status record_next(ItoJob_T& job, vk::CommandRecorder& recorder, const SliceBudget& budget) {
  SliceBudget left = budget;
  Job& recorded = job.host->job();
  if (!recorded.begun() || recorded.done()) return recorded.record(recorder, left);
  recorder.begin_priority();
  if (job.clock != nullptr) {
    job.clock->begin(recorder);
    left.ms /= job.clock->pace().bound();
  }
  ITO_TRY(recorded.record(recorder, left));
  if (job.clock != nullptr) job.clock->end(recorder, left.spent_ms);
  if (recorded.done()) recorded.record_results(recorder);
  recorder.end_priority();
  return {};
}

ItoResult record_uploads(ItoContext context, VkCommandBuffer commands, const ItoBudget* given) {
  if (context == nullptr) return failed(invalid_argument("record_uploads: the context is NULL"));
  return guarded(context->shared.get(), [&]() -> Result<ItoResult> {
    if (commands == VK_NULL_HANDLE)
      return invalid_argument("record_uploads: the command buffer is NULL");
    ITO_ASSIGN(const SliceBudget budget, read_budget(given));
    vk::Device& device = *context->shared->device;
    vk::PendingUploads& uploads = device.uploads();
    if (uploads.recorded() < uploads.count()) {
      constexpr double kMost = 1e15;
      vk::CommandRecorder recorder(device, commands);
      uploads.record(recorder,
                     static_cast<uint64_t>(std::min(budget.ms * kUploadBytesPerMs, kMost)),
                     budget.dispatches);
    }
    return uploads.recorded() < uploads.count() ? ITO_NOT_READY : ITO_OK;
  });
}

ItoResult release_uploads(ItoContext context) {
  if (context == nullptr) return failed(invalid_argument("release_uploads: the context is NULL"));
  return guarded(context->shared.get(), [&]() -> Status {
    context->shared->device->uploads().release();
    return {};
  });
}

}  // namespace ito::embed
