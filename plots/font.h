// A fixed bitmap font (capitals 5x7, two rows below the base line) for labels in charts: printable
// ASCII, drawn for this project. Not for anything a person should read at length.
#pragma once

#include <array>
#include <cstdint>

namespace ito {

inline constexpr int kGlyphWidth = 5, kGlyphHeight = 9;

// Rows from the top; bit 4 is the leftmost pixel.
using Glyph = std::array<uint8_t, kGlyphHeight>;

// The glyph of a character; a question mark for any outside ASCII 32 to 126.
const Glyph& glyph(char character);

}  // namespace ito
