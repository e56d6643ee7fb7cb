// The strings of a pickle's textual opcodes. Not for the opcodes (io/pickle.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ito {

// Python's raw-unicode-escape as UTF-8: bytes are Latin-1, but for \uXXXX. Nothing for an escape
// that is none.
std::optional<std::string> pickle_unicode(std::string_view line);
// A string as Python's repr writes it, without its quotes. Likewise.
std::optional<std::string> pickle_string(std::string_view line);
// The Latin-1 bytes of a text in UTF-8; nothing if it has characters that Latin-1 lacks.
std::optional<std::string> latin1_bytes(std::string_view text);
// A character as UTF-8, at the end of `text`. False if there is no character of that number.
bool append_utf8(std::string& text, uint32_t code);

}  // namespace ito
