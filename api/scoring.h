// Judges images with the small classifier: whether it recognises them, and what it sees in them.
// Not for training it (api/task.h) and not for comparing sets of images (statistics/frechet.h).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "api/model.h"
#include "runtime/executor.h"

namespace ito {

class Scorer {
 public:
  // `model`: a classifier (load_classifier). Images: [batch, h, w, c] of its size.
  static Result<std::unique_ptr<Scorer>> create(vk::Device& device, const Component& model,
                                                const Shape& batch_shape);
  // How many of the images ([labels.size(), h, w, c], at most the batch) are recognised as their
  // labels. Waits. Errors: a label that the classifier does not have.
  Result<int64_t> count_recognised(std::span<const float> images, std::span<const uint32_t> labels);

  // What the classifier sees in images [k, h, w, c], 1 <= k <= the batch: [k, features()]. Waits.
  Result<std::vector<float>> features_of(std::span<const float> images);
  int64_t features() const { return features_; }

 private:
  Scorer() = default;
  Status run(std::span<const float> images, std::span<const uint32_t> labels);
  Shape shape_;
  int64_t features_ = 0;
  int64_t classes_ = 0;
  std::unique_ptr<Executor> executor_;
};

}  // namespace ito
