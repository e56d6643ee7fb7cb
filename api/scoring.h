// What networks say of images: Features is what one sees in them, Scorer whether the small
// classifier recognises them. Not for training them (api/task.h) and not for comparing sets of
// images (statistics/).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "api/model.h"
#include "graph/program.h"
#include "runtime/executor.h"

namespace ito {

// The images of one batch: a network's program over [batch, h, w, c], short batches filled up.
class ImageJudge {
 public:
  int64_t batch() const { return shape_[0]; }
  const Shape& shape() const { return shape_; }

 protected:
  // Errors: images that the network does not take, naming `what`; of the device.
  Status prepare(vk::Device& device, const Component& model, const Shape& batch_shape,
                 const char* what, const std::function<Program(const Network&)>& program);
  // How many images these values are (CHECK: 1 to the batch), written for the next run.
  Result<int64_t> write_images(std::span<const float> images);

  Shape shape_;
  std::unique_ptr<Executor> executor_;
};

class Features : public ImageJudge {
 public:
  // `model`: a network that sees features (Network::features). Errors: one that does not, named
  // with `where`; images of another size.
  static Result<std::unique_ptr<Features>> create(vk::Device& device, const Component& model,
                                                  const Shape& batch_shape,
                                                  const std::string& where);
  // What it sees in images [k, h, w, c], 1 <= k <= the batch: [k, count()]. Waits.
  Result<std::vector<float>> of(std::span<const float> images);
  int64_t count() const { return count_; }

 private:
  Features() = default;
  int64_t count_ = 0;
};

class Scorer : public ImageJudge {
 public:
  // `model`: a classifier (load_classifier). Images: [batch, h, w, c] of its size.
  static Result<std::unique_ptr<Scorer>> create(vk::Device& device, const Component& model,
                                                const Shape& batch_shape);
  // Labels are called otherwise from here on: label k is the classifier's class numbers[k] (empty:
  // class k), as classes_among() has it.
  void call_classes(std::vector<uint32_t> numbers) { numbers_ = std::move(numbers); }
  // Which of the images ([labels.size(), h, w, c], at most the batch) are recognised as their
  // labels: 1 or 0 each. Waits. Errors: a label that the classifier does not have.
  Result<std::vector<uint8_t>> recognised(std::span<const float> images,
                                          std::span<const uint32_t> labels);
  // How many. Likewise.
  Result<int64_t> count_recognised(std::span<const float> images, std::span<const uint32_t> labels);

 private:
  Scorer() = default;
  int64_t classes_ = 0;
  std::vector<uint32_t> numbers_;
};

}  // namespace ito
