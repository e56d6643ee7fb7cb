// platform.h on Linux, macOS and what else has POSIX.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>

#include "base/platform.h"

namespace ito::platform {
namespace {

int open_file(const Path& path, int flags, int* file) {
  *file = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  return *file < 0 ? errno : 0;
}

// What a system call that gives -1 on failure came to.
int outcome(int result) { return result == 0 ? 0 : errno; }

int with_folder(const Path& folder, int (*sync)(int)) {
  int file = -1;
  if (const int error = open_file(folder, O_RDONLY | O_DIRECTORY, &file); error != 0) return error;
  const int error = outcome(sync(file));
  ::close(file);
  return error;
}

double seconds_of(clockid_t clock) {
  timespec time = {};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

int open_to_read(const Path& path, int* file) {
  return open_file(path, O_RDONLY | O_NONBLOCK, file);
}

int open_to_write(const Path& path, int* file) {
  return open_file(path, O_WRONLY | O_CREAT | O_TRUNC, file);
}

int open_to_append(const Path& path, bool create, int* file) {
  return open_file(path, O_WRONLY | O_APPEND | (create ? O_CREAT : 0), file);
}

int open_to_share(const Path& path, int* file) { return open_file(path, O_RDWR | O_CREAT, file); }

int close_file(int file) { return outcome(::close(file)); }

int state_of(int file, FileState* state) {
  struct stat info = {};
  if (::fstat(file, &info) != 0) return errno;
  state->is_file = S_ISREG(info.st_mode);
  state->is_folder = S_ISDIR(info.st_mode);
  state->size = static_cast<uint64_t>(info.st_size);
  return 0;
}

int read_some(int file, std::span<char> bytes, size_t* done) {
  ssize_t n = 0;
  do {
    n = ::read(file, bytes.data(), bytes.size());
  } while (n < 0 && errno == EINTR);
  *done = static_cast<size_t>(std::max<ssize_t>(n, 0));
  return n < 0 ? errno : 0;
}

int read_beginning(int file, std::span<char> bytes, size_t* done) {
  const ssize_t n = ::pread(file, bytes.data(), bytes.size(), 0);
  *done = static_cast<size_t>(std::max<ssize_t>(n, 0));
  return n < 0 ? errno : 0;
}

int write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file, bytes.data(), std::min<size_t>(bytes.size(), size_t{1} << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

bool is_disk_full(int error) { return error == ENOSPC || error == EDQUOT; }

int cut_file(int file, uint64_t size) {
  return outcome(::ftruncate(file, static_cast<off_t>(size)));
}

int sync_file(int file) { return outcome(::fsync(file)); }

int lock_file(int file, bool* taken) {
  *taken = ::flock(file, LOCK_EX | LOCK_NB) == 0;
  return *taken || errno == EWOULDBLOCK ? 0 : errno;
}

int map_file(int file, size_t size, const char** bytes) {
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  if (data == MAP_FAILED) return errno;
  *bytes = static_cast<const char*>(data);
  return 0;
}

void unmap_file(const char* bytes, size_t size) { ::munmap(const_cast<char*>(bytes), size); }

int sync_folder(const Path& folder) { return with_folder(folder, ::fsync); }

int sync_file_system(const Path& folder) {
#if defined(__linux__)
  return with_folder(folder, ::syncfs);
#else
  static_cast<void>(folder);
  ::sync();
  return 0;
#endif
}

int exchange_names(const Path& a, const Path& b) {
#if defined(RENAME_EXCHANGE)
  return outcome(::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE));
#elif defined(RENAME_SWAP)
  return outcome(::renamex_np(a.c_str(), b.c_str(), RENAME_SWAP));
#else
  static_cast<void>(a);
  static_cast<void>(b);
  return ENOSYS;
#endif
}

std::shared_ptr<void> open_library(const std::string& name, std::string* reason) {
  if (void* library = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL); library != nullptr)
    return {library, [](void* handle) { ::dlclose(handle); }};
  const char* text = ::dlerror();
  *reason = text == nullptr ? "unknown reason" : text;
  return nullptr;
}

void* find_function(void* library, const char* name) { return ::dlsym(library, name); }

std::span<const char* const> vulkan_loaders() {
#if defined(__APPLE__)
  // The loader of a Vulkan SDK, or MoltenVK itself, which a program may bring along without one.
  static constexpr const char* kNames[] = {"libvulkan.1.dylib", "libvulkan.dylib",
                                           "libMoltenVK.dylib"};
#else
  static constexpr const char* kNames[] = {"libvulkan.so.1", "libvulkan.so"};
#endif
  return kNames;
}

double thread_seconds() { return seconds_of(CLOCK_THREAD_CPUTIME_ID); }
double process_seconds() { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }

int64_t process_number() { return ::getpid(); }

uint64_t memory_bytes() {
  const long pages = ::sysconf(_SC_PHYS_PAGES), page = ::sysconf(_SC_PAGE_SIZE);
  return pages < 0 || page < 0 ? 0 : static_cast<uint64_t>(pages) * static_cast<uint64_t>(page);
}

bool error_output_is_terminal() { return ::isatty(STDERR_FILENO) != 0; }

void on_interruption(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
  for (const int number : {SIGINT, SIGTERM}) ::sigaction(number, &action, nullptr);
}

int become_program(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  ::execvp(pointers[0], pointers.data());
  return errno;
}

}  // namespace ito::platform
