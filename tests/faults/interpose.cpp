// libito_interpose.so, for LD_PRELOAD: lets the Nth write, fsync, rename or creation of a file, or
// the Nth large allocation of a program fail, once or for ever, and counts them. By environment:
//   ITO_INTERPOSE_PROGRAM  the program's name; others that start with the library do as ever
//   ITO_INTERPOSE_FAIL     KIND:N:ERROR or KIND:N:ERROR:ever; KIND of kKinds, ERROR of kErrors
//   ITO_INTERPOSE_COUNT    a file, which gets a line "KIND CALLS FAILED" each when the program ends
//   ITO_INTERPOSE_BYTES    from how many bytes on an allocation is large (1048576)
// Files are regular ones outside of Mesa's shader cache; allocations are those that neither the
// driver nor the loader makes. Not for what a program does then (failure_points.py).
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
}

namespace {

enum Kind { kWrite, kSync, kRename, kCreate, kAllocate, kKindCount };
constexpr const char* kKinds[] = {"write", "fsync", "rename", "create", "allocate"};

struct NamedError {
  const char* name;
  int number;
};
constexpr NamedError kErrors[] = {
    {"ENOSPC", ENOSPC}, {"EIO", EIO}, {"ENOMEM", ENOMEM}, {"EROFS", EROFS}, {"EDQUOT", EDQUOT}};

struct Rule {
  int kind = kKindCount;
  uint64_t nth = 0;
  int error = 0;
  bool for_ever = false;
};

// Plain memory, as calls come before any constructor has run.
bool g_active = false;
Rule g_rule;
size_t g_large = size_t{1} << 20;
char g_count_file[4096] = "";
std::atomic<uint64_t> g_calls[kKindCount], g_failed[kKindCount];
thread_local bool t_inside = false;  // what this library itself calls is not counted

class Inside {
 public:
  Inside() : before_(t_inside) { t_inside = true; }
  ~Inside() { t_inside = before_; }

 private:
  bool before_;
};

// Counts a call; sets errno and gives true where it is to fail.
bool fails(Kind kind) {
  const uint64_t n = ++g_calls[kind];
  if (g_rule.kind != kind || (n != g_rule.nth && !(g_rule.for_ever && n > g_rule.nth)))
    return false;
  ++g_failed[kind];
  errno = g_rule.error;
  return true;
}

bool is_of_driver(const char* path) { return std::strstr(path, "mesa_shader_cache") != nullptr; }

bool is_counted_file(int fd) {
  if (!g_active || t_inside) return false;
  const Inside inside;
  const int error = errno;
  struct stat info;
  bool counted = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  if (counted) {
    char link[64], path[4096];
    std::snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(link, path, sizeof(path) - 1);
    if (n > 0) path[n] = '\0';
    counted = n > 0 && !is_of_driver(path);
  }
  errno = error;
  return counted;
}

bool is_counted_path(const char* path) { return g_active && !t_inside && !is_of_driver(path); }

bool names_library(const char* file, const char* part) {
  const char* name = std::strrchr(file, '/');
  return std::strstr(name == nullptr ? file : name, part) != nullptr;
}

// Whose allocation it is: that of the innermost caller outside of the C and C++ libraries.
bool is_counted_allocation(size_t bytes) {
  if (!g_active || t_inside || bytes < g_large) return false;
  const Inside inside;
  void* frames[48];
  const int count = backtrace(frames, 48);
  for (int i = 1; i < count; ++i) {
    Dl_info info;
    if (dladdr(frames[i], &info) == 0 || info.dli_fname == nullptr) continue;
    const char* file = info.dli_fname;
    bool passes_on = false;
    for (const char* part : {"libito_interpose", "libc.so", "libstdc++", "libgcc_s", "ld-linux"})
      passes_on = passes_on || names_library(file, part);
    if (passes_on) continue;
    for (const char* part : {"libvulkan", "libLLVM", "libVkLayer", "libgallium", "libdrm"})
      if (names_library(file, part)) return false;
    return true;
  }
  return false;
}

bool fails_allocation(size_t bytes) { return is_counted_allocation(bytes) && fails(kAllocate); }

template <typename Function>
Function next(const char* name) {
  const Inside inside;
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

[[noreturn]] void refuse(const char* what) {
  std::fprintf(stderr, "libito_interpose: %s\n", what);
  std::_Exit(99);
}

void read_rule(const char* text) {
  char kind[16] = "", error[16] = "", ever[8] = "";
  unsigned long long n = 0;
  const int found = std::sscanf(text, "%15[a-z]:%llu:%15[A-Z]:%7s", kind, &n, error, ever);
  for (int i = 0; i < kKindCount; ++i)
    if (std::strcmp(kKinds[i], kind) == 0) g_rule.kind = i;
  for (const NamedError& row : kErrors)
    if (std::strcmp(row.name, error) == 0) g_rule.error = row.number;
  g_rule.nth = n;
  g_rule.for_ever = std::strcmp(ever, "ever") == 0;
  if (found < 3 || (found == 4 && !g_rule.for_ever) || n == 0 || g_rule.kind == kKindCount ||
      g_rule.error == 0)
    refuse("ITO_INTERPOSE_FAIL is not KIND:N:ERROR or KIND:N:ERROR:ever");
}

[[gnu::constructor]] void begin() {
  const char* program = std::getenv("ITO_INTERPOSE_PROGRAM");
  if (program == nullptr || std::strcmp(program, program_invocation_short_name) != 0) return;
  if (const char* bytes = std::getenv("ITO_INTERPOSE_BYTES"))
    g_large = std::strtoull(bytes, nullptr, 10);
  if (const char* rule = std::getenv("ITO_INTERPOSE_FAIL"); rule != nullptr && *rule != '\0')
    read_rule(rule);
  if (const char* file = std::getenv("ITO_INTERPOSE_COUNT"))
    std::snprintf(g_count_file, sizeof(g_count_file), "%s", file);
  void* frames[2];
  backtrace(frames, 2);  // loads what it needs
  g_active = true;
}

[[gnu::destructor]] void end() {
  if (!g_active || g_count_file[0] == '\0') return;
  const Inside inside;
  std::FILE* file = std::fopen(g_count_file, "we");
  if (file == nullptr) return;
  for (int i = 0; i < kKindCount; ++i)
    std::fprintf(file, "%s %llu %llu\n", kKinds[i], static_cast<unsigned long long>(g_calls[i]),
                 static_cast<unsigned long long>(g_failed[i]));
  std::fclose(file);
}

}  // namespace

// The library's calls by their names in C.
extern "C" {

ssize_t write(int fd, const void* bytes, size_t count) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t)>("write");
  if (is_counted_file(fd) && fails(kWrite)) return -1;
  return real(fd, bytes, count);
}

ssize_t pwrite(int fd, const void* bytes, size_t count, off_t at) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  if (is_counted_file(fd) && fails(kWrite)) return -1;
  return real(fd, bytes, count, at);
}

ssize_t writev(int fd, const iovec* pieces, int count) {
  static const auto real = next<ssize_t (*)(int, const iovec*, int)>("writev");
  if (is_counted_file(fd) && fails(kWrite)) return -1;
  return real(fd, pieces, count);
}

int fsync(int fd) {
  static const auto real = next<int (*)(int)>("fsync");
  if (g_active && !t_inside && fails(kSync)) return -1;
  return real(fd);
}

int fdatasync(int fd) {
  static const auto real = next<int (*)(int)>("fdatasync");
  if (g_active && !t_inside && fails(kSync)) return -1;
  return real(fd);
}

int rename(const char* from, const char* to) noexcept {
  static const auto real = next<int (*)(const char*, const char*)>("rename");
  if (is_counted_path(to) && fails(kRename)) return -1;
  return real(from, to);
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to,
              unsigned int flags) noexcept {
  static const auto real =
      next<int (*)(int, const char*, int, const char*, unsigned int)>("renameat2");
  if (is_counted_path(to) && fails(kRename)) return -1;
  return real(from_folder, from, to_folder, to, flags);
}

int mkdir(const char* path, mode_t mode) noexcept {
  static const auto real = next<int (*)(const char*, mode_t)>("mkdir");
  if (is_counted_path(path) && fails(kCreate)) return -1;
  return real(path, mode);
}

#define OPEN(name)                                                                    \
  int name(const char* path, int flags, ...) {                                        \
    static const auto real = next<int (*)(const char*, int, mode_t)>(#name);          \
    va_list arguments;                                                                \
    va_start(arguments, flags);                                                       \
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;       \
    va_end(arguments);                                                                \
    if ((flags & O_CREAT) != 0 && is_counted_path(path) && fails(kCreate)) return -1; \
    return real(path, flags, mode);                                                   \
  }
OPEN(open)
OPEN(open64)

void* malloc(size_t bytes) noexcept {
  if (fails_allocation(bytes)) return nullptr;
  return __libc_malloc(bytes);
}

void* calloc(size_t count, size_t size) noexcept {
  if (fails_allocation(count * size)) return nullptr;
  return __libc_calloc(count, size);
}

void* realloc(void* old, size_t bytes) noexcept {
  if (fails_allocation(bytes)) return nullptr;
  return __libc_realloc(old, bytes);
}

void* memalign(size_t alignment, size_t bytes) noexcept {
  if (fails_allocation(bytes)) return nullptr;
  return __libc_memalign(alignment, bytes);
}

void* aligned_alloc(size_t alignment, size_t bytes) noexcept {
  if (fails_allocation(bytes)) return nullptr;
  return __libc_memalign(alignment, bytes);
}

int posix_memalign(void** out, size_t alignment, size_t bytes) noexcept {
  if (fails_allocation(bytes)) return ENOMEM;
  void* const memory = __libc_memalign(alignment, bytes);
  if (memory == nullptr) return ENOMEM;
  *out = memory;
  return 0;
}

void* mmap(void* at, size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
  static const auto real = next<void* (*)(void*, size_t, int, int, int, off_t)>("mmap");
  if (fails_allocation(bytes)) return MAP_FAILED;
  return real(at, bytes, protection, flags, fd, offset);
}

}  // extern "C"
