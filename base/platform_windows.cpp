// platform.h on Windows. Files are those of its C library, whose numbers of errors are POSIX's.
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX  // g++'s own configuration for Windows may have it
#define NOMINMAX
#endif
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <share.h>
#include <sys/stat.h>
#include <windows.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "base/platform.h"

namespace ito::platform {
namespace {

int open_file(const Path& path, int flags, int* file) {
  return ::_wsopen_s(file, path.c_str(), flags | _O_BINARY | _O_NOINHERIT, _SH_DENYNO,
                     _S_IREAD | _S_IWRITE);
}

int outcome(int result) { return result == 0 ? 0 : errno; }

HANDLE handle_of(int file) { return reinterpret_cast<HANDLE>(::_get_osfhandle(file)); }

// The number that POSIX has for what went wrong.
int error_number(DWORD error) {
  switch (error) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_MOD_NOT_FOUND:
      return ENOENT;
    case ERROR_ACCESS_DENIED:
    case ERROR_SHARING_VIOLATION:
      return EACCES;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
    case ERROR_COMMITMENT_LIMIT:
      return ENOMEM;
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL:
      return ENOSPC;
    default:
      return EIO;
  }
}

std::string text_of(DWORD error) {
  char text[256] = {};
  const DWORD size =
      ::FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, nullptr, error,
                       0, text, static_cast<DWORD>(sizeof text), nullptr);
  std::string result(text, size);
  while (!result.empty() && (result.back() == '\n' || result.back() == '\r')) result.pop_back();
  return result.empty() ? "error " + std::to_string(error) : result;
}

// Locks of Windows keep others from reading what they cover; this byte lies behind every content.
OVERLAPPED lock_place() {
  OVERLAPPED place = {};
  place.Offset = 0xffffffff;
  place.OffsetHigh = 0x7fffffff;
  return place;
}

// A word of a command line as the C library of the new program takes it apart: in quotes, with
// backslashes before quotes doubled.
std::string quoted(const std::string& word) {
  if (!word.empty() && word.find_first_of(" \t\n\v\"") == std::string::npos) return word;
  std::string result = "\"";
  size_t backslashes = 0;
  for (const char c : word) {
    if (c == '"') result.append(backslashes + 1, '\\');
    backslashes = c == '\\' ? backslashes + 1 : 0;
    result.push_back(c);
  }
  return result.append(backslashes, '\\') + '"';
}

// In the kernel and outside, which are told in units of 100 ns.
template <class Times>
double seconds_of(Times times, HANDLE whose) {
  FILETIME begun = {}, ended = {}, kernel = {}, user = {};
  if (times(whose, &begun, &ended, &kernel, &user) == 0) return 0;
  const auto seconds = [](const FILETIME& time) {
    return 1e-7 * (4294967296.0 * time.dwHighDateTime + time.dwLowDateTime);
  };
  return seconds(kernel) + seconds(user);
}

}  // namespace

int open_to_read(const Path& path, int* file) {
  // The C library refuses folders as if they were forbidden.
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return EISDIR;
  return open_file(path, _O_RDONLY, file);
}

int open_to_write(const Path& path, int* file) {
  return open_file(path, _O_WRONLY | _O_CREAT | _O_TRUNC, file);
}

int open_to_append(const Path& path, bool create, int* file) {
  return open_file(path, _O_WRONLY | _O_APPEND | (create ? _O_CREAT : 0), file);
}

int open_to_share(const Path& path, int* file) { return open_file(path, _O_RDWR | _O_CREAT, file); }

int close_file(int file) { return outcome(::_close(file)); }

int state_of(int file, FileState* state) {
  struct _stat64 info = {};
  if (::_fstat64(file, &info) != 0) return errno;
  state->is_file = (info.st_mode & _S_IFMT) == _S_IFREG;
  state->is_folder = (info.st_mode & _S_IFMT) == _S_IFDIR;
  state->size = static_cast<uint64_t>(info.st_size);
  return 0;
}

int read_some(int file, std::span<char> bytes, size_t* done) {
  const auto size = static_cast<unsigned>(std::min<size_t>(bytes.size(), size_t{1} << 30));
  const int n = ::_read(file, bytes.data(), size);
  *done = static_cast<size_t>(std::max(n, 0));
  return n < 0 ? errno : 0;
}

int read_beginning(int file, std::span<char> bytes, size_t* done) {
  *done = 0;
  if (::_lseeki64(file, 0, SEEK_SET) != 0) return errno;
  return read_some(file, bytes, done);
}

int write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto size = static_cast<unsigned>(std::min<size_t>(bytes.size(), size_t{1} << 30));
    const int n = ::_write(file, bytes.data(), size);
    if (n < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

bool is_disk_full(int error) { return error == ENOSPC; }

int cut_file(int file, uint64_t size) {
  if (const int error = ::_chsize_s(file, static_cast<__int64>(size)); error != 0) return error;
  return ::_lseeki64(file, 0, SEEK_END) < 0 ? errno : 0;
}

int sync_file(int file) { return outcome(::_commit(file)); }

int lock_file(int file, bool* taken) {
  OVERLAPPED place = lock_place();
  *taken = ::LockFileEx(handle_of(file), LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1,
                        0, &place) != 0;
  if (*taken) return 0;
  const DWORD error = ::GetLastError();
  return error == ERROR_LOCK_VIOLATION || error == ERROR_IO_PENDING ? 0 : error_number(error);
}

int map_file(int file, size_t size, const char** bytes) {
  const HANDLE mapping =
      ::CreateFileMappingW(handle_of(file), nullptr, PAGE_READONLY, 0, 0, nullptr);
  if (mapping == nullptr) return error_number(::GetLastError());
  const void* data = ::MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, size);
  const DWORD error = ::GetLastError();
  ::CloseHandle(mapping);  // the view keeps it
  if (data == nullptr) return error_number(error);
  *bytes = static_cast<const char*>(data);
  return 0;
}

void unmap_file(const char* bytes, size_t) { ::UnmapViewOfFile(bytes); }

// NTFS writes names to its journal; a program without rights of its own can ask for no more.
int sync_folder(const Path&) { return ENOTSUP; }
int sync_file_system(const Path&) { return ENOTSUP; }
int exchange_names(const Path&, const Path&) { return ENOSYS; }

std::shared_ptr<void> open_library(const std::string& name, std::string* reason) {
  if (const HMODULE library = ::LoadLibraryA(name.c_str()); library != nullptr)
    return {static_cast<void*>(library),
            [](void* handle) { ::FreeLibrary(static_cast<HMODULE>(handle)); }};
  *reason = text_of(::GetLastError());
  return nullptr;
}

void* keep_library(const std::string& name, std::string* reason) {
  const HMODULE library = ::LoadLibraryA(name.c_str());
  if (library == nullptr) *reason = text_of(::GetLastError());
  return static_cast<void*>(library);
}

void* find_function(void* library, const char* name) {
  return reinterpret_cast<void*>(::GetProcAddress(static_cast<HMODULE>(library), name));
}

std::span<const char* const> vulkan_loaders() {
  static constexpr const char* kNames[] = {"vulkan-1.dll"};
  return kNames;
}

double thread_seconds() { return seconds_of(::GetThreadTimes, ::GetCurrentThread()); }
double process_seconds() { return seconds_of(::GetProcessTimes, ::GetCurrentProcess()); }

int64_t process_number() { return ::_getpid(); }

bool process_exists(int64_t number) {
  const HANDLE process = ::OpenProcess(SYNCHRONIZE, FALSE, static_cast<DWORD>(number));
  if (process == nullptr) return ::GetLastError() != ERROR_INVALID_PARAMETER;
  const bool runs = ::WaitForSingleObject(process, 0) == WAIT_TIMEOUT;
  ::CloseHandle(process);
  return runs;
}

std::string host_name() {
  char name[MAX_COMPUTERNAME_LENGTH + 1] = {};
  DWORD size = sizeof name;
  return ::GetComputerNameA(name, &size) != 0 ? name : "";
}

uint64_t memory_bytes() {
  MEMORYSTATUSEX status = {};
  status.dwLength = sizeof status;
  return ::GlobalMemoryStatusEx(&status) != 0 ? status.ullTotalPhys : 0;
}

bool error_output_is_terminal() { return ::_isatty(::_fileno(stderr)) != 0; }

// Its C library takes the handler away before it calls it.
void on_interruption(void (*handler)(int)) {
  for (const int number : {SIGINT, SIGTERM}) std::signal(number, handler);
}

// There is no way to become another program: it is started, waited for, and its result is this
// one's.
int become_program(const std::vector<std::string>& words) {
  std::vector<std::string> arguments;
  for (const std::string& word : words) arguments.push_back(quoted(word));
  std::vector<const char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
  pointers.push_back(nullptr);
  const intptr_t result = ::_spawnvp(_P_WAIT, words[0].c_str(), pointers.data());
  if (result < 0) return errno;
  std::exit(static_cast<int>(result));
}

}  // namespace ito::platform
