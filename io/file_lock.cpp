#include "io/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <string>

namespace ito {

Result<std::optional<FileLock>> FileLock::take(const Path& path, int64_t* holder) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return system_error("open", path, errno);
  FileLock lock(file);
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error("lock", path, errno);
    std::array<char, 24> text{};
    const ssize_t size = ::pread(file, text.data(), text.size(), 0);
    int64_t process = 0;
    if (size > 0) std::from_chars(text.data(), text.data() + size, process);
    if (holder != nullptr) *holder = process;
    return std::optional<FileLock>();
  }
  // Only for messages: that the lock is held is the system's knowledge.
  const std::string text = std::to_string(::getpid()) + "\n";
  if (::ftruncate(file, 0) == 0) {
    const ssize_t written = ::pwrite(file, text.data(), text.size(), 0);
    static_cast<void>(written);
  }
  return std::optional<FileLock>(std::move(lock));
}

FileLock::~FileLock() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace ito
