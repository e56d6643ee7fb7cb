// Offsets of fields: POSIX.1-2001, pax, "ustar Interchange Format".
#include "io/tar.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/integer.h"

namespace ito {
namespace {

constexpr size_t kBlock = 512, kNameSize = 100;
constexpr size_t kMode = 100, kUid = 108, kGid = 116, kSize = 124, kTime = 136, kSum = 148;
constexpr size_t kSumSize = 8, kType = 156, kMagicAt = 257, kPrefixAt = 345, kPrefixSize = 155;
constexpr std::string_view kUstar("ustar\00000", 8);
constexpr uint64_t kMaxContent = uint64_t{1} << 33;

void put(std::string& header, size_t at, std::string_view text) {
  std::copy(text.begin(), text.end(), header.begin() + static_cast<ptrdiff_t>(at));
}

// `digits` octal digits, ended by a NUL that is there already.
std::string octal(uint64_t value, size_t digits) { return fmt::format("{:0{}o}", value, digits); }

// The sum of a header's bytes, its own field taken as spaces.
uint64_t sum_of(std::string_view header) {
  uint64_t sum = kSumSize * ' ';
  for (size_t i = 0; i < header.size(); ++i)
    if (i < kSum || i >= kSum + kSumSize) sum += static_cast<unsigned char>(header[i]);
  return sum;
}

bool read_octal(std::string_view field, uint64_t* value) {
  // Archives older than POSIX have blanks before the digits.
  field.remove_prefix(std::min(field.find_first_not_of(' '), field.size()));
  const size_t end = std::min(field.find_first_of(std::string_view(" \0", 2)), field.size());
  const auto [stop, error] = std::from_chars(field.data(), field.data() + end, *value, 8);
  return error == std::errc() && stop == field.data() + end;
}

bool is_zero(std::string_view bytes) {
  return bytes.find_first_not_of('\0') == std::string_view::npos;
}

std::string text_of(std::string_view field) {
  return std::string(field.substr(0, std::min(field.find('\0'), field.size())));
}

std::string name_in(std::string_view header) {
  const std::string name = text_of(header.substr(0, kNameSize));
  const std::string prefix = header.substr(kMagicAt).starts_with(std::string_view("ustar\0", 6))
                                 ? text_of(header.substr(kPrefixAt, kPrefixSize))
                                 : std::string();
  return prefix.empty() ? name : prefix + "/" + name;
}

// Whether a file's content is a map of its holes, and what lies between them (GNU's, by pax).
bool is_sparse(std::string_view records) {
  return records.find(" GNU.sparse.") != std::string_view::npos;
}

// The value of "path" among pax's records, "LENGTH KEY=VALUE\n"; empty without one.
std::string pax_path(std::string_view records) {
  while (!records.empty()) {
    size_t length = 0;
    const auto read = std::from_chars(records.data(), records.data() + records.size(), length);
    const auto digits = static_cast<size_t>(read.ptr - records.data());
    if (read.ec != std::errc() || length > records.size() || length < digits + 2) return {};
    const std::string_view record = records.substr(digits + 1, length - digits - 2);
    if (record.starts_with("path=")) return std::string(record.substr(5));
    records.remove_prefix(length);
  }
  return {};
}

}  // namespace

std::string tar_entry(std::string_view name, std::string_view content) {
  CHECK(!name.empty() && name.size() <= kNameSize, "a name that fits a tar header");
  CHECK(content.size() < kMaxContent, "a file that fits a tar header");
  std::string entry(kBlock, '\0');
  put(entry, 0, name);
  put(entry, kMode, octal(0644, 7));
  put(entry, kUid, octal(0, 7));
  put(entry, kGid, octal(0, 7));
  put(entry, kSize, octal(content.size(), 11));
  put(entry, kTime, octal(0, 11));
  put(entry, kType, "0");
  put(entry, kMagicAt, kUstar);
  put(entry, kSum, octal(sum_of(entry), 6));
  entry[kSum + 7] = ' ';
  entry += content;
  entry.append((kBlock - content.size() % kBlock) % kBlock, '\0');
  return entry;
}

std::string tar_end() { return std::string(2 * kBlock, '\0'); }

Result<std::vector<TarEntry>> parse_tar(std::string_view bytes, std::string_view where,
                                        std::vector<std::string>* others) {
  std::vector<TarEntry> entries;
  std::string long_name;  // of the next file
  bool sparse = false;    // whether that is one
  size_t at = 0;
  for (size_t number = 1;; ++number) {
    if (bytes.size() - at < kBlock) return corrupt("{}: tar archive is truncated", where);
    const std::string_view header = bytes.substr(at, kBlock);
    if (is_zero(header)) return entries;
    uint64_t sum = 0, size = 0;
    if (!read_octal(header.substr(kSum, kSumSize), &sum) || sum != sum_of(header) ||
        !read_octal(header.substr(kSize, 12), &size))
      return corrupt("{}: tar header {} is damaged", where, number);
    at += kBlock;
    if (size > bytes.size() - at)
      return corrupt("{}: {} lies outside the tar archive", where, name_in(header));
    const std::string_view content = bytes.substr(at, size);
    const std::string name = long_name.empty() ? name_in(header) : long_name;
    const bool plain = header[kType] == '0' || header[kType] == '\0';
    const char type = plain && std::exchange(sparse, false) ? 'S' : header[kType];
    switch (type) {
      case '0':
      case '\0':
        entries.push_back({name, content});
        long_name.clear();
        break;
      case 'x':  // pax: what does not fit the next header
        long_name = pax_path(content);
        sparse = is_sparse(content);
        break;
      case 'L':  // GNU's way of it
        long_name = text_of(content);
        break;
      case 'g':  // pax: of all
      case 'K':  // GNU's way of where a link leads
        break;
      case '5':  // a folder
        long_name.clear();
        break;
      default:
        if (others == nullptr)
          return unsupported("{}: {} is no plain file, but a link, a device or a file with holes",
                             where, name);
        others->push_back(name);
        long_name.clear();
    }
    const uint64_t padded = round_up(size, kBlock);
    at += std::min<uint64_t>(padded, bytes.size() - at);
  }
}

}  // namespace ito
