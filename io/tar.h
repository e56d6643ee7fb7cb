// tar archives of plain files (POSIX.1-1988, "ustar"), written file by file, so that an archive can
// be left half-written and gone on with, and read. Bytes depend on names and contents alone: no
// dates, no owners. Not a general archive tool: it writes names of at most 100 bytes and no
// folders.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ito {

// A file as an archive holds it: header, content, padding. name: 1 to 100 bytes; content: below 8
// GiB.
std::string tar_entry(std::string_view name, std::string_view content);
// What stands behind the last file.
std::string tar_end();

struct TarEntry {
  std::string name;
  std::string_view content;  // points into the archive's bytes
};

// The plain files of an archive, of tar_entry and tar_end or of other programs (ustar, pax, GNU).
// Errors naming `where`: kCorrupt for a damaged header, a file that lies outside, a missing end;
// kUnsupported for links and devices, unless `others` takes their names.
Result<std::vector<TarEntry>> parse_tar(std::string_view bytes, std::string_view where,
                                        std::vector<std::string>* others = nullptr);

}  // namespace ito
