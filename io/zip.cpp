// Field offsets follow PKWARE's APPNOTE.TXT 4.3.7 (local header), 4.3.12 (central directory
// header), 4.3.14 and 4.3.15 (ZIP64), 4.3.16 (end of central directory) and 4.5.3 (ZIP64's extra
// field).
#include "io/zip.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "io/compress.h"

namespace ito {
namespace {

constexpr std::string_view kLocal("PK\x03\x04", 4), kCentral("PK\x01\x02", 4),
    kEnd("PK\x05\x06", 4), kEnd64("PK\x06\x06", 4), kLocator64("PK\x06\x07", 4);
constexpr size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kEnd64Size = 56,
                 kLocator64Size = 20;
constexpr uint32_t kZip64 = 0xffffffffu;
constexpr uint64_t kMaxTotal = uint64_t{64} << 30;

template <typename T>
T load(std::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

template <typename T>
void store(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

// The end record lies within the last 64 KiB, before a comment of stated length.
size_t find_end(std::string_view bytes) {
  if (bytes.size() < kEndSize) return std::string_view::npos;
  size_t last = bytes.size() - kEndSize;
  size_t first = last > 0xffff ? last - 0xffff : 0;
  for (size_t at = last + 1; at-- > first;)
    if (bytes.substr(at, 4) == kEnd &&
        at + kEndSize + load<uint16_t>(bytes, at + 20) == bytes.size())
      return at;
  return std::string_view::npos;
}

struct Directory {
  uint64_t count = 0;
  uint64_t at = 0;
};

// What the end record says, or ZIP64's where that one's fields are too small.
Result<Directory> find_directory(std::string_view bytes, size_t end, std::string_view where) {
  Directory directory{load<uint16_t>(bytes, end + 10), load<uint32_t>(bytes, end + 16)};
  if (directory.at != kZip64 && directory.count != 0xffff) return directory;
  const Error damaged = corrupt("{}: the ZIP64 directory is damaged", where);
  if (end < kLocator64Size || bytes.substr(end - kLocator64Size, 4) != kLocator64) return directory;
  const auto at = load<uint64_t>(bytes, end - kLocator64Size + 8);
  if (at > end || end - at < kEnd64Size || bytes.substr(at, 4) != kEnd64) return damaged;
  return Directory{load<uint64_t>(bytes, at + 32), load<uint64_t>(bytes, at + 48)};
}

// Sizes and place of an entry, those of 32 bits replaced where they say that the extra field has
// them.
struct Extent {
  uint64_t size, stored, local;
};
Status read_extra(std::string_view extra, Extent& extent, std::string_view where) {
  while (extra.size() >= 4) {
    const auto id = load<uint16_t>(extra, 0), length = load<uint16_t>(extra, 2);
    if (length > extra.size() - 4) break;
    std::string_view field = extra.substr(4, length);
    extra.remove_prefix(4u + length);
    if (id != 1) continue;
    for (uint64_t* value : {&extent.size, &extent.stored, &extent.local}) {
      if (*value != kZip64) continue;
      if (field.size() < 8) return corrupt("{}: its ZIP64 field is too short", where);
      *value = load<uint64_t>(field, 0);
      field.remove_prefix(8);
    }
  }
  return {};
}

void store_sizes(std::string& out, const ZipPart& part, uint32_t crc) {
  auto size = static_cast<uint32_t>(part.head.size() + part.body.size());
  store<uint16_t>(out, 20);      // version needed: 2.0
  store<uint16_t>(out, 0x0800);  // names are UTF-8
  store<uint16_t>(out, 0);       // stored
  store<uint16_t>(out, 0);       // time 00:00
  store<uint16_t>(out, 0x21);    // 1980-01-01, the earliest date there is
  store<uint32_t>(out, crc);
  store<uint32_t>(out, size);
  store<uint32_t>(out, size);
  store<uint16_t>(out, static_cast<uint16_t>(part.name.size()));
  store<uint16_t>(out, 0);  // no extra field
}

// Archives made to burst: entries that lie on one another, or that inflate beyond all proportion.
// `places`: of each entry, with its local header.
Status check_entries(const std::vector<ZipEntry>& entries, std::vector<std::string_view> places,
                     std::string_view where) {
  uint64_t total = 0, packed = 0, inflated = 0;
  for (const ZipEntry& entry : entries) {
    if (entry.size > kMaxTotal - total)
      return corrupt("{}: inflates to more than {} bytes", where, kMaxTotal);
    total += entry.size;
    if (!entry.deflated) continue;
    packed += entry.data.size();
    inflated += entry.size;
    if (entry.size > most_inflated(entry.data.size()))
      return corrupt("{}: {} of {} bytes claims to inflate to {}; at most {} expected", where,
                     entry.name, entry.data.size(), entry.size, most_inflated(entry.data.size()));
  }
  if (inflated > most_inflated(packed))
    return corrupt("{}: its {} packed bytes claim to inflate to {}; at most {} expected", where,
                   packed, inflated, most_inflated(packed));
  std::sort(places.begin(), places.end(),
            [](std::string_view a, std::string_view b) { return a.data() < b.data(); });
  for (size_t i = 1; i < places.size(); ++i)
    if (places[i - 1].data() + places[i - 1].size() > places[i].data())
      return corrupt("{}: two entries share the same bytes", where);
  return {};
}

}  // namespace

Result<std::vector<ZipEntry>> parse_zip(std::string_view bytes, std::string_view where) {
  size_t end = find_end(bytes);
  if (end == std::string_view::npos)
    return corrupt("{}: not a zip archive, or truncated (no directory at its end)", where);
  ITO_ASSIGN(const Directory directory, find_directory(bytes, end, where));
  const uint64_t count = directory.count;
  uint64_t at = directory.at;

  std::vector<ZipEntry> entries;
  std::vector<std::string_view> places;
  entries.reserve(std::min<uint64_t>(count, end / kCentralSize));
  places.reserve(entries.capacity());
  for (uint64_t i = 0; i < count; ++i) {
    if (at > end || end - at < kCentralSize || bytes.substr(at, 4) != kCentral)
      return corrupt("{}: zip directory entry {} of {} is damaged", where, i + 1, count);
    auto flags = load<uint16_t>(bytes, at + 8), method = load<uint16_t>(bytes, at + 10);
    Extent extent{load<uint32_t>(bytes, at + 24), load<uint32_t>(bytes, at + 20),
                  load<uint32_t>(bytes, at + 42)};
    auto name_size = load<uint16_t>(bytes, at + 28);
    const auto extra_size = load<uint16_t>(bytes, at + 30);
    size_t total = kCentralSize + name_size + extra_size + load<uint16_t>(bytes, at + 32);
    if (end - at < total)
      return corrupt("{}: zip directory entry {} of {} is damaged", where, i + 1, count);
    std::string name(bytes.substr(at + kCentralSize, name_size));
    ITO_TRY(read_extra(bytes.substr(at + kCentralSize + name_size, extra_size), extent,
                       fmt::format("{}: {}", where, name)));
    const uint64_t local = extent.local, stored = extent.stored;
    if ((flags & 1) != 0) return unsupported("{}: {} is encrypted", where, name);
    if (method != 0 && method != 8)
      return unsupported("{}: {}: zip method {}; 0 (stored) and 8 (deflate) are supported", where,
                         name, method);
    if (local > end || end - local < kLocalSize || bytes.substr(local, 4) != kLocal)
      return corrupt("{}: {} has no local zip header", where, name);
    // The local header repeats name and extra field, with lengths of its own.
    size_t data =
        local + kLocalSize + load<uint16_t>(bytes, local + 26) + load<uint16_t>(bytes, local + 28);
    if (data > end || end - data < stored)
      return corrupt("{}: {} lies outside the archive", where, name);
    entries.push_back({std::move(name), method == 8, load<uint32_t>(bytes, at + 16), extent.size,
                       bytes.substr(data, stored)});
    places.push_back(bytes.substr(local, data + stored - local));
    at += total;
  }
  ITO_TRY(check_entries(entries, std::move(places), where));
  return entries;
}

Result<ZipContent> zip_content(const ZipEntry& entry, std::string_view where) {
  ZipContent content{.inflated = {}, .stored = entry.data};
  if (entry.deflated) {
    ITO_ASSIGN(content.inflated, inflate(entry.data, Compression::kDeflate, where, entry.size));
    content.stored = {};
  }
  const std::string_view bytes = content.bytes();
  if (bytes.size() != entry.size)
    return corrupt("{}: {} bytes expected, {} found", where, entry.size, bytes.size());
  if (crc32_of(bytes) != entry.crc) return corrupt("{}: checksum does not match", where);
  return content;
}

Result<std::string> read_zip_entry(const ZipEntry& entry, std::string_view where) {
  ITO_ASSIGN(ZipContent content, zip_content(entry, where));
  return entry.deflated ? std::move(content.inflated) : std::string(content.stored);
}

Status write_zip(const Path& path, const std::vector<ZipPart>& parts) {
  uint64_t total = kEndSize;
  for (const ZipPart& part : parts)
    total += kLocalSize + kCentralSize + 2 * part.name.size() + part.head.size() + part.body.size();
  if (total >= kZip64 || parts.size() >= 0xffff)
    return invalid_argument(
        "cannot write {}: {} bytes in {} arrays; a zip archive holds less than "
        "4 GB and 65535 arrays; write several",
        path.string(), total, parts.size());

  return write_file_atomic(path, [&](const ByteSink& sink) -> Status {
    std::string directory;
    uint64_t position = 0;
    for (const ZipPart& part : parts) {
      uint32_t crc = crc32_of(part.body, crc32_of(part.head));
      std::string local(kLocal);
      store_sizes(local, part, crc);
      local += part.name;
      directory += kCentral;
      store<uint16_t>(directory, 20);  // made by: version 2.0
      store_sizes(directory, part, crc);
      store<uint16_t>(directory, 0);  // no comment
      store<uint16_t>(directory, 0);  // disk 0
      store<uint16_t>(directory, 0);  // internal attributes
      store<uint32_t>(directory, 0);  // external attributes
      store<uint32_t>(directory, static_cast<uint32_t>(position));
      directory += part.name;
      ITO_TRY(sink(local));
      ITO_TRY(sink(part.head));
      ITO_TRY(sink(part.body));
      position += local.size() + part.head.size() + part.body.size();
    }
    std::string end(kEnd);
    store<uint32_t>(end, 0);  // disk numbers
    store<uint16_t>(end, static_cast<uint16_t>(parts.size()));
    store<uint16_t>(end, static_cast<uint16_t>(parts.size()));
    store<uint32_t>(end, static_cast<uint32_t>(directory.size()));
    store<uint32_t>(end, static_cast<uint32_t>(position));
    store<uint16_t>(end, 0);  // no comment
    ITO_TRY(sink(directory));
    return sink(end);
  });
}

}  // namespace ito
