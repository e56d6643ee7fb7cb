// Values of the C API as the library has them: pixel formats, precisions, what a host does with its
// images and buffers before and after a copy. Not for structures as a whole (structures.h).
#pragma once

#include <optional>
#include <string_view>

#include "api/pixel_program.h"
#include "base/dtype.h"
#include "base/result.h"
#include "include/ito/ito.h"
#include "runtime/vk/command_buffer.h"

namespace ito::embed {

// Nothing for NONE. Error kInvalidArgument naming `field`: no such format.
Result<std::optional<PixelFormat>> pixel_format(ItoPixelFormat format, const char* field);
// The other way round.
ItoPixelFormat format_value(const std::optional<PixelFormat>& format);
// Whether images of the host's can be of such pixels.
bool is_of_images(const std::optional<PixelFormat>& format);

// "rgba8", "none"; "fp16": as jobs are written (packing.h). Empty: no such value.
std::string_view format_name(ItoPixelFormat format);
std::string_view precision_name(ItoPrecision precision);
// The other way round. Errors kInvalidArgument naming the field and what there is.
Result<ItoPixelFormat> format_called(std::string_view name, std::string_view field);
Result<ItoPrecision> precision_called(std::string_view name, std::string_view field);

// What products multiply in. Error kInvalidArgument naming the structure.
Result<DType> multiply_type(ItoPrecision precision, const char* structure);

// Of an image or buffer before and after a copy, with the structures' defaults. Errors: a layout
// that no image can have afterwards.
Status take_image_uses(const ItoImageTarget& target, vk::ForeignImage& image);
Status take_image_uses(const ItoImageSource& source, vk::ForeignImage& image);
void take_buffer_uses(const ItoBufferTarget& target, vk::ForeignBuffer& buffer);
void take_buffer_uses(const ItoBufferSource& source, vk::ForeignBuffer& buffer);

}  // namespace ito::embed
