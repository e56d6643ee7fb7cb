// PNG files: images in [-1,1] to 8 bits, grids, and generation settings in a text chunk.
// Not for decoding pixels (io/image.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/shape.h"
#include "io/image.h"
#include "io/json.h"

namespace ito {

// Key of the chunk that holds the settings, as other tools name it.
inline constexpr std::string_view kSettingsKey = "parameters";
// In settings of `ito sample`: what the picture's class is called.
inline constexpr const char* kClassName = "class_name";

// One float value to 8 bits as diffusers does it: (x/2 + 0.5) clamped to [0,1], times 255, rounded
// to nearest, ties to even. NaN becomes 0.
uint8_t to_byte(float x);

// Image `index` of values in [-1,1], shape [N,H,W,C] with C 1, 3 or 4.
Image image_from_floats(const std::vector<float>& values, const Shape& nhwc, int64_t index);

// All N images, row by row, `columns` per row (0: the square root of N, rounded up), `gap` pixels
// of `background` around each.
Image grid_from_floats(const std::vector<float>& values, const Shape& nhwc, int columns = 0,
                       int gap = 2, uint8_t background = 255);
Image grid_of(const std::vector<Image>& images, int columns = 0, int gap = 2,
              uint8_t background = 255);

// The bytes of a PNG file; deterministic. With settings, a tEXt chunk "parameters" holds them as
// one line of ASCII JSON (other characters as \uXXXX).
std::string encode_png(const Image& image, const Json* settings = nullptr);

// Atomic. Errors: kIo.
Status write_png(const Path& path, const Image& image, const Json* settings = nullptr);

// The text of the first tEXt, zTXt or iTXt chunk of that key, or nothing if there is none. Errors
// naming `where`: kCorrupt for no PNG, a damaged chunk before the text is found, a bad checksum.
Result<std::optional<std::string>> png_text(std::string_view png, std::string_view key,
                                            std::string_view where);

// The settings that write_png stored, of a file's bytes or of a file; kNotFound if the file has
// none, kCorrupt if they are no JSON.
Result<Json> png_settings(std::string_view png, const std::string& where);
Result<Json> read_png_settings(const Path& path);

}  // namespace ito
