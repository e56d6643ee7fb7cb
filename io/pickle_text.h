// The strings of a pickle's textual opcodes. Not for the opcodes (io/pickle.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ito {

// Python's raw-unicode-escape as UTF-8: bytes are Latin-1, but for \uXXXX. Nothing for an escape
// that is none.
std::optional<std::string> pickle_unicode(std::string_view line);
// A string as Python's repr writes it, without its quotes. Likewise.
std::optional<std::string> pickle_string(std::string_view line);

}  // namespace ito
