#include "api/ordered_work.h"

#include <utility>

#include "base/attempt.h"

namespace ito {
namespace {

constexpr const char* kWriting = "images are written";

}  // namespace

OrderedWork::OrderedWork(size_t threads, size_t capacity) : capacity_(capacity) {
  for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

OrderedWork::~OrderedWork() {
  {
    const std::scoped_lock lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Status OrderedWork::push(Item item) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock,
                [&] { return !failed_.ok() || waiting_.size() + taken_ - done_ < capacity_; });
  if (!failed_.ok()) return failed_;
  waiting_.push_back(std::move(item));
  lock.unlock();
  changed_.notify_all();
  return {};
}

Status OrderedWork::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return waiting_.empty() && taken_ == done_; });
  return failed_;
}

void OrderedWork::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return closing_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const Item item = std::move(waiting_.front());
    waiting_.pop_front();
    const uint64_t ticket = taken_++;
    Status status = failed_;
    lock.unlock();
    if (status.ok()) status = attempt(kWriting, item.prepare);
    lock.lock();
    changed_.wait(lock, [&] { return done_ == ticket; });
    // Nobody else is here before done_ is counted up.
    if (failed_.ok() && status.ok()) {
      lock.unlock();
      status = attempt(kWriting, item.finish);
      lock.lock();
    }
    if (failed_.ok() && !status.ok()) failed_ = std::move(status);
    ++done_;
    changed_.notify_all();
  }
}

}  // namespace ito
