// A file that grows at its end: written piece by piece, cut back, made durable when asked. Its
// owner may be one process only. Not for files that appear whole (write_file_atomic, io/file.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "io/file.h"

namespace ito {

class AppendFile {
 public:
  // Opens `path`, creating it if need be, and locks it until it is closed or the process ends.
  // Nothing if another process has it. Errors: kIo.
  static Result<std::optional<AppendFile>> open(const Path& path);
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&& other) noexcept;
  ~AppendFile();

  uint64_t size() const { return size_; }
  // Drops what lies behind the first `size` bytes.
  Status cut(uint64_t size);
  // Handed to the system when this returns: a killed process loses none of it.
  Status append(std::string_view bytes);
  // Durable when this returns, the file's name included.
  Status sync();

 private:
  AppendFile(Path path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  Path path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

// Makes the names in a folder durable (a file system that cannot is none to complain of).
Status sync_folder(const Path& folder);
// Makes all that was written to the folder's file system durable: for many files at once, a sync of
// each of which would wait for the disk each time.
Status sync_file_system(const Path& folder);

}  // namespace ito
