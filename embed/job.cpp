// Jobs of all kinds: recorded slice by slice, into the host's command buffers or into Ito's own.
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "embed/objects.h"
#include "embed/structures.h"

ItoJob_T::~ItoJob_T() {
  if (shared == nullptr) return;
  static_cast<void>(ito::embed::wait_for_slices(this));
  if (reserved) shared->device->queue().unreserve(kSlices);
}

namespace ito::embed {
namespace {

vk::Device& device_of(ItoJob job) { return *job->shared->device; }

uint64_t newest_slice(ItoJob job) {
  uint64_t newest = 0;
  for (const ItoJob_T::Submitted& slice : job->submitted) newest = std::max(newest, slice.value);
  return newest;
}

Result<bool> slices_are_done(ItoJob job) {
  const uint64_t newest = newest_slice(job);
  if (newest == 0) return true;
  ITO_ASSIGN(const uint64_t done, device_of(job).queue().completed());
  return newest <= done;
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
  if (job->clock != nullptr)
    values.gpu_microseconds = static_cast<uint32_t>(job->clock->measured_ms() * 1e3);
  write_structure(progress, values);
  return {};
}

// What both ways of recording check before they begin.
Result<SliceBudget> slice_budget(const ItoBudget* given, const ItoProgress* progress) {
  if (progress != nullptr)
    ITO_TRY(check_structure(progress, ITO_STRUCTURE_TYPE_PROGRESS, "ItoProgress"));
  return read_budget(given);
}

}  // namespace

Result<ItoJob> job_handle(std::shared_ptr<Shared> shared, std::unique_ptr<HostJob> host) {
  auto made = std::make_unique<ItoJob_T>();
  made->shared = std::move(shared);
  made->host = std::move(host);
  ITO_TRY(make_sliceable(*made));
  return made.release();
}

Status wait_for_slices(ItoJob job) {
  return device_of(job).queue().wait(newest_slice(job), vk::WaitReason::kResult);
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
  return guarded(job->shared.get(), [&]() -> Status {
    ITO_TRY(job->host->restart(requests, count));
    // Memory that was taken again has to be written before it is worked in.
    if (std::exchange(job->trimmed, false)) job->uploads = device_of(job).uploads().count();
    return {};
  });
}

ItoResult record_slice(ItoJob job, VkCommandBuffer commands, const ItoBudget* budget,
                       ItoProgress* progress) {
  if (job == nullptr) return failed(invalid_argument("record_slice: the job is NULL"));
  return guarded(job->shared.get(), [&]() -> Result<ItoResult> {
    if (commands == VK_NULL_HANDLE)
      return invalid_argument("record_slice: the command buffer is NULL");
    ITO_ASSIGN(const SliceBudget limits, slice_budget(budget, progress));
    const bool ready = uploads_are_recorded(*job);
    if (ready) {
      vk::CommandRecorder recorder(device_of(job), commands);
      ITO_TRY(record_next(*job, recorder, limits));
    }
    ITO_TRY(tell(job, progress));
    return ready ? ITO_OK : ITO_NOT_READY;
  });
}

ItoResult submit_slice(ItoJob job, const ItoBudget* budget, ItoProgress* progress) {
  if (job == nullptr) return failed(invalid_argument("submit_slice: the job is NULL"));
  return guarded(job->shared.get(), [&]() -> Result<ItoResult> {
    ITO_ASSIGN(const SliceBudget limits, slice_budget(budget, progress));
    vk::Queue& queue = device_of(job).queue();
    if (!queue.can_submit())
      return unsupported(
          "submit_slice: the context was made without a queue; submit what record_slice records");
    ITO_ASSIGN(const uint64_t done, queue.completed());
    ItoJob_T::Submitted& slice = job->submitted[job->next];
    if (slice.value > done) {
      ITO_TRY(tell(job, progress));
      return ITO_NOT_READY;
    }
    Job& recorded = job->host->job();
    if (!recorded.done()) {
      const Job::Place place = recorded.place();
      const auto submit = [&]() -> Result<uint64_t> {
        ITO_ASSIGN(vk::CommandRecorder recorder, slice.commands.begin());
        ITO_TRY(record_next(*job, recorder, limits));
        ITO_TRY(slice.commands.end());
        return queue.submit({&slice.commands});
      };
      const Result<uint64_t> value = submit();
      if (!value.ok()) recorded.return_to(place);
      ITO_TRY(value);
      slice.value = *value;
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
    ITO_TRY(job->host->job().trim());
    job->trimmed = true;
    return {};
  });
}

}  // namespace ito::embed
