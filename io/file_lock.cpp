#include "io/file_lock.h"

#include <array>
#include <charconv>
#include <string>

#include "base/platform.h"

namespace ito {

Result<std::optional<FileLock>> FileLock::take(const Path& path, int64_t* holder) {
  int file = -1;
  if (const int error = platform::open_to_share(path, &file); error != 0)
    return system_error("open", path, error);
  FileLock lock(file);
  bool taken = false;
  if (const int error = platform::lock_file(file, &taken); error != 0)
    return system_error("lock", path, error);
  if (!taken) {
    std::array<char, 24> text{};
    size_t size = 0;
    platform::read_beginning(file, text, &size);
    int64_t process = 0;
    if (size > 0) std::from_chars(text.data(), text.data() + size, process);
    if (holder != nullptr) *holder = process;
    return std::optional<FileLock>();
  }
  // Only for messages: that the lock is held is the system's knowledge.
  if (platform::cut_file(file, 0) == 0)
    platform::write_all(file, std::to_string(platform::process_number()) + "\n");
  return std::optional<FileLock>(std::move(lock));
}

FileLock::~FileLock() {
  if (file_ >= 0) platform::close_file(file_);
}

}  // namespace ito
