#include "embed/values.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/registry.h"

namespace ito::embed {
namespace {

struct FormatRow {
  Name name;
  ItoPixelFormat value;
  std::optional<PixelFormat> format;
  bool of_images;
};
constexpr FormatRow kFormatRows[] = {
    {{"none", "", "", ""}, ITO_PIXEL_FORMAT_NONE, std::nullopt, false},
    {{"rgba8", "", "", ""}, ITO_PIXEL_FORMAT_RGBA8, PixelFormat::kRgba8, true},
    {{"rgba32f", "", "", ""}, ITO_PIXEL_FORMAT_RGBA32F, PixelFormat::kRgba32F, true},
    {{"r32f", "", "", ""}, ITO_PIXEL_FORMAT_R32F, PixelFormat::kR32F, true},
    {{"rgba16f", "", "", ""}, ITO_PIXEL_FORMAT_RGBA16F, PixelFormat::kRgba16F, true},
    {{"r8", "", "", ""}, ITO_PIXEL_FORMAT_R8, PixelFormat::kR8, true},
    {{"bytes", "", "", ""}, ITO_PIXEL_FORMAT_BYTES, PixelFormat::kBytes, false},
};

struct PrecisionValueRow {
  Name name;
  ItoPrecision value;
  DType multiply;
};
constexpr PrecisionValueRow kPrecisionRows[] = {
    {{"fp32", "", "", ""}, ITO_PRECISION_FP32, DType::kF32},
    {{"fp16", "", "", ""}, ITO_PRECISION_FP16, DType::kF16},
};

const FormatRow& row_of(const std::optional<PixelFormat>& format) {
  return *std::find_if(std::begin(kFormatRows), std::end(kFormatRows),
                       [&](const FormatRow& row) { return row.format == format; });
}

vk::ForeignUse use_of(VkPipelineStageFlags stages, VkAccessFlags accesses, uint32_t owner) {
  vk::ForeignUse use;
  if (stages != 0) use.stages = stages;
  use.accesses = accesses;
  use.family = owner == 0 ? VK_QUEUE_FAMILY_IGNORED : owner - 1;
  return use;
}

template <typename Given>
Status take_uses_of_image(const Given& given, const char* name, vk::ForeignImage& image) {
  if (given.layout_after == VK_IMAGE_LAYOUT_UNDEFINED)
    return invalid_argument("{}: layout_after is VK_IMAGE_LAYOUT_UNDEFINED", name);
  image.before = use_of(given.stages_before, given.access_before, given.owner_before);
  image.after = use_of(given.stages_after, given.access_after, given.owner_after);
  image.before.layout = given.layout_before;
  image.after.layout = given.layout_after;
  // Who gives up what is in it need not own it.
  if (given.layout_before == VK_IMAGE_LAYOUT_UNDEFINED)
    image.before.family = VK_QUEUE_FAMILY_IGNORED;
  return {};
}

template <typename Given>
void take_uses_of_buffer(const Given& given, vk::ForeignBuffer& buffer) {
  buffer.before = use_of(given.stages_before, given.access_before, given.owner_before);
  buffer.after = use_of(given.stages_after, given.access_after, given.owner_after);
}

}  // namespace

Result<std::optional<PixelFormat>> pixel_format(ItoPixelFormat format, const char* field) {
  const auto* row = std::find_if(std::begin(kFormatRows), std::end(kFormatRows),
                                 [&](const FormatRow& each) { return each.value == format; });
  if (row == std::end(kFormatRows))
    return invalid_argument("{} is {}, expected 0 to {}", field, static_cast<int>(format),
                            std::size(kFormatRows) - 1);
  return row->format;
}

ItoPixelFormat format_value(const std::optional<PixelFormat>& format) {
  return row_of(format).value;
}

bool is_of_images(const std::optional<PixelFormat>& format) { return row_of(format).of_images; }

std::string_view format_name(ItoPixelFormat format) {
  for (const FormatRow& row : kFormatRows)
    if (row.value == format) return row.name.name;
  return {};
}
std::string_view precision_name(ItoPrecision precision) {
  for (const PrecisionValueRow& row : kPrecisionRows)
    if (row.value == precision) return row.name.name;
  return {};
}

Result<ItoPixelFormat> format_called(std::string_view name, std::string_view field) {
  ITO_ASSIGN(const FormatRow* row,
             row_called(std::span<const FormatRow>(kFormatRows), name, field));
  return row->value;
}
Result<ItoPrecision> precision_called(std::string_view name, std::string_view field) {
  ITO_ASSIGN(const PrecisionValueRow* row,
             row_called(std::span<const PrecisionValueRow>(kPrecisionRows), name, field));
  return row->value;
}

Result<DType> multiply_type(ItoPrecision precision, const char* structure) {
  for (const PrecisionValueRow& row : kPrecisionRows)
    if (row.value == precision) return row.multiply;
  return invalid_argument("{}: precision is {}, expected FP32 (0) or FP16 (1)", structure,
                          static_cast<int>(precision));
}

Status take_image_uses(const ItoImageTarget& target, vk::ForeignImage& image) {
  return take_uses_of_image(target, "ItoImageTarget", image);
}
Status take_image_uses(const ItoImageSource& source, vk::ForeignImage& image) {
  if (source.layout_before == VK_IMAGE_LAYOUT_UNDEFINED)
    return invalid_argument(
        "ItoImageSource: layout_before is VK_IMAGE_LAYOUT_UNDEFINED, which "
        "loses the picture");
  return take_uses_of_image(source, "ItoImageSource", image);
}
void take_buffer_uses(const ItoBufferTarget& target, vk::ForeignBuffer& buffer) {
  take_uses_of_buffer(target, buffer);
}
void take_buffer_uses(const ItoBufferSource& source, vk::ForeignBuffer& buffer) {
  take_uses_of_buffer(source, buffer);
}

}  // namespace ito::embed
