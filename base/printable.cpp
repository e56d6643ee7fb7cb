#include "base/printable.h"

#include <fmt/core.h>

namespace ito {

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : '\0');
    const bool c1 = byte == 0xc2 && next >= 0x80 && next <= 0x9f;
    const bool control = (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f;
    if (!c1 && !control) {
      out += text[i];
      continue;
    }
    out += fmt::format("\\x{:02x}", byte);
    if (c1) out += fmt::format("\\x{:02x}", next);
    i += c1 ? 1 : 0;
  }
  return out;
}

}  // namespace ito
