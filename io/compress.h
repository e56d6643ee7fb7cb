// Inflating untrusted compressed bytes, and CRC-32: a thin face over zlib.
// Not for containers built from them (io/zip.h, io/png.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace ito {

enum class Compression {
  kGzip,     // .gz, one or several members, perhaps followed by zeros
  kZlib,     // with zlib's header, as inside PNG
  kDeflate,  // bare, as inside ZIP
};

// Starts with gzip's magic bytes.
bool is_gzip(std::string_view bytes);

// What so many packed bytes may inflate to: 500 times as many, which nothing but a file made to
// burst exceeds (deflate's own bound is 1032), and 16 MiB in any case.
uint64_t most_inflated(uint64_t packed);

// The inflated bytes. Memory grows with what is really decoded, never with what a header claims.
// Error kCorrupt naming `where`: damaged, truncated, wrong checksum, followed by other bytes, or
// larger than max_bytes or most_inflated() of them.
Result<std::string> inflate(std::string_view bytes, Compression format, std::string_view where,
                            uint64_t max_bytes);

// The first `most` inflated bytes, or as many as there are before an end or damage: enough to see
// what was packed.
std::string inflated_head(std::string_view bytes, Compression format, size_t most);

// CRC-32 of ISO 3309 (as in zip, gzip and PNG), continued from an earlier value.
uint32_t crc32_of(std::string_view bytes, uint32_t earlier = 0);

}  // namespace ito
