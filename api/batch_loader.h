// BatchLoader: the batches of a training, made ready by threads ahead of the one that trains, a few
// at a time. Which images a batch has is BatchOrder's; a batch is the same whatever the threads do.
// Not for uploading (api/training.h).
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "base/shape.h"
#include "io/dataset.h"
#include "io/datasets/batch_order.h"

namespace ito {

struct BatchShape {
  Shape images;         // [n,h,w,c]; data are padded to h x w
  bool labels = false;  // whether batches have them
  bool flip = false;    // every other image left to right, as BatchOrder::mirrored says
};

// Which batches are loaded, of those that all ranks have: of every `of` that follow each other
// those from `first` on, `count`. By default all.
struct BatchShare {
  int64_t of = 1, first = 0, count = 1;
  // The number, among all, of the k-th that is loaded.
  int64_t number(int64_t k) const { return k / count * of + first + k % count; }
};

struct LoadedBatch {
  std::vector<float> images;     // [n,h,w,c] in [-1, 1]
  std::vector<uint32_t> labels;  // [n], or empty
};

class BatchLoader {
 public:
  // Begins to make batches from the `first`-th of the share on. `data` must outlive it.
  BatchLoader(const ImageDataset& data, const BatchShape& shape, uint64_t seed, int64_t first,
              BatchShare share = {});
  // Ends the threads.
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  // The next batch; waits where it is not ready. Good until the next call. Errors: of reading
  // images that lie in files.
  Result<const LoadedBatch*> next();

  // How often next() waited, and for how long in all: what a device may have stood idle for.
  int64_t waits() const { return waits_; }
  double seconds_waited() const { return seconds_waited_; }

 private:
  struct Slot {
    LoadedBatch batch;
    Status status;
    int64_t number = -1;  // of the batch that is ready in it
  };
  void work();
  Status fill(LoadedBatch& batch, int64_t number, BatchOrder& order) const;

  const ImageDataset& data_;
  const BatchShape shape_;
  const uint64_t seed_;
  const BatchShare share_;
  std::vector<Slot> ring_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t begun_, wanted_;  // numbers of the next batch to be made, and to be given out
  bool stop_ = false;
  std::vector<std::thread> threads_;
  int64_t waits_ = 0;
  double seconds_waited_ = 0;
};

}  // namespace ito
