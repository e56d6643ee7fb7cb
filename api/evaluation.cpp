#include "api/evaluation.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

#include "base/error.h"

namespace ito {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

Result<std::unique_ptr<Evaluator>> Evaluator::create(vk::Device& device,
                                                     const Component& classifier, int64_t batch) {
  std::unique_ptr<Evaluator> evaluator(new Evaluator(device, classifier, batch));
  const auto [h, w] = *classifier.network.signature().sample_size;
  const Shape shape{batch, h, w, classifier.network.signature().in_channels};
  ITO_ASSIGN(evaluator->scorer_, Scorer::create(device, classifier, shape));
  return evaluator;
}

Result<FeatureStatistics> Evaluator::features_of(const ImageDataset& data, int64_t count) {
  const Signature& signature = classifier_.network.signature();
  const int size = (*signature.sample_size)[0];
  if (data.c != signature.in_channels || data.h > size || data.w > size)
    return invalid_argument("the classifier judges {}x{}x{} images, the data set's are {}x{}x{}",
                            size, size, signature.in_channels, data.h, data.w, data.c);
  FeatureStatistics statistics(scorer_->features());
  count = std::min(count, data.count);
  for (int64_t first = 0; first < count; first += batch_) {
    std::vector<int64_t> indices(static_cast<size_t>(std::min(batch_, count - first)));
    std::iota(indices.begin(), indices.end(), first);
    std::vector<float> images(indices.size() * static_cast<size_t>(size * size * data.c));
    normalised_images(data, indices, size, size, images.data());
    ITO_ASSIGN(const std::vector<float> features, scorer_->features_of(images));
    statistics.add(features);
  }
  return statistics;
}

Status Evaluator::set_reference(const ImageDataset& data, int64_t count) {
  ITO_ASSIGN(reference_, features_of(data, count));
  return {};
}

Result<double> Evaluator::distance_of(const ImageDataset& data, int64_t count) {
  ITO_ASSIGN(const FeatureStatistics statistics, features_of(data, count));
  return frechet_distance(statistics, reference_);
}

Result<SampleScore> Evaluator::score(const Model& model, const SampleOptions& options,
                                     int64_t count,
                                     const std::function<bool(int64_t)>& after_step) {
  SampleOptions batched = options;
  batched.batch = std::min(batch_, count);
  ITO_ASSIGN(auto session, SamplingSession::create(device_, model, batched));
  const Shape shape = session->shape(batch_);
  const Signature& judge = classifier_.network.signature();
  const int size = (*judge.sample_size)[0];
  if (shape[1] != size || shape[2] != size || shape[3] != judge.in_channels)
    return invalid_argument("the classifier judges {}x{}x{} images, the model's are {}x{}x{}", size,
                            size, judge.in_channels, shape[1], shape[2], shape[3]);
  const uint32_t classes = static_cast<uint32_t>(model.num_classes());
  SampleScore score;
  if (classes > 0) score.recognised = 0;
  FeatureStatistics statistics(scorer_->features());
  double judging = 0;
  const Clock::time_point start = Clock::now();
  const auto since = [](Clock::time_point time) {
    return std::chrono::duration<double>(Clock::now() - time).count();
  };
  for (int64_t first = 0; first < count; first += batched.batch) {
    std::vector<SampleRequest> requests;
    std::vector<uint32_t> labels;
    for (int64_t i = first; i < std::min(first + batched.batch, count); ++i) {
      const uint32_t seed = static_cast<uint32_t>(i);
      requests.push_back({.seed = seed, .label = classes > 0 ? seed % classes : 0});
      labels.push_back(requests.back().label);
    }
    ITO_ASSIGN(std::vector<float> images,
               session->sample(requests, [&] { return !after_step || after_step(first); }));
    const Clock::time_point judged = Clock::now();
    for (float& value : images) value = std::clamp(value, -1.0f, 1.0f);
    ITO_ASSIGN(const std::vector<float> features, scorer_->features_of(images));
    statistics.add(features);
    if (score.recognised) {
      ITO_ASSIGN(const int64_t recognised, scorer_->count_recognised(images, labels));
      *score.recognised += recognised;
    }
    judging += since(judged);
  }
  score.seconds = since(start) - judging;
  score.images = count;
  ITO_ASSIGN(score.frechet, frechet_distance(statistics, reference_));
  return score;
}

}  // namespace ito
