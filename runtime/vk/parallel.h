// parallel_for: runs a function for each index on a few threads and waits. For work of milliseconds
// (compiling shaders); not for loops over numbers, and not a pool that lives on.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace ito::vk {

// Calls body(i) for i in [0, count), each once, on at most `threads` threads (the caller's
// included). The body must be safe to call from several threads.
template <typename Body>
void parallel_for(size_t count, size_t threads, Body&& body) {
  std::atomic<size_t> next{0};
  auto work = [&] {
    for (size_t i = next++; i < count; i = next++) body(i);
  };
  std::vector<std::thread> helpers;
  for (size_t i = 1; i < std::min(threads, count); ++i) helpers.emplace_back(work);
  work();
  for (std::thread& helper : helpers) helper.join();
}

}  // namespace ito::vk
