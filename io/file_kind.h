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
  kPng,
  kJpeg,
  kGif,
  kWebp,
  kTiff,
  kBmp,
  kAvif,
  kZip,          // NPZ and PyTorch's files are zip archives too
  kTorchZip,     // with data.pkl in it
  kTorchLegacy,  // PyTorch before 1.6
  kPickle,
  kGzip,
  kZstd,
  kXz,
  kBzip2,
  k7z,
  kTar,
  kNpy,
  kHdf5,
  kGguf,
  kSafetensors,
  kJson,
};

// Bytes that kind_of_bytes looks at.
inline constexpr uint64_t kFileKindBytes = 512;

// `head`: the first kFileKindBytes of a file, or all of a shorter one.
FileKind kind_of_bytes(std::string_view head);

// "a PNG picture", "a Git LFS pointer: the file itself was not downloaded (git lfs pull)"; of an
// unknown kind "".
std::string_view kind_name(FileKind kind);

// kind_of_bytes of a file. Errors: kNotFound, kIo.
Result<FileKind> kind_of_file(const Path& path);

// ": it is a PNG picture", or nothing for an unknown kind: the end of a message that says what was
// expected.
std::string kind_remark(FileKind kind);

}  // namespace ito
