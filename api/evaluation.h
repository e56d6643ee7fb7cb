// Evaluator: how good a model's samples are: distances of what a network sees in them from what it
// sees in real images, and the share that a classifier recognises as their class. Not for
// likelihoods (api/likelihood.h) and not for tables (api/evaluation_table.h).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/model.h"
#include "api/sampling.h"
#include "api/scoring.h"
#include "io/dataset.h"
#include "ranks/ranks.h"
#include "statistics/frechet.h"
#include "statistics/kernel_distance.h"
#include "statistics/precision_recall.h"

namespace ito {

// Of a set of images against the reference, with standard errors over blocks of the set.
struct SetScore {
  int64_t images = 0;
  MeanAndError frechet, kernel;
  // Against as many real images as there are samples; nothing for sets of fewer than five.
  std::optional<PrecisionRecall> spread;
};

struct SampleScore {
  SetScore set;
  double seconds = 0;  // of sampling, compilation left out
  // Of a model with classes, where a classifier was given: samples and recognised ones by class.
  std::vector<int64_t> drawn, recognised;
};

struct EvaluatorOptions {
  int64_t batch = 50;   // images judged at a time
  int64_t blocks = 10;  // of seeds, for the standard errors
  // Who judges: each its share of the batches. The results are those of one process, on the first.
  Ranks ranks = {};
};

class Evaluator {
 public:
  // `features` (a network with Network::features; `where` names it) and `classifier` (may be null:
  // nothing is recognised) must outlive it. Images have the features' size.
  static Result<std::unique_ptr<Evaluator>> create(vk::Device& device, const Component& features,
                                                   const std::string& where,
                                                   const Component* classifier,
                                                   const EvaluatorOptions& options);

  // Takes the features of `count` images (all, where there are fewer; which: api/drawn_images.h) as
  // what samples are compared with. Errors: images that the network does not take; fewer than two.
  Status set_reference(const ImageDataset& data, int64_t count);
  int64_t reference_images() const { return reference_images_; }

  // As many other real images against the reference: what a perfect model would have.
  Result<SetScore> score_of(const ImageDataset& data, int64_t count);

  // Numbers that the network sees in one image.
  int64_t features() const { return features_->count(); }

  // Draws images with seeds 0, 1, ..., count - 1 (class: the seed modulo the classes drawn) and
  // judges them, each value clipped to [-1, 1]. after_step is called after each step of the sampler
  // with the number of images finished; false stops with kInterrupted. Errors, on all ranks: as of
  // SamplingSession; a model whose images or classes are not the judges'. `judged`: the
  // classifier's number of each class of the model (io/class_names.h); empty: the same. `drawn`:
  // the classes that images are drawn of; empty: all of the model's.
  Result<SampleScore> score(const Model& model, const SampleOptions& options, int64_t count,
                            const std::function<bool(int64_t)>& after_step,
                            std::span<const uint32_t> judged = {},
                            std::span<const uint32_t> drawn = {});

 private:
  Evaluator(vk::Device& device, const EvaluatorOptions& options)
      : device_(device), options_(options), reference_(1), reference_set_(1) {}
  Result<FeatureSet> features_of(const ImageDataset& data, int64_t count);
  // What all ranks saw, in the order of the images, on the first; else empty. `mine`: how this
  // one's part went.
  Result<std::vector<float>> of_all(Status mine, std::vector<float> values) const;
  Result<SetScore> compare(const FeatureSet& set) const;

  vk::Device& device_;
  EvaluatorOptions options_;
  std::unique_ptr<Features> features_;
  std::unique_ptr<Scorer> scorer_;
  FeatureStatistics reference_;
  FeatureSet reference_set_;
  int64_t reference_images_ = 0;
  std::optional<KernelReference> kernel_;
};

}  // namespace ito
