// What a job is given: from the host's memory, its images and its buffers.
#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/error.h"
#include "embed/objects.h"
#include "embed/structures.h"
#include "embed/values.h"

namespace ito::embed {
namespace {

struct InputRow {
  ItoInput value;
  JobInputKind kind;
  const char* name;
};
constexpr InputRow kInputRows[] = {
    {ITO_INPUT_INITIAL, JobInputKind::kInitial, "ITO_INPUT_INITIAL"},
    {ITO_INPUT_KNOWN, JobInputKind::kKnown, "ITO_INPUT_KNOWN"},
    {ITO_INPUT_MASK, JobInputKind::kMask, "ITO_INPUT_MASK"},
    {ITO_INPUT_SAMPLE, JobInputKind::kSample, "ITO_INPUT_SAMPLE"},
    {ITO_INPUT_TIMESTEPS, JobInputKind::kTimesteps, "ITO_INPUT_TIMESTEPS"},
    {ITO_INPUT_CLASSES, JobInputKind::kClasses, "ITO_INPUT_CLASSES"},
    {ITO_INPUT_CONTEXT, JobInputKind::kContext, "ITO_INPUT_CONTEXT"},
    {ITO_INPUT_GUIDANCE, JobInputKind::kGuidance, "ITO_INPUT_GUIDANCE"},
    {ITO_INPUT_LATENT, JobInputKind::kLatent, "ITO_INPUT_LATENT"},
    {ITO_INPUT_PICTURES, JobInputKind::kPictures, "ITO_INPUT_PICTURES"},
    {ITO_INPUT_LABELS, JobInputKind::kLabels, "ITO_INPUT_LABELS"},
};

Result<JobInput*> input_of(ItoJob job, ItoInput input) {
  const auto* row = std::find_if(std::begin(kInputRows), std::end(kInputRows),
                                 [&](const InputRow& each) { return each.value == input; });
  if (row == std::end(kInputRows))
    return invalid_argument("input is {}, expected 1 to {}", static_cast<int>(input),
                            std::size(kInputRows));
  if (JobInput* found = job->host->job().input(row->kind)) return found;
  return invalid_argument("the job takes no {}", row->name);
}

// Rows [first, first + count) of those that there are; `count` 0: all from `first` on.
Result<uint32_t> checked_rows(const JobInput& input, uint32_t first, uint32_t count) {
  const auto rows = static_cast<uint32_t>(input.rows());
  if (first >= rows || count > rows - first)
    return invalid_argument("rows {} to {} of an input were given, expected rows below {}", first,
                            uint64_t{first} + std::max(count, 1u) - 1, rows);
  return count == 0 ? rows - first : count;
}

vk::CommandRecorder recorder_of(ItoJob job, VkCommandBuffer commands) {
  return {*job->shared->device, commands};
}

uint64_t offset_of_row(const JobInput& input, uint32_t row) {
  return input.memory.offset() + row * input.row_bytes();
}

}  // namespace

ItoResult get_input_properties(ItoJob job, ItoInput which, ItoInputProperties* properties) {
  if (job == nullptr) return failed(invalid_argument("get_input_properties: the job is NULL"));
  return guarded(job->shared.get(), [&]() -> Status {
    ITO_TRY(check_structure(properties, ITO_STRUCTURE_TYPE_INPUT_PROPERTIES, "ItoInputProperties"));
    ITO_ASSIGN(const JobInput* input, input_of(job, which));
    ItoInputProperties values;
    std::memset(&values, 0, sizeof values);
    values.rows = static_cast<uint32_t>(input->rows());
    values.row_bytes = input->given_bytes;
    values.pixel_format = format_value(input->format);
    write_structure(properties, values);
    return {};
  });
}

ItoResult write_input(ItoJob job, ItoInput which, uint32_t row, const void* data, size_t size) {
  if (job == nullptr) return failed(invalid_argument("write_input: the job is NULL"));
  return guarded(job->shared.get(), [&]() -> Status {
    ITO_ASSIGN(JobInput * input, input_of(job, which));
    const uint64_t one = input->given_bytes;
    if (data == nullptr || size == 0 || size % one != 0 || size / one > UINT32_MAX)
      return invalid_argument("write_input: {} bytes{}, expected rows of {}", size,
                              data == nullptr ? " at NULL" : "", one);
    ITO_ASSIGN(const uint32_t rows, checked_rows(*input, row, static_cast<uint32_t>(size / one)));
    const auto bytes = std::span(static_cast<const std::byte*>(data), size);
    for (uint32_t i = 0; i < rows; ++i)
      ITO_TRY(Job::write(*input, row + i, bytes.subspan(i * one, one)));
    return {};
  });
}

ItoResult record_image_source(ItoJob job, VkCommandBuffer commands, const ItoImageSource* given) {
  if (job == nullptr) return failed(invalid_argument("record_image_source: the job is NULL"));
  return guarded(job->shared.get(), [&]() -> Result<ItoResult> {
    ITO_ASSIGN(const ItoImageSource source,
               read_structure(given, ITO_STRUCTURE_TYPE_IMAGE_SOURCE, "ItoImageSource"));
    if (commands == VK_NULL_HANDLE || source.image == VK_NULL_HANDLE)
      return invalid_argument("record_image_source: the command buffer or the image is NULL");
    ITO_ASSIGN(JobInput * input, input_of(job, source.input));
    ITO_TRY(checked_rows(*input, source.row, 1));
    if (!is_of_images(input->format))
      return invalid_argument(
          "record_image_source: the job takes this input as numbers or bytes; say at its creation "
          "of which pixel format the image is");
    vk::ForeignImage from;
    from.image = source.image;
    from.height = static_cast<uint32_t>(input->shape[1]);
    from.width = static_cast<uint32_t>(input->shape[2]);
    from.offset = {source.offset.x, source.offset.y, 0};
    from.mip_level = source.mip_level;
    from.array_layer = source.array_layer;
    ITO_TRY(take_image_uses(source, from));
    if (!uploads_are_recorded(*job)) return ITO_NOT_READY;
    recorder_of(job, commands)
        .copy_from(from, *input->memory.buffer(), offset_of_row(*input, source.row));
    Job::written_elsewhere(*input, source.row);
    return ITO_OK;
  });
}

ItoResult record_buffer_source(ItoJob job, VkCommandBuffer commands, const ItoBufferSource* given) {
  if (job == nullptr) return failed(invalid_argument("record_buffer_source: the job is NULL"));
  return guarded(job->shared.get(), [&]() -> Result<ItoResult> {
    ITO_ASSIGN(const ItoBufferSource source,
               read_structure(given, ITO_STRUCTURE_TYPE_BUFFER_SOURCE, "ItoBufferSource"));
    if (commands == VK_NULL_HANDLE || source.buffer == VK_NULL_HANDLE)
      return invalid_argument("record_buffer_source: the command buffer or the buffer is NULL");
    ITO_ASSIGN(JobInput * input, input_of(job, source.input));
    ITO_ASSIGN(const uint32_t rows, checked_rows(*input, source.row, source.rows));
    if (!uploads_are_recorded(*job)) return ITO_NOT_READY;
    vk::CommandRecorder recorder = recorder_of(job, commands);
    for (uint32_t i = 0; i < rows; ++i) {
      vk::ForeignBuffer from;
      from.buffer = source.buffer;
      from.offset = source.offset + i * input->given_bytes;
      from.size = input->given_bytes;
      take_buffer_uses(source, from);
      recorder.copy_from(from, *input->memory.buffer(), offset_of_row(*input, source.row + i));
      Job::written_elsewhere(*input, source.row + i);
    }
    return ITO_OK;
  });
}

}  // namespace ito::embed
