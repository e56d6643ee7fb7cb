#include "io/append_file.h"

#include <cerrno>

#include "base/platform.h"

namespace ito {
namespace {

Path folder_of(const Path& path) {
  const Path parent = path.parent_path();
  return parent.empty() ? Path(".") : parent;
}

Status synced(const Path& folder, int error) {
  if (error == 0 || error == EINVAL || error == ENOTSUP) return {};
  return system_error("sync", folder, error);
}

}  // namespace

Status sync_folder(const Path& folder) { return synced(folder, platform::sync_folder(folder)); }
Status sync_file_system(const Path& folder) {
  return synced(folder, platform::sync_file_system(folder));
}

Result<std::optional<AppendFile>> AppendFile::open(const Path& path) {
  int descriptor = -1;
  if (const int error = platform::open_to_append(path, true, &descriptor); error != 0)
    return system_error("write", path, error);
  AppendFile file(path, descriptor);
  bool taken = false;
  if (const int error = platform::lock_file(descriptor, &taken); error != 0)
    return system_error("lock", path, error);
  if (!taken) return std::optional<AppendFile>();
  platform::FileState state;
  if (const int error = platform::state_of(descriptor, &state); error != 0)
    return system_error("read", path, error);
  file.size_ = state.size;
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
  if (descriptor_ >= 0) platform::close_file(descriptor_);
}

Status AppendFile::cut(uint64_t size) {
  if (size >= size_) return {};
  if (const int error = platform::cut_file(descriptor_, size); error != 0)
    return system_error("write", path_, error);
  size_ = size;
  return {};
}

Status AppendFile::append(std::string_view bytes) {
  if (const int error = platform::write_all(descriptor_, bytes); error != 0) {
    // Some of it may be there, and is to be cut.
    platform::FileState state;
    if (platform::state_of(descriptor_, &state) == 0) size_ = state.size;
    return system_error("write", path_, error);
  }
  size_ += bytes.size();
  return {};
}

Status AppendFile::sync() {
  if (const int error = platform::sync_file(descriptor_); error != 0)
    return system_error("write", path_, error);
  return sync_folder(folder_of(path_));
}

}  // namespace ito
