#include "tests/embed/support/lock_witness.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <cstring>

#include "include/ito/ito.h"

namespace ito::test {
namespace {

struct Held {
  int count = 0;
  uint64_t taken = 0;
  double longest_us = 0;
  std::chrono::steady_clock::time_point since;
};
thread_local Held of_this_thread;

#if !defined(__SANITIZE_THREAD__)
std::atomic<uintptr_t> library_begin = 0, library_end = 0;

// The part of the address space that holds the library's code.
int find_library(dl_phdr_info* info, size_t, void* symbol) {
  const auto wanted = reinterpret_cast<uintptr_t>(symbol);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& header = info->dlpi_phdr[i];
    const uintptr_t begin = info->dlpi_addr + header.p_vaddr;
    if (header.p_type != PT_LOAD || (header.p_flags & PF_X) == 0) continue;
    if (wanted < begin || wanted >= begin + header.p_memsz) continue;
    library_begin = begin;
    library_end = begin + header.p_memsz;
    return 1;
  }
  return 0;
}

bool in_library(void* caller) {
  const auto at = reinterpret_cast<uintptr_t>(caller);
  return at >= library_begin && at < library_end;
}
#endif

}  // namespace

int LockWitness::held() { return of_this_thread.count; }
uint64_t LockWitness::taken() { return of_this_thread.taken; }
double LockWitness::longest_us() { return of_this_thread.longest_us; }
void LockWitness::reset() {
  of_this_thread.taken = 0;
  of_this_thread.longest_us = 0;
#if !defined(__SANITIZE_THREAD__)
  void* library = dlopen("libito.so.0", RTLD_NOW | RTLD_NOLOAD);
  if (library == nullptr) return;
  dl_iterate_phdr(find_library, dlsym(library, "ito_get_api"));
  dlclose(library);
#endif
}

}  // namespace ito::test

#if !defined(__SANITIZE_THREAD__)
extern "C" {

int pthread_mutex_lock(pthread_mutex_t* mutex) {
  using Function = int (*)(pthread_mutex_t*);
  static std::atomic<Function> real = nullptr;
  Function function = real;
  if (function == nullptr)
    real = function = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "pthread_mutex_lock"));
  const int result = function(mutex);
  if (ito::test::in_library(__builtin_return_address(0))) {
    auto& held = ito::test::of_this_thread;
    ++held.taken;
    if (held.count++ == 0) held.since = std::chrono::steady_clock::now();
  }
  return result;
}

int pthread_mutex_unlock(pthread_mutex_t* mutex) {
  using Function = int (*)(pthread_mutex_t*);
  static std::atomic<Function> real = nullptr;
  Function function = real;
  if (function == nullptr)
    real = function = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "pthread_mutex_unlock"));
  if (ito::test::in_library(__builtin_return_address(0))) {
    auto& held = ito::test::of_this_thread;
    const std::chrono::duration<double, std::micro> us =
        std::chrono::steady_clock::now() - held.since;
    if (--held.count == 0 && us.count() > held.longest_us) held.longest_us = us.count();
  }
  return function(mutex);
}

}  // extern "C"
#endif
