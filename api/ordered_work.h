// Work that is prepared on several threads and finished in the order in which it came, with at most
// so much of it under way. Not for work whose order does not matter.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/result.h"

namespace ito {

class OrderedWork {
 public:
  struct Item {
    std::function<Status()> prepare;  // on any thread, beside others
    std::function<Status()> finish;   // when those of all items before it have returned
  };

  // capacity: items that push() takes before it waits.
  OrderedWork(size_t threads, size_t capacity);
  OrderedWork(const OrderedWork&) = delete;
  OrderedWork& operator=(const OrderedWork&) = delete;
  ~OrderedWork();  // waits

  // Waits for room. The first error of any item so far: after one no item is done any more.
  Status push(Item item);
  // Waits until all is done. The same error.
  Status wait();

 private:
  void run();

  const size_t capacity_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> waiting_;
  uint64_t taken_ = 0;  // tickets: items given to threads, ...
  uint64_t done_ = 0;   // ... and done with
  bool closing_ = false;
  Status failed_;
  std::vector<std::thread> threads_;
};

}  // namespace ito
