// BatchOrder: which images each batch of a training holds, and how they are shown. A function of
// (seed, position) alone, so that a resumed run sees what the uninterrupted one would have seen.
// Not for pixels.
#pragma once

#include <cstdint>
#include <vector>

#include "io/dataset.h"

namespace ito {

class BatchOrder {
 public:
  // count > 0 images.
  BatchOrder(int64_t count, uint64_t seed) : count_(count), seed_(seed) {}

  // The images at places [first, first + n) of the endless sequence of epochs. Each epoch is a
  // permutation of all images, shuffled anew; a batch may reach into the next epoch.
  std::vector<int64_t> images(int64_t first, int64_t n);
  // Whether the image at a place is shown mirrored, where images are at all: half of them.
  bool mirrored(int64_t place) const;
  // Where the image at a place is cut, if it is larger than what is drawn of it.
  CutPlace cut(int64_t place) const;

 private:
  void shuffle(int64_t epoch);

  int64_t count_;
  uint64_t seed_;
  int64_t epoch_ = -1;  // of permutation_
  std::vector<int64_t> permutation_;
};

}  // namespace ito
