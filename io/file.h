// Whole files and folders: bounded reads, and writes that either happen completely or not at all.
// Not for formats (see the other headers of io) and not for appending logs (io/jsonl.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ito {

using Path = std::filesystem::path;

// A text or binary file as bytes. Errors: kNotFound; kIo (unreadable, a folder, or larger than
// max_bytes). Reads at most max_bytes, whatever the file claims.
inline constexpr uint64_t kDefaultReadLimit = uint64_t{16} << 30;
Result<std::string> read_file(const Path& path, uint64_t max_bytes = kDefaultReadLimit);

// The first `bytes` of a file, or all of a shorter one. Errors: of read_file.
Result<std::string> read_head(const Path& path, size_t bytes);

// Receives the pieces of a file in order.
using ByteSink = std::function<Status(std::string_view bytes)>;

// Hands over a file of any size, of which a piece at a time is in memory. Errors: of read_file, and
// the sink's.
Status read_pieces(const Path& path, const ByteSink& sink);

// Writes path through a temporary file in the same folder, fsync and rename, so that readers see
// the old file or the whole new one. `produce` is called once with a sink. On any failure the
// temporary file is removed, path is untouched, and the error names path and the system's reason
// (with the free space when the disk is full). Missing parent folders are an error.
Status write_file_atomic(const Path& path, const std::function<Status(const ByteSink&)>& produce);
Status write_file_atomic(const Path& path, std::string_view bytes);

// Fills a folder atomically: `fill` gets a fresh folder, path + ".tmp", to write into, which is
// then synced and renamed to path. A folder already at path is replaced by an exchange, so a reader
// finds the old one or the new one (on systems without that call, a crash at the wrong moment
// leaves the old one as path + ".old"). A crash may leave path + ".tmp"; the next call removes it.
// On failure path is untouched and the temporary folder is removed.
Status write_folder_atomic(const Path& path, const std::function<Status(const Path&)>& fill);

// Creates path and its parents; fine if it exists already. The error names the folder and reason.
Status make_folders(const Path& path);

// Removes a file or a whole folder; fine if it does not exist.
Status remove_tree(const Path& path);

// Renames within a file system; what is at `to` is replaced (a folder only where it is empty).
Status rename_path(const Path& from, const Path& to);

// "run.json" of "run.json.123.tmp", the temporary file of a call of write_file_atomic in process
// 123; nothing for any other name.
std::optional<std::string_view> temporary_stem(std::string_view name);

// Names (not paths) in a folder, sorted bytewise. Errors: kNotFound, kIo.
Result<std::vector<std::string>> list_folder(const Path& path);

// Whether there is such a file or folder. Where the system does not say (one above it may not be
// entered, a link leads to itself), both are true: nothing is taken for absent that may be there,
// and whoever opens it gets the system's reason.
bool file_exists(const Path& path);
bool folder_exists(const Path& path);
// Error kIo, with the system's reason, where it does not say whether there is anything at `path`,
// or, of a folder, in it.
Status check_reachable(const Path& path);
// A FIFO, a socket or a device, from which no whole file can be read.
bool is_special_file(const Path& path);

// A read-only view of a whole file, mapped, so that large files cost no memory until touched.
// Move-only. The view dies with the object. The file must not shrink while mapped (a reader which
// is interrupted by that gets SIGBUS; files written by write_file_atomic never shrink).
class MappedFile {
 public:
  static Result<MappedFile> open(const Path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();
  std::string_view bytes() const { return {data_, size_}; }

 private:
  MappedFile(const char* data, size_t size) : data_(data), size_(size) {}
  const char* data_ = nullptr;
  size_t size_ = 0;
};

// The error of a failed system call on path: "cannot <action> <path>: <reason>", with the free
// space of its file system when the disk is full. error_number is errno.
Error system_error(std::string_view action, const Path& path, int error_number);

}  // namespace ito
