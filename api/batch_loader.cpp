#include "api/batch_loader.h"

#include <algorithm>
#include <chrono>

#include "base/attempt.h"
#include "io/ordered_map.h"

namespace ito {
namespace {

constexpr int kMostThreads = 8;
constexpr size_t kSlotsPerThread = 2;

// Left to right.
void mirror(float* image, int64_t h, int64_t w, int64_t c) {
  for (int64_t y = 0; y < h; ++y)
    for (int64_t left = 0, right = w - 1; left < right; ++left, --right)
      std::swap_ranges(image + (y * w + left) * c, image + (y * w + left + 1) * c,
                       image + (y * w + right) * c);
}

}  // namespace

BatchLoader::BatchLoader(const ImageDataset& data, const BatchShape& shape, uint64_t seed,
                         int64_t first, BatchShare share)
    : data_(data), shape_(shape), seed_(seed), share_(share), begun_(first), wanted_(first) {
  // Half of the processors: the others belong to whoever trains. Where pictures are decoded, a
  // thread each, as that may take longer than a step.
  const int threads =
      std::clamp(data.files ? worker_threads() : worker_threads() / 2, 1, kMostThreads);
  // One more, for the batch that was given out.
  ring_.resize(kSlotsPerThread * static_cast<size_t>(threads) + 1);
  for (int t = 0; t < threads; ++t) threads_.emplace_back([this] { work(); });
}

BatchLoader::~BatchLoader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Status BatchLoader::fill(LoadedBatch& batch, int64_t number, BatchOrder& order) const {
  const int64_t n = shape_.images[0], h = shape_.images[1], w = shape_.images[2],
                c = shape_.images[3];
  const std::vector<int64_t> indices = order.images(number * n, n);
  batch.images.resize(static_cast<size_t>(shape_.images.numel()));
  std::vector<CutPlace> cuts;
  for (int64_t i = 0; i < n; ++i) cuts.push_back(order.cut(number * n + i));
  ITO_TRY(normalised_images(data_, indices, static_cast<int>(h), static_cast<int>(w),
                            batch.images.data(), cuts));
  for (int64_t i = 0; i < n && shape_.flip; ++i)
    if (order.mirrored(number * n + i)) mirror(batch.images.data() + i * h * w * c, h, w, c);
  batch.labels.clear();
  if (!shape_.labels) return {};
  for (const int64_t i : indices)
    batch.labels.push_back(static_cast<uint32_t>((*data_.labels)[static_cast<size_t>(i)]));
  return {};
}

void BatchLoader::work() {
  BatchOrder order(data_.count, seed_);
  const int64_t slots = static_cast<int64_t>(ring_.size());
  std::unique_lock lock(mutex_);
  while (true) {
    // The slot before that of wanted_ is still looked at by whoever called next().
    changed_.wait(lock, [&] { return stop_ || begun_ < wanted_ + slots - 1; });
    if (stop_) return;
    const int64_t number = begun_++;
    Slot& slot = ring_[static_cast<size_t>(number % slots)];
    lock.unlock();
    slot.status = attempt("a batch is read",
                          [&] { return fill(slot.batch, share_.number(number), order); });
    lock.lock();
    slot.number = number;
    changed_.notify_all();
  }
}

Result<const LoadedBatch*> BatchLoader::next() {
  using Clock = std::chrono::steady_clock;
  std::unique_lock lock(mutex_);
  const int64_t number = wanted_;
  Slot& slot = ring_[static_cast<size_t>(number % static_cast<int64_t>(ring_.size()))];
  if (slot.number != number) {
    ++waits_;
    const Clock::time_point begun = Clock::now();
    changed_.wait(lock, [&] { return slot.number == number; });
    seconds_waited_ += std::chrono::duration<double>(Clock::now() - begun).count();
  }
  ++wanted_;
  changed_.notify_all();
  ITO_TRY(slot.status);
  return &slot.batch;
}

}  // namespace ito
