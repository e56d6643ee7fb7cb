// Just enough of the ZIP format for NumPy's and PyTorch's archives: stored or deflated entries,
// read from ZIP64 too, written below 4 GB. Not a general archive tool: no encryption, no split
// archives.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/file.h"

namespace ito {

struct ZipEntry {
  std::string name;
  bool deflated = false;
  uint32_t crc = 0;
  uint64_t size = 0;      // inflated
  std::string_view data;  // as stored; points into the archive's bytes
};

// The table of contents. Errors naming `where`: kCorrupt (no or damaged directory, entries that lie
// outside the file or share bytes, or that claim to inflate to more than most_inflated() of what is
// stored, each or together, or to 64 GiB in all: known before anything is allocated), kUnsupported
// (encrypted, other methods).
Result<std::vector<ZipEntry>> parse_zip(std::string_view bytes, std::string_view where);

// The content of an entry, its length and CRC checked. Error kCorrupt naming `where`.
struct ZipContent {
  std::string inflated;
  std::string_view stored;  // points into the archive's bytes; of an entry that is not deflated

  std::string_view bytes() const { return stored.empty() ? inflated : stored; }
};
Result<ZipContent> zip_content(const ZipEntry& entry, std::string_view where);
Result<std::string> read_zip_entry(const ZipEntry& entry, std::string_view where);

// One stored file: its bytes are head then body.
struct ZipPart {
  std::string name;
  std::string head;
  std::string_view body;
};

// Writes an uncompressed archive, atomically and without dates, so equal content gives equal bytes.
// Error kInvalidArgument if it would reach 4 GB.
Status write_zip(const Path& path, const std::vector<ZipPart>& parts);

}  // namespace ito
