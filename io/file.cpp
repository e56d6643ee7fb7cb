#include "io/file.h"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/platform.h"
#include "io/append_file.h"

namespace ito {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kTemporary = ".tmp";

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) platform::close_file(fd_);
  }
  int get() const { return fd_; }
  // Closes and reports: some file systems tell of a full disk only here.
  int close() { return platform::close_file(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

Error open_error(const Path& path, int error_number) {
  Error error = system_error("open", path, error_number);
  if (error_number == ENOENT || error_number == ENOTDIR) error.kind = ErrorKind::kNotFound;
  return error;
}

// Opens a regular file for reading; a folder or device is an error which says so.
Result<int> open_regular(const Path& path, uint64_t* size) {
  const auto no_file = [&](bool folder) {
    return io_error("cannot read {}: it is {}, expected a file", path.string(),
                    folder ? "a folder" : "not a regular file");
  };
  int fd = -1;
  if (const int error = platform::open_to_read(path, &fd); error != 0)
    return error == EISDIR ? no_file(true) : open_error(path, error);
  platform::FileState state;
  const int error = platform::state_of(fd, &state);
  if (error == 0 && state.is_file) {
    *size = state.size;
    return fd;
  }
  platform::close_file(fd);
  return error != 0 ? system_error("read", path, error) : no_file(state.is_folder);
}

// Fewer where the file ends before; the format's reader will say truncated.
Result<std::string> read_at_most(int fd, uint64_t most, const Path& path) {
  std::string bytes(most, '\0');
  for (size_t done = 0, n = 0; done < bytes.size(); done += n) {
    if (const int error = platform::read_some(fd, std::span(bytes).subspan(done), &n); error != 0)
      return system_error("read", path, error);
    if (n == 0) bytes.resize(done);
  }
  return bytes;
}

Status write_all(int fd, std::string_view bytes, const Path& path) {
  const int error = platform::write_all(fd, bytes);
  return error == 0 ? Status() : system_error("write", path, error);
}

Path parent_of(const Path& path) {
  Path parent = path.parent_path();
  return parent.empty() ? Path(".") : parent;
}

// "a/b/" and "a/b" name the same folder; without the slash, suffixes can be appended.
Path without_trailing_slash(const Path& path) {
  return path.has_filename() ? path : path.parent_path();
}

Path with_suffix(const Path& path, const char* suffix) {
  Path result = path;
  result += suffix;
  return result;
}

// Exchanges two folders in one step where the system can, else by three renames.
Status swap_folders(const Path& a, const Path& b) {
  const int error = platform::exchange_names(a, b);
  if (error == 0) return {};
  if (error != EINVAL && error != ENOSYS) return system_error("write", b, error);
  const Path aside = with_suffix(b, ".old");
  ITO_TRY(remove_tree(aside));
  ITO_TRY(rename_path(b, aside));
  ITO_TRY(rename_path(a, b));
  return rename_path(aside, a);
}

// What std::filesystem has to say, as POSIX numbers it.
int number_of(const std::error_code& error) { return error.default_error_condition().value(); }

// Whether there is something of that type, or the system does not say.
bool may_be(const Path& path, fs::file_type type) {
  std::error_code error;
  const fs::file_type found = fs::status(path, error).type();
  if (found != fs::file_type::none) return found == type;
  return error != std::errc::filename_too_long;  // nothing is called so
}

}  // namespace

Error system_error(std::string_view action, const Path& path, int error_number) {
  std::string reason = std::generic_category().message(error_number);
  if (platform::is_disk_full(error_number)) {
    std::error_code ignored;
    fs::space_info space = fs::space(parent_of(path), ignored);
    if (!ignored)
      reason += fmt::format(" ({:.1f} MB free)", static_cast<double>(space.available) / 1e6);
  }
  return io_error("cannot {} {}: {}", action, path.string(), reason);
}

Status read_pieces(const Path& path, const ByteSink& sink) {
  uint64_t size = 0;
  ITO_ASSIGN(int raw_fd, open_regular(path, &size));
  Descriptor fd(raw_fd);
  std::string piece(size_t{1} << 20, '\0');
  while (true) {
    size_t n = 0;
    if (const int error = platform::read_some(fd.get(), piece, &n); error != 0)
      return system_error("read", path, error);
    if (n == 0) return {};
    ITO_TRY(sink(std::string_view(piece).substr(0, n)));
  }
}

Result<std::string> read_file(const Path& path, uint64_t max_bytes) {
  uint64_t size = 0;
  ITO_ASSIGN(int raw_fd, open_regular(path, &size));
  Descriptor fd(raw_fd);
  if (size > max_bytes)
    return io_error("cannot read {}: it has {} bytes, at most {} expected", path.string(), size,
                    max_bytes);
  return read_at_most(fd.get(), size, path);
}

Result<std::string> read_head(const Path& path, size_t bytes) {
  uint64_t size = 0;
  ITO_ASSIGN(int raw_fd, open_regular(path, &size));
  Descriptor fd(raw_fd);
  return read_at_most(fd.get(), bytes, path);
}

Status write_file_atomic(const Path& path, const std::function<Status(const ByteSink&)>& produce) {
  // The process number keeps two writers of one path from sharing a temporary file.
  const Path temporary =
      with_suffix(path, fmt::format(".{}{}", platform::process_number(), kTemporary).c_str());
  int raw_fd = -1;
  if (const int error = platform::open_to_write(temporary, &raw_fd); error != 0)
    return system_error("write", path, error);
  Descriptor fd(raw_fd);
  auto write = [&]() -> Status {
    ITO_TRY(produce([&](std::string_view bytes) { return write_all(fd.get(), bytes, path); }));
    if (const int error = platform::sync_file(fd.get()); error != 0)
      return system_error("write", path, error);
    if (const int error = fd.close(); error != 0) return system_error("write", path, error);
    return rename_path(temporary, path);
  };
  Status status = write();
  if (!status.ok()) {
    if (fd.get() >= 0) fd.close();  // some systems remove no file that is open
    std::error_code ignored;
    fs::remove(temporary, ignored);
    return status;
  }
  return sync_folder(parent_of(path));
}

Status write_file_atomic(const Path& path, std::string_view bytes) {
  return write_file_atomic(path, [&](const ByteSink& sink) { return sink(bytes); });
}

Status write_folder_atomic(const Path& given_path, const std::function<Status(const Path&)>& fill) {
  const Path path = without_trailing_slash(given_path);
  const Path temporary = with_suffix(path, ".tmp");
  ITO_TRY(remove_tree(temporary));
  std::error_code error;
  fs::create_directory(temporary, error);
  if (error) return system_error("create folder", path, number_of(error));
  auto replace = [&]() -> Status {
    ITO_TRY(fill(temporary));
    ITO_TRY(sync_folder(temporary));
    if (!folder_exists(path)) return rename_path(temporary, path);
    return swap_folders(temporary, path);
  };
  Status status = replace();
  // Either the failed new folder or, after a swap, the replaced old one. Tidying up after a failure
  // is best effort: the first error is the one to tell.
  Status removed = remove_tree(temporary);
  if (!status.ok()) return status;
  ITO_TRY(removed);
  return sync_folder(parent_of(path));
}

Status make_folders(const Path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  // Some library versions report an error for "a/b/", which nevertheless exists afterwards.
  std::error_code unknown;
  if (fs::is_directory(path, unknown)) return {};
  if (error) return system_error("create folder", path, number_of(error));
  return io_error("cannot create folder {}: a file of that name exists", path.string());
}

Status remove_tree(const Path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return system_error("remove", path, number_of(error));
  return {};
}

Status rename_path(const Path& from, const Path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) return system_error("write", to, number_of(error));
  return {};
}

std::optional<std::string_view> temporary_stem(std::string_view name) {
  if (!name.ends_with(kTemporary)) return std::nullopt;
  name.remove_suffix(kTemporary.size());
  const size_t dot = name.find_last_not_of("0123456789");
  if (dot == std::string_view::npos || dot + 1 == name.size() || name[dot] != '.')
    return std::nullopt;
  return name.substr(0, dot);
}

Result<std::vector<std::string>> list_folder(const Path& path) {
  std::error_code error;
  fs::directory_iterator it(path, error), end;
  if (error) {
    Error result = system_error("list folder", path, number_of(error));
    if (error == std::errc::no_such_file_or_directory) result.kind = ErrorKind::kNotFound;
    return result;
  }
  std::vector<std::string> names;
  while (it != end) {
    names.push_back(it->path().filename().string());
    it.increment(error);
    if (error) return system_error("list folder", path, number_of(error));
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool file_exists(const Path& path) { return may_be(path, fs::file_type::regular); }

bool folder_exists(const Path& path) { return may_be(path, fs::file_type::directory); }

Status check_reachable(const Path& path) {
  std::error_code unknown;
  if (fs::status(path / ".", unknown).type() != fs::file_type::none) return {};
  return system_error("open", path, number_of(unknown));
}

bool is_special_file(const Path& path) {
  std::error_code unknown;
  return fs::is_other(path, unknown);
}

Result<MappedFile> MappedFile::open(const Path& path) {
  uint64_t size = 0;
  ITO_ASSIGN(int raw_fd, open_regular(path, &size));
  Descriptor fd(raw_fd);
  if (size == 0) return MappedFile(nullptr, 0);
  const char* data = nullptr;
  if (const int error = platform::map_file(fd.get(), size, &data); error != 0)
    return system_error("read", path, error);
  return MappedFile(data, size);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) platform::unmap_file(data_, size_);
}

}  // namespace ito
