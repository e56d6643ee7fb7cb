// Jobs of all kinds: recorded slice by slice, into the host's command buffers or into Ito's own.
#include <algorithm>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "embed/objects.h"
#include "embed/structures.h"

ItoJob_T::~ItoJob_T() {
  if (shared != nullptr) static_cast<void>(ito::embed::wait_for_slices(this));
}

namespace ito::embed {
namespace {

SliceBudget budget_of(const ItoBudget& budget) {
  return {.ms = budget.gpu_microseconds == 0 ? std::numeric_limits<double>::infinity()
                                             : budget.gpu_microseconds * 1e-3,
          .dispatches = budget.max_dispatches == 0 ? std::numeric_limits<uint32_t>::max()
                                                   : budget.max_dispatches};
}

vk::Device& device_of(ItoJob job) { return *job->shared->device; }

Result<bool> slices_are_done(ItoJob job) {
  ITO_ASSIGN(const uint64_t done, device_of(job).queue().completed());
  for (const ItoJob_T::Submitted& slice : job->submitted)
    if (slice.value > done) return false;
  return true;
}

// `progress` may be null.
Status tell(ItoJob job, ItoProgress* progress) {
  if (progress == nullptr) return {};
  ITO_TRY(check_structure(progress, ITO_STRUCTURE_TYPE_PROGRESS, "ItoProgress"));
  ITO_ASSIGN(const bool idle, slices_are_done(job));
  ItoProgress values;
  std::memset(&values, 0, sizeof values);
  values.step = static_cast<uint32_t>(job->host->job().step());
  values.steps = static_cast<uint32_t>(job->host->job().steps());
  values.recorded = job->host->job().done();
  values.complete = job->host->job().done() && idle;
  write_structure(progress, values);
  return {};
}

// What both ways of recording check before they begin.
Result<SliceBudget> slice_budget(const ItoBudget* given, const ItoProgress* progress) {
  if (progress != nullptr)
    ITO_TRY(check_structure(progress, ITO_STRUCTURE_TYPE_PROGRESS, "ItoProgress"));
  ITO_ASSIGN(const ItoBudget budget, read_structure(given, ITO_STRUCTURE_TYPE_BUDGET, "ItoBudget"));
  return budget_of(budget);
}

}  // namespace

Result<ItoJob> job_handle(std::shared_ptr<Shared> shared, std::unique_ptr<HostJob> host) {
  auto made = std::make_unique<ItoJob_T>();
  for (ItoJob_T::Submitted& slice : made->submitted) {
    ITO_ASSIGN(slice.commands, vk::CommandBuffer::create(*shared->device));
  }
  made->shared = std::move(shared);
  made->host = std::move(host);
  return made.release();
}

Status wait_for_slices(ItoJob job) {
  uint64_t newest = 0;
  for (const ItoJob_T::Submitted& slice : job->submitted) newest = std::max(newest, slice.value);
  return device_of(job).queue().wait(newest, vk::WaitReason::kResult);
}

void destroy_job(ItoJob job) {
  static_cast<void>(guarded(nullptr, [&]() -> Status {
    delete job;
    return {};
  }));
}

ItoResult get_job_properties(ItoJob job, ItoJobProperties* properties) {
  if (job == nullptr) return failed(invalid_argument("the job is NULL"));
  return guarded(job->shared.get(), [&]() -> Status {
    ITO_TRY(check_structure(properties, ITO_STRUCTURE_TYPE_JOB_PROPERTIES, "ItoJobProperties"));
    const Job& made = job->host->job();
    const Shape& shape = made.shape();
    ItoJobProperties values;
    std::memset(&values, 0, sizeof values);
    values.batch = static_cast<uint32_t>(shape[0]);
    values.channels = static_cast<uint32_t>(shape[-1]);
    if (shape.rank() == 4) {  // else a network's output that is no image
      values.height = static_cast<uint32_t>(shape[1]);
      values.width = static_cast<uint32_t>(shape[2]);
    }
    values.steps = static_cast<uint32_t>(made.steps());
    values.classes = job->host->classes();
    values.image_floats = made.result().valid() ? static_cast<uint64_t>(shape.numel()) : 0;
    values.pixel_bytes = made.pixels().valid() ? made.pixels().size() : 0;
    write_structure(properties, values);
    return {};
  });
}

ItoResult restart(ItoJob job, const ItoImageRequest* requests, uint32_t count) {
  if (job == nullptr) return failed(invalid_argument("restart: the job is NULL"));
  return guarded(job->shared.get(), [&] { return job->host->restart(requests, count); });
}

ItoResult record_slice(ItoJob job, VkCommandBuffer commands, const ItoBudget* budget,
                       ItoProgress* progress) {
  if (job == nullptr) return failed(invalid_argument("record_slice: the job is NULL"));
  return guarded(job->shared.get(), [&]() -> Status {
    if (commands == VK_NULL_HANDLE)
      return invalid_argument("record_slice: the command buffer is NULL");
    ITO_ASSIGN(const SliceBudget limits, slice_budget(budget, progress));
    vk::CommandRecorder recorder(device_of(job), commands);
    ITO_TRY(job->host->job().record(recorder, limits));
    return tell(job, progress);
  });
}

ItoResult submit_slice(ItoJob job, const ItoBudget* budget, ItoProgress* progress) {
  if (job == nullptr) return failed(invalid_argument("submit_slice: the job is NULL"));
  return guarded(job->shared.get(), [&]() -> Result<ItoResult> {
    ITO_ASSIGN(const SliceBudget limits, slice_budget(budget, progress));
    vk::Queue& queue = device_of(job).queue();
    ITO_ASSIGN(const uint64_t done, queue.completed());
    ItoJob_T::Submitted& slice = job->submitted[job->next];
    if (slice.value > done) {
      ITO_TRY(tell(job, progress));
      return ITO_NOT_READY;
    }
    if (!job->host->job().done()) {
      ITO_ASSIGN(vk::CommandRecorder recorder, slice.commands.begin());
      ITO_TRY(job->host->job().record(recorder, limits));
      ITO_TRY(slice.commands.end());
      ITO_ASSIGN(slice.value, queue.submit({&slice.commands}));
      job->next = (job->next + 1) % ItoJob_T::kSlices;
    }
    ITO_TRY(tell(job, progress));
    return ITO_OK;
  });
}

ItoResult poll(ItoJob job, ItoProgress* progress) {
  if (job == nullptr) return failed(invalid_argument("poll: the job is NULL"));
  return guarded(job->shared.get(), [&]() -> Status {
    if (progress == nullptr) return invalid_argument("poll: progress is NULL");
    return tell(job, progress);
  });
}

ItoResult cancel(ItoJob job) {
  if (job == nullptr) return failed(invalid_argument("cancel: the job is NULL"));
  return guarded(job->shared.get(), [&] { return job->host->job().cancel(); });
}

ItoResult trim_memory(ItoJob job) {
  if (job == nullptr) return failed(invalid_argument("trim_memory: the job is NULL"));
  return guarded(job->shared.get(), [&]() -> Status {
    ITO_TRY(wait_for_slices(job));
    return job->host->job().trim();
  });
}

}  // namespace ito::embed
