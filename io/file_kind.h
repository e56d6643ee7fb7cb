// What a file is by its first bytes, in the words of an error message: a picture, an archive, a
// page that a failed download left. Not a reader of any of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "io/file.h"

namespace ito {

enum class FileKind : uint8_t {
  kUnknown,
  kEmpty,
  kGitLfsPointer,
  kHtml,
  kServerText,  // what a server says in place of a file it does not have or give
  kPng,
  kJpeg,
  kGif,
  kWebp,
  kTiff,
  kBmp,
  kAvif,
  kZip,
  kNpz,          // a zip with arrays in it, or one that is called .npz
  kTorchZip,     // a zip with data.pkl in it
  kTorchLegacy,  // PyTorch before 1.6
  kPickle,
  kGzip,
  kZstd,
  kXz,
  kBzip2,
  k7z,
  kRar,
  kTar,
  kNpy,
  kMatlab,
  kParquet,
  kArrow,
  kPdf,
  kVideo,
  kHdf5,
  kGguf,
  kSafetensors,
  kJson,
  kCsv,
  kTfRecord,
  kLmdb,
  kSqlite,
  kZeros,
};

// Bytes that kind_of_bytes looks at.
inline constexpr uint64_t kFileKindBytes = 512;

// `head`: the first kFileKindBytes of a file, or all of a shorter one. `name`: what the file is
// called, for what bytes do not tell.
FileKind kind_of_bytes(std::string_view head, std::string_view name = {});
bool is_picture(FileKind kind);
// Whether the first bytes of a file are printable characters, of which the last may be cut off.
bool is_text(std::string_view head);
// Whether a whole text is UTF-8 (RFC 3629), as ASCII is.
bool is_utf8(std::string_view text);
// Of files to be unpacked.
bool is_archive(FileKind kind);

// "a PNG picture", "a Git LFS pointer: the file itself was not downloaded (git lfs pull)"; of an
// unknown kind "".
std::string_view kind_name(FileKind kind);

// kind_of_bytes of a file. Errors: kNotFound, kIo.
Result<FileKind> kind_of_file(const Path& path);

// ": it is a PNG picture", or nothing for an unknown kind: the end of a message that says what was
// expected.
std::string kind_remark(FileKind kind);

}  // namespace ito
