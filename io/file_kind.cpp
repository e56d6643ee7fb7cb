#include "io/file_kind.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <fstream>

#include "io/pictures/picture.h"

namespace ito {
namespace {

struct Magic {
  size_t at;
  std::string_view bytes;
  FileKind kind;
};

constexpr Magic kMagics[] = {
    {0, std::string_view("\x93NUMPY", 6), FileKind::kNpy},
    {0, std::string_view("\x1f\x8b", 2), FileKind::kGzip},
    {257, "ustar", FileKind::kTar},
    {0, "version https://git-lfs", FileKind::kLfsPointer},
    {0, std::string_view("\x89HDF\r\n\x1a\n", 8), FileKind::kHdf5},
    {0, "MATLAB 5.0", FileKind::kMatlab},
    {0, "PAR1", FileKind::kParquet},
    {0, "ARROW1", FileKind::kArrow},
    {0, std::string_view("7z\xbc\xaf\x27\x1c", 6), FileKind::kSevenZip},
    {0, "Rar!", FileKind::kRar},
    {0,
     std::string_view("\xfd"
                      "7zXZ",
                      5),
     FileKind::kXz},
    {0, std::string_view("\x28\xb5\x2f\xfd", 4), FileKind::kZstd},
    {0, "BZh", FileKind::kBzip2},
    {0, "%PDF-", FileKind::kPdf},
    {4, "ftypmp4", FileKind::kVideo},
    {4, "ftypisom", FileKind::kVideo},
};

bool is_html(std::string_view head) {
  std::string text;
  for (const char c : head.substr(0, 256))
    if (!text.empty() || !std::isspace(static_cast<unsigned char>(c)))
      text += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text.starts_with("<!doctype html") || text.starts_with("<html") ||
         text.starts_with("<head");
}

// A length below a hundred million, then the brace of a JSON header.
bool is_safetensors(std::string_view head) {
  if (head.size() < 10) return false;
  uint64_t length = 0;
  std::memcpy(&length, head.data(), 8);
  return length <= 100'000'000 && head[8] == '{';
}

}  // namespace

FileKind file_kind(std::string_view head, std::string_view name) {
  if (head.empty()) return FileKind::kEmpty;
  for (const Magic& magic : kMagics)
    if (head.size() >= magic.at + magic.bytes.size() &&
        head.substr(magic.at, magic.bytes.size()) == magic.bytes)
      return magic.kind;
  if (head.starts_with(std::string_view("PK\x03\x04", 4)) ||
      head.starts_with(std::string_view("PK\x05\x06", 4))) {
    const std::string_view first = head.size() > 30 ? head.substr(30, 200) : std::string_view();
    if (first.find("data.pkl") != std::string_view::npos) return FileKind::kTorchZip;
    const bool arrays = first.find(".npy") != std::string_view::npos || name.ends_with(".npz");
    return arrays ? FileKind::kNpz : FileKind::kZip;
  }
  if (picture_format(head) != nullptr) return FileKind::kPicture;
  if (is_html(head)) return FileKind::kHtml;
  if (is_safetensors(head) || name.ends_with(".safetensors")) return FileKind::kSafetensors;
  if (head.size() > 2 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5)
    return FileKind::kPickle;
  if (name.ends_with(".npz")) return FileKind::kNpz;
  if (name.ends_with(".npy")) return FileKind::kNpy;
  if (name.ends_with(".json") || name.ends_with(".jsonl")) return FileKind::kJson;
  if (name.ends_with(".csv")) return FileKind::kCsv;
  return FileKind::kUnknown;
}

std::string_view description(FileKind kind) {
  switch (kind) {
    case FileKind::kEmpty:
      return "empty";
    case FileKind::kNpy:
      return "an array of NumPy";
    case FileKind::kNpz:
      return "an archive of NumPy's arrays";
    case FileKind::kSafetensors:
      return "a safetensors file";
    case FileKind::kGzip:
      return "compressed by gzip";
    case FileKind::kPicture:
      return "a picture";
    case FileKind::kZip:
      return "a zip archive; unpack it first";
    case FileKind::kTar:
      return "a tar archive; unpack it first";
    case FileKind::kPickle:
      return "a pickle of Python";
    case FileKind::kTorchZip:
      return "a file of PyTorch";
    case FileKind::kLfsPointer:
      return "a pointer of Git LFS: the file itself was not downloaded (git lfs pull gets it)";
    case FileKind::kHtml:
      return "a web page, not the file that was to be downloaded";
    case FileKind::kHdf5:
      return "an HDF5 file";
    case FileKind::kMatlab:
      return "a file of MATLAB";
    case FileKind::kParquet:
      return "a Parquet file";
    case FileKind::kArrow:
      return "an Arrow file";
    case FileKind::kSevenZip:
      return "a 7z archive; unpack it first";
    case FileKind::kRar:
      return "a RAR archive; unpack it first";
    case FileKind::kXz:
      return "compressed by xz; unpack it first";
    case FileKind::kZstd:
      return "compressed by zstd; unpack it first";
    case FileKind::kBzip2:
      return "compressed by bzip2; unpack it first";
    case FileKind::kPdf:
      return "a PDF document";
    case FileKind::kVideo:
      return "a video";
    case FileKind::kJson:
      return "a JSON file";
    case FileKind::kCsv:
      return "a table of text";
    case FileKind::kUnknown:
      break;
  }
  return "of an unknown kind";
}

Result<std::string> read_head(const Path& path, size_t bytes) {
  ITO_ASSIGN(const MappedFile file, MappedFile::open(path));
  return std::string(file.bytes().substr(0, bytes));
}

}  // namespace ito
