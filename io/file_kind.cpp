#include "io/file_kind.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <utility>

#include "io/tensorboard.h"

namespace ito {
namespace {

using namespace std::string_view_literals;

struct KindRow {
  FileKind kind;
  std::string_view name;
};
constexpr KindRow kNames[] = {
    {FileKind::kUnknown, ""},
    {FileKind::kEmpty, "an empty file"},
    {FileKind::kGitLfsPointer,
     "a Git LFS pointer: the file itself was not downloaded (git lfs pull fetches it)"},
    {FileKind::kHtml, "an HTML page: what was downloaded is a web site's answer, not the file"},
    {FileKind::kServerText,
     "what a server says where it has no such file or may not give it (\"Entry not found\"), saved "
     "under the file's name; download it again, signed in where the repository asks for it"},
    {FileKind::kPng, "a PNG picture"},
    {FileKind::kJpeg, "a JPEG picture"},
    {FileKind::kGif, "a GIF picture"},
    {FileKind::kWebp, "a WebP picture"},
    {FileKind::kTiff, "a TIFF picture"},
    {FileKind::kBmp, "a BMP picture"},
    {FileKind::kAvif, "an AVIF or HEIF picture"},
    {FileKind::kZip, "a zip archive"},
    {FileKind::kNpz, "an archive of NumPy arrays"},
    {FileKind::kTorchZip, "a PyTorch checkpoint"},
    {FileKind::kTorchLegacy, "a PyTorch checkpoint of before version 1.6"},
    {FileKind::kPickle, "a Python pickle"},
    {FileKind::kGzip, "a gzip archive"},
    {FileKind::kZstd, "a Zstandard archive"},
    {FileKind::kXz, "an xz archive"},
    {FileKind::kBzip2, "a bzip2 archive"},
    {FileKind::k7z, "a 7z archive"},
    {FileKind::kRar, "a RAR archive"},
    {FileKind::kTar, "a tar archive"},
    {FileKind::kNpy, "a NumPy array"},
    {FileKind::kHdf5, "an HDF5 file"},
    {FileKind::kMatlab, "a MATLAB file"},
    {FileKind::kParquet, "a Parquet file"},
    {FileKind::kArrow, "an Arrow file"},
    {FileKind::kPdf, "a PDF document"},
    {FileKind::kVideo, "a video"},
    {FileKind::kGguf, "a GGUF file"},
    {FileKind::kSafetensors, "a safetensors file"},
    {FileKind::kJson, "a JSON text"},
    {FileKind::kCsv, "a table of text"},
    {FileKind::kTfRecord, "a TFRecord file"},
    {FileKind::kLmdb, "an LMDB database"},
    {FileKind::kSqlite, "an SQLite database"},
    {FileKind::kZeros, "nothing but zeros where it begins, as an empty tar archive is"},
};

struct Magic {
  FileKind kind;
  size_t at;
  std::string_view bytes;
};
constexpr Magic kMagics[] = {
    {FileKind::kGitLfsPointer, 0, "version https://git-lfs"sv},
    {FileKind::kPng, 0, "\x89PNG\r\n\x1a\n"sv},
    {FileKind::kJpeg, 0, "\xff\xd8\xff"sv},
    {FileKind::kGif, 0, "GIF87a"sv},
    {FileKind::kGif, 0, "GIF89a"sv},
    {FileKind::kTiff, 0, "II*\0"sv},
    {FileKind::kTiff, 0, "MM\0*"sv},
    {FileKind::kAvif, 4, "ftypavif"sv},
    {FileKind::kAvif, 4, "ftypavis"sv},
    {FileKind::kAvif, 4, "ftypheic"sv},
    {FileKind::kAvif, 4, "ftypheix"sv},
    {FileKind::kAvif, 4, "ftyphevc"sv},
    {FileKind::kAvif, 4, "ftypmsf1"sv},
    {FileKind::kAvif, 4, "ftypmif1"sv},
    {FileKind::kZip, 0, "PK\x03\x04"sv},
    {FileKind::kZip, 0, "PK\x05\x06"sv},
    {FileKind::kTorchLegacy, 0, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"sv},
    {FileKind::kGzip, 0, "\x1f\x8b"sv},
    {FileKind::kZstd, 0, "\x28\xb5\x2f\xfd"sv},
    {FileKind::kXz, 0, "\xfd\x37zXZ\0"sv},
    {FileKind::kBzip2, 0, "BZh"sv},
    {FileKind::k7z, 0, "7z\xbc\xaf\x27\x1c"sv},
    {FileKind::kTar, 257, "ustar"sv},
    {FileKind::kNpy, 0, "\x93NUMPY"sv},
    {FileKind::kHdf5, 0, "\x89HDF\r\n\x1a\n"sv},
    {FileKind::kGguf, 0, "GGUF"sv},
    {FileKind::kMatlab, 0, "MATLAB 5.0"sv},
    {FileKind::kParquet, 0, "PAR1"sv},
    {FileKind::kArrow, 0, "ARROW1"sv},
    {FileKind::kRar, 0, "Rar!"sv},
    {FileKind::kPdf, 0, "%PDF-"sv},
    {FileKind::kLmdb, 16, "\xde\xc0\xef\xbe"sv},
    {FileKind::kSqlite, 0, "SQLite format 3\0"sv},
    {FileKind::kVideo, 4, "ftypmp4"sv},
    {FileKind::kVideo, 4, "ftypisom"sv},
};

bool has(std::string_view head, size_t at, std::string_view bytes) {
  return head.size() >= at + bytes.size() && head.substr(at, bytes.size()) == bytes;
}

std::string_view without_space(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // a byte order mark
  const auto first =
      std::find_if(text.begin(), text.end(), [](unsigned char c) { return std::isspace(c) == 0; });
  text.remove_prefix(static_cast<size_t>(first - text.begin()));
  return text;
}

bool is_html(std::string_view text) {
  std::string lower(text.substr(0, 16));
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const std::string_view start : {"<!doctype html"sv, "<html"sv, "<head"sv, "<?xml"sv})
    if (lower.starts_with(start)) return true;
  return false;
}

// As the model hubs say it.
bool is_server_text(std::string_view text) {
  for (const std::string_view start :
       {"Entry not found"sv, "Repository not found"sv, "Revision not found"sv, "Not Found"sv,
        "404: Not Found"sv, "404 Not Found"sv, "Invalid username or password"sv,
        "Invalid credentials"sv, "Unauthorized"sv, "Forbidden"sv, "Access denied"sv,
        "Access to model"sv, "Access Denied"sv, "Internal Server Error"sv, "Bad Gateway"sv,
        "Too Many Requests"sv, "{\"error\":"sv})
    if (text.starts_with(start)) return true;
  return false;
}

// Eight bytes of a header's length, then the header, which is an object.
bool is_safetensors(std::string_view head) {
  if (head.size() < 10) return false;
  uint64_t length = 0;
  std::memcpy(&length, head.data(), sizeof length);
  return length >= 2 && length < (uint64_t{1} << 27) &&
         without_space(head.substr(8)).starts_with('{');
}

// Eight bytes of a record's length, then their checksum.
bool is_tfrecord(std::string_view head) {
  if (head.size() < 12) return false;
  uint32_t sum = 0;
  std::memcpy(&sum, head.data() + 8, sizeof sum);
  return sum == masked_crc32c(head.substr(0, 8));
}

// PyTorch writes data.pkl first, in a folder of the archive.
FileKind kind_of_zip(std::string_view head, std::string_view name) {
  if (head.find("data.pkl") != std::string_view::npos) return FileKind::kTorchZip;
  const bool arrays = head.find(".npy") != std::string_view::npos || name.ends_with(".npz");
  return arrays ? FileKind::kNpz : FileKind::kZip;
}

// UTF-8 (RFC 3629), of which the last character may be `cut` off.
bool is_utf8_to(std::string_view text, bool cut) {
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i++]);
    if (c < 0x80) continue;
    if (c < 0xc2 || c > 0xf4) return false;
    for (int more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3; more > 0; --more, ++i) {
      if (i == text.size()) return cut;
      if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return false;
    }
  }
  return true;
}

// Kinds that only a name tells.
constexpr std::pair<std::string_view, FileKind> kEndings[] = {
    {".safetensors", FileKind::kSafetensors},
    {".npz", FileKind::kNpz},
    {".npy", FileKind::kNpy},
    {".json", FileKind::kJson},
    {".jsonl", FileKind::kJson},
    {".csv", FileKind::kCsv}};

}  // namespace

FileKind kind_of_bytes(std::string_view head, std::string_view name) {
  if (head.empty()) return FileKind::kEmpty;
  if (is_tfrecord(head)) return FileKind::kTfRecord;
  if (is_safetensors(head)) return FileKind::kSafetensors;  // whose length may look like a magic
  for (const Magic& magic : kMagics) {
    if (!has(head, magic.at, magic.bytes)) continue;
    return magic.kind == FileKind::kZip ? kind_of_zip(head, name) : magic.kind;
  }
  if (has(head, 0, "RIFF") && has(head, 8, "WEBP")) return FileKind::kWebp;
  if (has(head, 0, "BM") && head.size() >= 26 && head[14] <= 124 && head[15] == 0)
    return FileKind::kBmp;
  if (head[0] == '\x80' && head.size() > 1 && head[1] >= 2 && head[1] <= 5)
    return FileKind::kPickle;
  const std::string_view text = without_space(head);
  if (is_html(text)) return FileKind::kHtml;
  if (is_server_text(text)) return FileKind::kServerText;
  for (const auto& [ending, kind] : kEndings)
    if (name.ends_with(ending)) return kind;
  if (text.starts_with('{') || text.starts_with('[')) return FileKind::kJson;
  if (head.size() >= kFileKindBytes && head.find_first_not_of('\0') == std::string_view::npos)
    return FileKind::kZeros;
  return FileKind::kUnknown;
}

bool is_text(std::string_view head) {
  return is_utf8_to(head, true) && std::all_of(head.begin(), head.end(), [](unsigned char c) {
           return c >= 0x80 || std::isprint(c) != 0 || std::isspace(c) != 0;
         });
}

bool is_utf8(std::string_view text) { return is_utf8_to(text, false); }

bool is_picture(FileKind kind) {
  return kind == FileKind::kPng || kind == FileKind::kJpeg || kind == FileKind::kGif ||
         kind == FileKind::kWebp || kind == FileKind::kTiff || kind == FileKind::kBmp ||
         kind == FileKind::kAvif;
}

bool is_archive(FileKind kind) {
  constexpr FileKind kArchives[] = {FileKind::kZip, FileKind::kGzip,  FileKind::kZstd,
                                    FileKind::kXz,  FileKind::kBzip2, FileKind::k7z,
                                    FileKind::kRar, FileKind::kTar};
  return std::find(std::begin(kArchives), std::end(kArchives), kind) != std::end(kArchives);
}

std::string_view kind_name(FileKind kind) {
  for (const KindRow& row : kNames)
    if (row.kind == kind) return row.name;
  return "";
}

Result<FileKind> kind_of_file(const Path& path) {
  ITO_ASSIGN(const std::string head, read_head(path, kFileKindBytes));
  return kind_of_bytes(head, path.filename().string());
}

std::string kind_remark(FileKind kind) {
  const std::string_view name = kind_name(kind);
  return name.empty() ? "" : ": it is " + std::string(name);
}

}  // namespace ito
