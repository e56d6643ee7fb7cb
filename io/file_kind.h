// What a file is by its first bytes, for messages that name the right cause: a pointer of Git LFS,
// a web page, an archive or a picture given where something else is wanted. Not for reading any of
// them.
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
  kNpy,
  kNpz,  // a zip with arrays in it, or one that is called .npz
  kSafetensors,
  kGzip,
  kPicture,
  kZip,
  kTar,
  kPickle,
  kTorchZip,  // a zip that torch.save wrote
  kLfsPointer,
  kHtml,
  kHdf5,
  kMatlab,
  kParquet,
  kArrow,
  kSevenZip,
  kRar,
  kXz,
  kZstd,
  kBzip2,
  kPdf,
  kVideo,
  kJson,
  kCsv,
};

// `head`: the first bytes, 512 at least where the file has them.
FileKind file_kind(std::string_view head, std::string_view name);
// "a zip archive; unpack it first".
std::string_view description(FileKind kind);
// The first bytes of a file. Errors: kNotFound, kIo.
Result<std::string> read_head(const Path& path, size_t bytes);

}  // namespace ito
