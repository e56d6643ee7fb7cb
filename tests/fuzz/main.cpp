// A libFuzzer harness for every reader of files from outside, in one program:
//   ito_fuzz --list                       the readers' names
//   ito_fuzz READER [libFuzzer's options and folders or files]
// Beside what the sanitizers see, a reader must not hold more memory at any time than twice its
// input and 64 MiB, whatever that declares, and an error has to name what was read.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "tests/fuzz/reader.h"

extern "C" {
// Of the sanitizers' runtime and of libFuzzer, which have no headers for them in every version.
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*, size_t),
                                              void (*on_free)(const volatile void*));
size_t __sanitizer_get_allocated_size(const volatile void*);
int LLVMFuzzerRunDriver(int* argc, char*** argv, int (*run)(const uint8_t* data, size_t size));
size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t room);
}

namespace ito::fuzz {
namespace {

constexpr int64_t kFreeBytes = int64_t{64} << 20;

const Reader* g_reader = nullptr;
std::atomic<int64_t> g_held = 0, g_most = 0;

void on_malloc(const volatile void*, size_t size) {
  const int64_t held = g_held += static_cast<int64_t>(size);
  if (held > g_most) g_most = held;
}
void on_free(const volatile void* memory) {
  if (memory != nullptr) g_held -= static_cast<int64_t>(__sanitizer_get_allocated_size(memory));
}

int run(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const int64_t before = g_held;
  g_most = before;
  const Status status = g_reader->read(bytes);
  const int64_t most = g_most - before;
  if (most > 2 * static_cast<int64_t>(size) + kFreeBytes) {
    std::fprintf(stderr, "%s: %lld bytes of memory for an input of %zu\n", g_reader->name,
                 static_cast<long long>(most), size);
    std::abort();
  }
  if (!status.ok() && status.error().message.find(kWhere) == std::string::npos) {
    std::fprintf(stderr, "%s: an error that does not name what was read: %s\n", g_reader->name,
                 status.error().message.c_str());
    std::abort();
  }
  return 0;
}

}  // namespace
}  // namespace ito::fuzz

// libFuzzer's own mutation; every second time with lengths and checksums made right again.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t room, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, room);
  if (ito::fuzz::g_reader->repair == nullptr || std::minstd_rand(seed)() % 2 == 0) return size;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  ito::fuzz::g_reader->repair(bytes);
  std::memcpy(data, bytes.data(), size);
  return size;
}

int main(int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  for (const ito::fuzz::Reader& reader : ito::fuzz::readers()) {
    if (name == "--list") std::puts(reader.name);
    if (name == reader.name) ito::fuzz::g_reader = &reader;
  }
  if (name == "--list") return 0;
  if (ito::fuzz::g_reader == nullptr) {
    std::fprintf(stderr, "usage: %s READER [options of libFuzzer]; --list prints the readers\n",
                 argv[0]);
    return 2;
  }
  argv[1] = argv[0];
  ++argv;
  --argc;
  __sanitizer_install_malloc_and_free_hooks(ito::fuzz::on_malloc, ito::fuzz::on_free);
  return LLVMFuzzerRunDriver(&argc, &argv, ito::fuzz::run);
}
