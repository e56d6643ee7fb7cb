#include "io/append_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace ito {
namespace {

Path folder_of(const Path& path) {
  const Path parent = path.parent_path();
  return parent.empty() ? Path(".") : parent;
}

Status sync_with(const Path& folder, int (*sync)(int)) {
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return system_error("sync", folder, errno);
  const int failed = sync(file) != 0 ? errno : 0;
  ::close(file);
  if (failed == 0 || failed == EINVAL || failed == ENOTSUP) return {};
  return system_error("sync", folder, failed);
}

}  // namespace

Status sync_folder(const Path& folder) { return sync_with(folder, ::fsync); }
Status sync_file_system(const Path& folder) { return sync_with(folder, ::syncfs); }

Result<std::optional<AppendFile>> AppendFile::open(const Path& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor < 0) return system_error("write", path, errno);
  AppendFile file(path, descriptor);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error("lock", path, errno);
    return std::optional<AppendFile>();
  }
  struct stat info = {};
  if (::fstat(descriptor, &info) != 0) return system_error("read", path, errno);
  file.size_ = static_cast<uint64_t>(info.st_size);
  return std::optional<AppendFile>(std::move(file));
}

AppendFile::AppendFile(AppendFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_) {}

AppendFile& AppendFile::operator=(AppendFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  return *this;
}

AppendFile::~AppendFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Status AppendFile::cut(uint64_t size) {
  if (size >= size_) return {};
  if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0)
    return system_error("write", path_, errno);
  size_ = size;
  return {};
}

Status AppendFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error("write", path_, errno);
    size_ += static_cast<uint64_t>(written);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

Status AppendFile::sync() {
  if (::fsync(descriptor_) != 0) return system_error("write", path_, errno);
  return sync_folder(folder_of(path_));
}

}  // namespace ito
