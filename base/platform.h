// What Ito asks of the operating system beyond standard C++: files by descriptor, locks, mappings,
// libraries opened at run time, processes. One source file per system, platform_posix.cpp and
// platform_windows.cpp, is the only place where a function of the system or of its C library is
// called (the test `layering` looks). Not for messages (io/file.h makes them) and not for what
// std::filesystem and streams do.
//
// Functions that give an int give an error number, as errno has them, and 0 where all is well.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ito::platform {

using Path = std::filesystem::path;

// ---- open files, by the C library's number; -1: none. No child process inherits one.

// Never waits: a FIFO that nobody writes to is opened.
int open_to_read(const Path& path, int* file);
// Empty, whether there was one or not.
int open_to_write(const Path& path, int* file);
// Every write goes to its end. One that is not there is made where `create` says so.
int open_to_append(const Path& path, bool create, int* file);
// To read and to write, made where it is not there, its content kept.
int open_to_share(const Path& path, int* file);
// Some file systems tell of a full disk only here.
int close_file(int file);

struct FileState {
  bool is_file = false, is_folder = false;  // neither: a device, a FIFO, a socket
  uint64_t size = 0;
};
int state_of(int file, FileState* state);

// Up to `bytes.size()` from where the last one ended; *done is 0 at the end of the file.
int read_some(int file, std::span<char> bytes, size_t* done);
// The same from the beginning, and of a file that was opened to share.
int read_beginning(int file, std::span<char> bytes, size_t* done);
// All of them. After an error some may be in the file.
int write_all(int file, std::string_view bytes);
// Whether that number says so, of the disk or of the user's share of it.
bool is_disk_full(int error);
// Drops what lies behind the first `size` bytes; writing goes on there.
int cut_file(int file, uint64_t size);
// On the disk when it returns.
int sync_file(int file);
// Takes the file's lock, which goes with the last descriptor or the process, or says that another
// has it.
int lock_file(int file, bool* taken);

// A file's first `size` bytes, more than none, to read; they stay when the file is closed.
int map_file(int file, size_t size, const char** bytes);
void unmap_file(const char* bytes, size_t size);

// ---- folders

// The names in a folder, or all that was written to its file system, are on the disk when these
// return. ENOTSUP: the system has no such call.
int sync_folder(const Path& folder);
int sync_file_system(const Path& folder);
// Exchanges two names in one step. ENOSYS, EINVAL: neither the system nor the file system can.
int exchange_names(const Path& a, const Path& b);

// ---- libraries

// A library of code, closed with the last copy; null and `reason` where there is none of that name.
std::shared_ptr<void> open_library(const std::string& name, std::string* reason);
// The address of a function; null where the library has none of that name.
void* find_function(void* library, const char* name);
// What the Vulkan loader is called, the likeliest name first.
std::span<const char* const> vulkan_loaders();

// ---- the process and the machine

int64_t process_number();
// Time of processors that this thread, and that all threads of the process, have used.
double thread_seconds();
double process_seconds();
// Of the machine, not of a container in it; 0: not known.
uint64_t memory_bytes();
// Whether somebody looks at what is written to standard error.
bool error_output_is_terminal();
// Calls `handler`, which may do what a signal handler may, when the user asks the process to stop,
// the first time; the second ends it.
void on_interruption(void (*handler)(int));
// Becomes another program; gives only an error. words[0] is its name or path.
int become_program(const std::vector<std::string>& words);

}  // namespace ito::platform
