#include "io/pickle_text.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <iterator>
#include <utility>

namespace ito {

std::optional<std::string> pickle_unicode(std::string_view line) {
  std::string text;
  for (size_t i = 0; i < line.size(); ++i) {
    uint32_t code = static_cast<uint8_t>(line[i]);
    if (line.substr(i).starts_with("\\u")) {
      const std::string_view digits = line.substr(i + 2, 4);
      const auto [end, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
      if (digits.size() < 4 || error != std::errc() || end != digits.data() + 4)
        return std::nullopt;
      i += 5;
    }
    if (code < 0x80) {
      text += static_cast<char>(code);
    } else if (code < 0x800) {
      text += static_cast<char>(0xc0 | code >> 6);
      text += static_cast<char>(0x80 | (code & 0x3f));
    } else {
      text += static_cast<char>(0xe0 | code >> 12);
      text += static_cast<char>(0x80 | (code >> 6 & 0x3f));
      text += static_cast<char>(0x80 | (code & 0x3f));
    }
  }
  return text;
}

std::optional<std::string> pickle_string(std::string_view line) {
  constexpr std::pair<char, char> kEscapes[] = {{'n', '\n'},  {'r', '\r'},  {'t', '\t'},
                                                {'\\', '\\'}, {'\'', '\''}, {'"', '"'}};
  std::string text;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\') {
      text += line[i];
      continue;
    }
    const std::string_view rest = line.substr(i + 1);
    if (rest.starts_with('x')) {
      const std::string_view digits = rest.substr(1, 2);
      unsigned code = 0;
      const auto [end, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
      if (digits.size() < 2 || error != std::errc() || end != digits.data() + 2)
        return std::nullopt;
      text += static_cast<char>(code);
      i += 3;
      continue;
    }
    const auto found =
        std::find_if(std::begin(kEscapes), std::end(kEscapes),
                     [&](const std::pair<char, char>& row) { return rest.starts_with(row.first); });
    if (found == std::end(kEscapes)) return std::nullopt;
    text += found->second;
    ++i;
  }
  return text;
}

}  // namespace ito
