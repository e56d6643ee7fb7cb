// What a job gives: copies of its results into the host's images, buffers and memory.
#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "embed/objects.h"
#include "embed/structures.h"
#include "embed/values.h"

namespace ito::embed {
namespace {

Result<const DeviceTensor*> numbers_of(ItoJob job) {
  const DeviceTensor& numbers = job->host->job().result();
  if (!numbers.valid()) return unsupported("a training gives no images");
  return &numbers;
}
Result<const DeviceTensor*> pixels_of(ItoJob job) {
  const DeviceTensor& pixels = job->host->job().pixels();
  if (!pixels.valid()) return unsupported("the job was made without a pixel format");
  return &pixels;
}
Result<const DeviceTensor*> preview_of(ItoJob job) { return job->host->preview(); }

struct ContentRow {
  ItoContent value;
  Result<const DeviceTensor*> (*of)(ItoJob job);
};
constexpr ContentRow kContentRows[] = {{ITO_CONTENT_NUMBERS, numbers_of},
                                       {ITO_CONTENT_PIXELS, pixels_of},
                                       {ITO_CONTENT_PREVIEW, preview_of}};

// Images [first, first + count) of the batch; `count` 0: all from `first` on.
Result<uint32_t> checked_images(ItoJob job, uint32_t first, uint32_t count) {
  const auto images = static_cast<uint32_t>(job->host->job().shape()[0]);
  if (first >= images || count > images - first)
    return invalid_argument("image_index is {} and images {}, expected images 0 to {}", first,
                            count, images - 1);
  return count == 0 ? images - first : count;
}

uint64_t bytes_of_image(ItoJob job, const DeviceTensor& tensor) {
  return tensor.size() / static_cast<uint64_t>(job->host->job().shape()[0]);
}

Status copy_image(ItoJob job, vk::CommandRecorder& recorder, const DeviceTensor& pixels,
                  const ItoImageTarget& target) {
  const Shape& shape = job->host->job().shape();
  vk::ForeignImage to;
  to.image = target.image;
  to.width = static_cast<uint32_t>(shape[2]);
  to.height = static_cast<uint32_t>(shape[1]);
  to.offset = {target.offset.x, target.offset.y, 0};
  to.mip_level = target.mip_level;
  to.array_layer = target.array_layer;
  ITO_TRY(take_image_uses(target, to));
  recorder.copy_to(*pixels.buffer(),
                   pixels.offset() + target.image_index * bytes_of_image(job, pixels), to);
  return {};
}

Result<ItoImageTarget> image_target(ItoJob job, const ItoImageTarget* given, const char* function) {
  ITO_ASSIGN(const ItoImageTarget target,
             read_structure(given, ITO_STRUCTURE_TYPE_IMAGE_TARGET, "ItoImageTarget"));
  if (target.image == VK_NULL_HANDLE) return invalid_argument("{}: the image is NULL", function);
  ITO_TRY(checked_images(job, target.image_index, 1));
  return target;
}

Status check_commands(VkCommandBuffer commands, const char* function) {
  if (commands != VK_NULL_HANDLE) return {};
  return invalid_argument("{}: the command buffer is NULL", function);
}

// What is recorded as a whole.
Result<ItoResult> read_tensor(ItoJob job, const DeviceTensor& tensor, void* to, size_t size,
                              const char* function) {
  Job& recorded = job->host->job();
  if (to == nullptr) return invalid_argument("{}: the place to write to is NULL", function);
  if (size != tensor.size())
    return invalid_argument("{}: size is {} bytes, expected {}", function, size, tensor.size());
  if (!recorded.done()) return ITO_NOT_READY;
  ITO_TRY(recorded.check());
  ITO_TRY(recorded.read(tensor, std::as_writable_bytes(std::span(static_cast<char*>(to), size))));
  return ITO_OK;
}

}  // namespace

ItoResult record_image(ItoJob job, VkCommandBuffer commands, const ItoImageTarget* given) {
  if (job == nullptr) return failed(invalid_argument("record_image: the job is NULL"));
  return guarded(job->shared.get(), [&]() -> Status {
    ITO_ASSIGN(const DeviceTensor* pixels, pixels_of(job));
    ITO_TRY(check_commands(commands, "record_image"));
    ITO_ASSIGN(const ItoImageTarget target, image_target(job, given, "record_image"));
    vk::CommandRecorder recorder(*job->shared->device, commands);
    return copy_image(job, recorder, *pixels, target);
  });
}

ItoResult record_preview(ItoJob job, VkCommandBuffer commands, const ItoImageTarget* given) {
  if (job == nullptr) return failed(invalid_argument("record_preview: the job is NULL"));
  return guarded(job->shared.get(), [&]() -> Result<ItoResult> {
    ITO_ASSIGN(const DeviceTensor* pixels, preview_of(job));
    ITO_TRY(check_commands(commands, "record_preview"));
    std::optional<ItoImageTarget> target;
    if (given != nullptr) {
      ITO_ASSIGN(target, image_target(job, given, "record_preview"));
    }
    if (!uploads_are_recorded(*job)) return ITO_NOT_READY;
    vk::CommandRecorder recorder(*job->shared->device, commands);
    recorder.begin_priority();
    ITO_TRY(job->host->record_preview(recorder));
    recorder.end_priority();
    if (target) ITO_TRY(copy_image(job, recorder, *pixels, *target));
    return ITO_OK;
  });
}

ItoResult record_buffer(ItoJob job, VkCommandBuffer commands, const ItoBufferTarget* given) {
  if (job == nullptr) return failed(invalid_argument("record_buffer: the job is NULL"));
  return guarded(job->shared.get(), [&]() -> Status {
    ITO_ASSIGN(const ItoBufferTarget target,
               read_structure(given, ITO_STRUCTURE_TYPE_BUFFER_TARGET, "ItoBufferTarget"));
    ITO_TRY(check_commands(commands, "record_buffer"));
    if (target.buffer == VK_NULL_HANDLE)
      return invalid_argument("record_buffer: the buffer is NULL");
    const auto* row =
        std::find_if(std::begin(kContentRows), std::end(kContentRows),
                     [&](const ContentRow& each) { return each.value == target.content; });
    if (row == std::end(kContentRows))
      return invalid_argument("ItoBufferTarget: content is {}, expected 0 to {}",
                              static_cast<int>(target.content), std::size(kContentRows) - 1);
    ITO_ASSIGN(const DeviceTensor* tensor, row->of(job));
    ITO_ASSIGN(const uint32_t images, checked_images(job, target.image_index, target.images));
    const uint64_t one = bytes_of_image(job, *tensor);
    vk::ForeignBuffer to;
    to.buffer = target.buffer;
    to.offset = target.offset;
    to.size = images * one;
    take_buffer_uses(target, to);
    vk::CommandRecorder recorder(*job->shared->device, commands);
    recorder.copy_to(*tensor->buffer(), tensor->offset() + target.image_index * one, to);
    return {};
  });
}

ItoResult read_images(ItoJob job, float* images, size_t size) {
  if (job == nullptr) return failed(invalid_argument("read_images: the job is NULL"));
  return guarded(job->shared.get(), [&]() -> Result<ItoResult> {
    ITO_ASSIGN(const DeviceTensor* numbers, numbers_of(job));
    return read_tensor(job, *numbers, images, size, "read_images");
  });
}

ItoResult read_pixels(ItoJob job, void* pixels, size_t size) {
  if (job == nullptr) return failed(invalid_argument("read_pixels: the job is NULL"));
  return guarded(job->shared.get(), [&]() -> Result<ItoResult> {
    ITO_ASSIGN(const DeviceTensor* tensor, pixels_of(job));
    return read_tensor(job, *tensor, pixels, size, "read_pixels");
  });
}

}  // namespace ito::embed
