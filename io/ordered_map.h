// ordered_map: work on a list in several threads whose results are wanted in the list's order, with
// few of them waiting at a time: files to be read and decoded. Not for work that needs no order.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/attempt.h"
#include "base/result.h"

namespace ito {

// Threads for work of which the caller's thread does none: one a processor, at least one.
inline int worker_threads() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// Calls make(i) for i in [0, count) in `threads` threads, and take(i, its result) in this one, in
// order. At most 4 results a thread are made and not yet taken. Stops at the first error, of make
// (that of the least i) or of take, which is the result.
template <typename T>
Status ordered_map(int64_t count, int threads, const std::function<Result<T>(int64_t)>& make,
                   const std::function<Status(int64_t, T)>& take) {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<int64_t, Result<T>> made;
  int64_t next = 0, taken = 0;
  bool stop = false;
  const int64_t most = 4 * static_cast<int64_t>(threads);
  std::vector<std::thread> workers;
  workers.reserve(static_cast<size_t>(threads));
  for (int64_t t = 0; t < std::min<int64_t>(threads, count); ++t)
    workers.emplace_back([&] {
      std::unique_lock lock(mutex);
      while (true) {
        changed.wait(lock, [&] { return stop || next >= count || next < taken + most; });
        if (stop || next >= count) return;
        const int64_t i = next++;
        lock.unlock();
        Result<T> result = attempt("files are read", [&] { return make(i); });
        lock.lock();
        made.emplace(i, std::move(result));
        changed.notify_all();
      }
    });
  Status status;
  for (int64_t i = 0; i < count && status.ok(); ++i) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return made.contains(i); });
    Result<T> result = std::move(made.extract(i).mapped());
    taken = i + 1;
    changed.notify_all();
    lock.unlock();
    status = result.ok()
                 ? attempt("files are read", [&] { return take(i, std::move(result).value()); })
                 : Status(result.error());
  }
  {
    const std::lock_guard lock(mutex);
    stop = true;
  }
  changed.notify_all();
  for (std::thread& worker : workers) worker.join();
  return status;
}

}  // namespace ito
