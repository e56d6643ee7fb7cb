// Jobs: images recorded slice by slice, into the host's command buffers or into Ito's own.
#include <cstring>
#include <limits>

#include "api/guidance_choice.h"
#include "base/error.h"
#include "base/name_list.h"
#include "diffusion/samplers.h"
#include "embed/objects.h"
#include "embed/structures.h"

ItoJob_T::~ItoJob_T() {
  if (loaded == nullptr) return;
  uint64_t newest = 0;
  for (const Submitted& slice : submitted) newest = std::max(newest, slice.value);
  ito::vk::Queue& queue = loaded->shared->device->queue();
  static_cast<void>(queue.wait(newest, ito::vk::WaitReason::kResult));
  if (reserved) queue.unreserve(kSlices);
}

namespace ito::embed {
namespace {

std::optional<PixelFormat> pixel_format(ItoPixelFormat format) {
  switch (format) {
    case ITO_PIXEL_FORMAT_RGBA8:
      return PixelFormat::kRgba8;
    case ITO_PIXEL_FORMAT_RGBA32F:
      return PixelFormat::kRgba32F;
    case ITO_PIXEL_FORMAT_R32F:
      return PixelFormat::kR32F;
    default:
      return std::nullopt;
  }
}

Status check_info(const ItoSampleInfo& info) {
  if (info.precision != ITO_PRECISION_FP32 && info.precision != ITO_PRECISION_FP16)
    return invalid_argument("ItoSampleInfo: precision is {}, expected FP32 (0) or FP16 (1)",
                            static_cast<int>(info.precision));
  if (info.pixel_format != ITO_PIXEL_FORMAT_NONE && !pixel_format(info.pixel_format))
    return invalid_argument("ItoSampleInfo: pixel_format is {}, expected 0 to 3",
                            static_cast<int>(info.pixel_format));
  constexpr auto kMost = static_cast<uint32_t>(std::numeric_limits<int>::max());
  if (info.steps > kMost || info.width > kMost || info.height > kMost)
    return invalid_argument("ItoSampleInfo: {} steps of {}x{}, expected at most {}", info.steps,
                            info.width, info.height, kMost);
  if ((info.width == 0) != (info.height == 0))
    return invalid_argument("ItoSampleInfo: width is {} and height {}; give both or neither",
                            info.width, info.height);
  if (!(info.guidance_scale >= 0) || !(info.eta >= 0 && info.eta <= 1))
    return invalid_argument(
        "ItoSampleInfo: guidance_scale is {} and eta {}, expected 0 or more and 0 to 1",
        info.guidance_scale, info.eta);
  return {};
}

Result<std::string> sampler_called(const char* text) {
  if (text == nullptr) return std::string();
  for (const Name& row : sampler_rows())
    if (is_called(row, text)) return std::string(row.name);
  return invalid_argument("ItoSampleInfo: there is no sampler \"{}\", expected one of {}", text,
                          joined(sampler_names()));
}

Result<SampleOptions> sample_options(const ItoSampleInfo& info, const LoadedModel& loaded) {
  ITO_TRY(check_info(info));
  const Model& model = loaded.model;
  const Signature& signature = model.network.signature();
  SampleOptions options;
  ITO_ASSIGN(options.sampler, sampler_called(info.sampler));
  options.steps = static_cast<int>(info.steps);
  options.eta = info.eta;
  options.batch = std::max(info.batch, 1u);
  options.width = static_cast<int>(info.width);
  options.height = static_cast<int>(info.height);
  if (info.precision == ITO_PRECISION_FP16) options.multiply = DType::kF16;
  options = resolved(options, model.network, model.scheduler);
  if (info.eta > 0 && !sampler_uses(options, "eta"))
    return invalid_argument("ItoSampleInfo: eta has no meaning for sampler {}", options.sampler);
  if (signature.guidance > 0 && info.guidance_scale == 0)
    return invalid_argument(
        "ItoSampleInfo: the network of {} is told its guidance scale, but guidance_scale is 0",
        loaded.folder);
  if (info.guidance_scale == 0) return options;
  const auto classes = static_cast<size_t>(std::max(model.num_classes(), 0));
  if (signature.guidance == 0 && loaded.names && loaded.names->names.size() == classes)
    return unsupported(
        "ItoSampleInfo: guidance_scale compares with a class that stands for none, and each of the "
        "{} classes of {} stands for images",
        classes, loaded.folder);
  return with_guidance(std::move(options), GuidanceChoice{.scale = info.guidance_scale}, signature,
                       loaded.names, loaded.folder);
}

vk::Device& device_of(ItoJob job) { return *job->loaded->shared->device; }

Result<bool> slices_are_done(ItoJob job) {
  uint64_t newest = 0;
  for (const ItoJob_T::Submitted& slice : job->submitted) newest = std::max(newest, slice.value);
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
  values.step = static_cast<uint32_t>(job->job->step());
  values.steps = static_cast<uint32_t>(job->job->steps());
  values.recorded = job->job->done();
  values.complete = job->job->done() && idle;
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

Status check_images(ItoJob job) {
  const DeviceTensor& words = job->job->divergence();
  std::vector<std::byte> bytes(words.size());
  ITO_TRY(read_result(*job, words, bytes));
  return job->job->check(bytes);
}

// The images of a job that is recorded as a whole.
Result<ItoResult> read_tensor(ItoJob job, const DeviceTensor& tensor, void* to, size_t size,
                              const char* function) {
  if (to == nullptr) return invalid_argument("{}: the place to write to is NULL", function);
  if (!tensor.valid()) return unsupported("{}: the job was made without a pixel format", function);
  if (size != tensor.size())
    return invalid_argument("{}: size is {} bytes, expected {}", function, size, tensor.size());
  if (!job->job->done()) return ITO_NOT_READY;
  ITO_TRY(check_images(job));
  ITO_TRY(
      read_result(*job, tensor, std::as_writable_bytes(std::span(static_cast<char*>(to), size))));
  return ITO_OK;
}

}  // namespace

ItoResult create_sample_job(ItoModel model, const ItoSampleInfo* given, ItoJob* job) {
  if (model == nullptr) return failed(invalid_argument("create_sample_job: the model is NULL"));
  return guarded(model->loaded->shared.get(), [&]() -> Status {
    if (job == nullptr) return invalid_argument("create_sample_job: job is NULL");
    *job = nullptr;
    ITO_ASSIGN(const ItoSampleInfo info,
               read_structure(given, ITO_STRUCTURE_TYPE_SAMPLE_INFO, "ItoSampleInfo"));
    const LoadedModel& loaded = *model->loaded;
    ITO_ASSIGN(const SampleOptions options, sample_options(info, loaded));
    vk::Device& device = *loaded.shared->device;
    auto made = std::make_unique<ItoJob_T>();
    made->format = info.pixel_format;
    ITO_ASSIGN(made->job,
               SamplingJob::create(device, loaded.model.network, loaded.model.scheduler,
                                   loaded.weights, options, pixel_format(info.pixel_format)));
    ITO_TRY(made->job->warm_up());
    made->requests.resize(static_cast<size_t>(made->job->batch()));
    made->loaded = model->loaded;
    ITO_TRY(make_sliceable(*made));
    *job = made.release();
    return {};
  });
}

void destroy_job(ItoJob job) {
  static_cast<void>(guarded(nullptr, [&]() -> Status {
    delete job;
    return {};
  }));
}

ItoResult get_job_properties(ItoJob job, ItoJobProperties* properties) {
  if (job == nullptr) return failed(invalid_argument("the job is NULL"));
  return guarded(job->loaded->shared.get(), [&]() -> Status {
    ITO_TRY(check_structure(properties, ITO_STRUCTURE_TYPE_JOB_PROPERTIES, "ItoJobProperties"));
    const Shape& shape = job->job->shape();
    ItoJobProperties values;
    std::memset(&values, 0, sizeof values);
    values.batch = static_cast<uint32_t>(shape[0]);
    values.height = static_cast<uint32_t>(shape[1]);
    values.width = static_cast<uint32_t>(shape[2]);
    values.channels = static_cast<uint32_t>(shape[3]);
    values.steps = static_cast<uint32_t>(job->job->steps());
    values.classes = static_cast<uint32_t>(job->job->classes());
    values.image_floats = static_cast<uint64_t>(shape.numel());
    values.pixel_bytes = job->job->pixels().valid() ? job->job->pixels().size() : 0;
    write_structure(properties, values);
    return {};
  });
}

ItoResult restart(ItoJob job, const ItoImageRequest* requests, uint32_t count) {
  if (job == nullptr) return failed(invalid_argument("restart: the job is NULL"));
  return guarded(job->loaded->shared.get(), [&]() -> Status {
    if (requests == nullptr) return invalid_argument("restart: requests is NULL");
    if (count != job->requests.size())
      return invalid_argument("restart: {} requests, expected {}, the job's batch", count,
                              job->requests.size());
    for (uint32_t i = 0; i < count; ++i)
      job->requests[i] = {.seed = requests[i].seed, .label = requests[i].class_index};
    return job->job->begin(job->requests);
  });
}

ItoResult record_slice(ItoJob job, VkCommandBuffer commands, const ItoBudget* budget,
                       ItoProgress* progress) {
  if (job == nullptr) return failed(invalid_argument("record_slice: the job is NULL"));
  return guarded(job->loaded->shared.get(), [&]() -> Result<ItoResult> {
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
  return guarded(job->loaded->shared.get(), [&]() -> Result<ItoResult> {
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
    if (!job->job->done()) {
      const SamplingJob::Place place = job->job->place();
      const auto submit = [&]() -> Result<uint64_t> {
        ITO_ASSIGN(vk::CommandRecorder recorder, slice.commands.begin());
        ITO_TRY(record_next(*job, recorder, limits));
        ITO_TRY(slice.commands.end());
        return queue.submit({&slice.commands});
      };
      const Result<uint64_t> value = submit();
      if (!value.ok()) job->job->return_to(place);
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
  return guarded(job->loaded->shared.get(), [&]() -> Status {
    if (progress == nullptr) return invalid_argument("poll: progress is NULL");
    return tell(job, progress);
  });
}

ItoResult record_image(ItoJob job, VkCommandBuffer commands, const ItoImageTarget* given) {
  if (job == nullptr) return failed(invalid_argument("record_image: the job is NULL"));
  return guarded(job->loaded->shared.get(), [&]() -> Status {
    ITO_ASSIGN(const ItoImageTarget target,
               read_structure(given, ITO_STRUCTURE_TYPE_IMAGE_TARGET, "ItoImageTarget"));
    const DeviceTensor& pixels = job->job->pixels();
    if (!pixels.valid())
      return unsupported("record_image: the job was made without a pixel format");
    if (commands == VK_NULL_HANDLE || target.image == VK_NULL_HANDLE)
      return invalid_argument("record_image: the command buffer or the image is NULL");
    const Shape& shape = job->job->shape();
    if (target.image_index >= shape[0])
      return invalid_argument("record_image: image_index is {}, expected 0 to {}",
                              target.image_index, shape[0] - 1);
    if (target.layout_after == VK_IMAGE_LAYOUT_UNDEFINED)
      return invalid_argument("record_image: layout_after is VK_IMAGE_LAYOUT_UNDEFINED");
    const auto stages = [](VkPipelineStageFlags given) -> VkPipelineStageFlags {
      return given != 0 ? given : VkPipelineStageFlags{VK_PIPELINE_STAGE_ALL_COMMANDS_BIT};
    };
    vk::ImageTarget to;
    to.image = target.image;
    to.width = static_cast<uint32_t>(shape[2]);
    to.height = static_cast<uint32_t>(shape[1]);
    to.offset = {target.offset.x, target.offset.y, 0};
    to.mip_level = target.mip_level;
    to.array_layer = target.array_layer;
    to.before = {target.layout_before, stages(target.stages_before), target.access_before};
    to.after = {target.layout_after, stages(target.stages_after), target.access_after};
    const uint64_t one = pixels.size() / static_cast<uint64_t>(shape[0]);
    vk::CommandRecorder recorder(device_of(job), commands);
    recorder.copy_to_image(*pixels.buffer(), pixels.offset() + target.image_index * one, to);
    return {};
  });
}

ItoResult read_images(ItoJob job, float* images, size_t size) {
  if (job == nullptr) return failed(invalid_argument("read_images: the job is NULL"));
  return guarded(job->loaded->shared.get(), [&]() -> Result<ItoResult> {
    return read_tensor(job, job->job->images(), images, size, "read_images");
  });
}

ItoResult read_pixels(ItoJob job, void* pixels, size_t size) {
  if (job == nullptr) return failed(invalid_argument("read_pixels: the job is NULL"));
  return guarded(job->loaded->shared.get(), [&]() -> Result<ItoResult> {
    return read_tensor(job, job->job->pixels(), pixels, size, "read_pixels");
  });
}

}  // namespace ito::embed
