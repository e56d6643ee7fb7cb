// A lock on a folder that dies with its process, so that a kill leaves nothing to clear away.
#pragma once

#include <optional>
#include <utility>

#include "base/result.h"
#include "io/file.h"

namespace ito {

class FileLock {
 public:
  // Takes the lock of the file `path`, which is created and stays; nothing if another process has
  // it. `holder`: that process's number, where it is known. Errors: kIo.
  static Result<std::optional<FileLock>> take(const Path& path, int64_t* holder = nullptr);

  FileLock(FileLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  FileLock& operator=(FileLock&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  ~FileLock();

 private:
  explicit FileLock(int file) : file_(file) {}
  int file_ = -1;
};

}  // namespace ito
