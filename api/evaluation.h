// Evaluator: how good a model's samples are, by the small classifier: the Fréchet distance of its
// features to those of real images, and the share that it recognises as their class. Not for
// likelihoods (api/likelihood.h) and not for tables (apps).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "api/model.h"
#include "api/sampling.h"
#include "api/scoring.h"
#include "io/dataset.h"
#include "statistics/frechet.h"

namespace ito {

struct SampleScore {
  int64_t images = 0;
  double frechet = 0;
  std::optional<int64_t> recognised;  // of a model with classes
  double seconds = 0;                 // of sampling, compilation left out
};

class Evaluator {
 public:
  // `classifier` must outlive it. Images are judged `batch` at a time.
  static Result<std::unique_ptr<Evaluator>> create(vk::Device& device, const Component& classifier,
                                                   int64_t batch);

  // Takes the features of the first `count` images (all, where there are fewer) as what samples are
  // compared with. Errors: images that the classifier does not take.
  Status set_reference(const ImageDataset& data, int64_t count);
  int64_t reference_images() const { return reference_.count(); }

  // The distance of other real images from the reference: what a perfect model would have.
  Result<double> distance_of(const ImageDataset& data, int64_t count);

  // Numbers that the classifier sees in one image.
  int64_t features() const { return scorer_->features(); }

  // Draws images with seeds 0, 1, ..., count - 1 (class: seed modulo classes) and judges them, each
  // value clipped to [-1, 1]. after_step is called after each step of the sampler with the number
  // of images finished; false stops with kInterrupted. Errors: as of SamplingSession; a model whose
  // images or classes are not the classifier's.
  Result<SampleScore> score(const Model& model, const SampleOptions& options, int64_t count,
                            const std::function<bool(int64_t)>& after_step);

 private:
  Evaluator(vk::Device& device, const Component& classifier, int64_t batch)
      : device_(device), classifier_(classifier), batch_(batch), reference_(1) {}
  Result<FeatureStatistics> features_of(const ImageDataset& data, int64_t count);

  vk::Device& device_;
  const Component& classifier_;
  int64_t batch_;
  std::unique_ptr<Scorer> scorer_;
  FeatureStatistics reference_;
};

}  // namespace ito
