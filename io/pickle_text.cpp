#include "io/pickle_text.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <iterator>
#include <utility>

namespace ito {

bool append_utf8(std::string& text, uint32_t code) {
  constexpr uint32_t kCharacters = 0x110000;
  if (code >= kCharacters) return false;
  const auto put = [&](uint32_t byte) { text += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else {
    if (code < 0x10000) {
      put(0xe0 | code >> 12);
    } else {
      put(0xf0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3f));
    }
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
  return true;
}

std::optional<std::string> latin1_bytes(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<uint8_t>(text[i]);
    if (c < 0x80) {
      bytes += text[i];
      continue;
    }
    // Two bytes hold the characters from 0x80 to 0xff.
    const uint8_t next = i + 1 < text.size() ? static_cast<uint8_t>(text[i + 1]) : uint8_t{0};
    if ((c != 0xc2 && c != 0xc3) || (next & 0xc0) != 0x80) return std::nullopt;
    bytes += static_cast<char>((c & 3) << 6 | (next & 0x3f));
    ++i;
  }
  return bytes;
}

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
    if (!append_utf8(text, code)) return std::nullopt;
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
