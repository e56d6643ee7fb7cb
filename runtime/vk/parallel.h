// parallel_for: runs a function for each index on a few threads and waits. For work of milliseconds
// (compiling shaders); not for loops over numbers, and not a pool that lives on.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"

namespace ito::vk {

// Calls job(i) for i in [0, count), each once, on threads of its choice, and returns when all calls
// have. The job neither throws nor waits for another.
using RunJobs = std::function<void(size_t count, const std::function<void(size_t)>& job)>;

// Calls body(i) for i in [0, count), each once, by `run`, or where that is empty on at most
// `threads` threads (the caller's included). The body must be safe to call from several threads.
// What it throws is thrown here, and a CHECK that fails in it fails here.
template <typename Body>
void parallel_for(size_t count, size_t threads, const RunJobs& run, Body&& body) {
  std::mutex mutex;
  std::exception_ptr thrown;
  std::string failed;
  const auto one = [&](size_t i) {
    const CheckTrap trap;
    try {
      body(i);
    } catch (const CheckFailure& failure) {
      const std::lock_guard lock(mutex);
      failed = failure.message;
    } catch (...) {
      const std::lock_guard lock(mutex);
      thrown = std::current_exception();
    }
  };
  if (run) {
    run(count, one);
  } else {
    std::atomic<size_t> next{0};
    const auto work = [&] {
      for (size_t i = next++; i < count; i = next++) one(i);
    };
    std::vector<std::thread> helpers;
    for (size_t i = 1; i < std::min(threads, count); ++i) helpers.emplace_back(work);
    work();
    for (std::thread& helper : helpers) helper.join();
  }
  CHECK(failed.empty(), failed);
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace ito::vk
