#include "api/evaluation.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "api/drawn_images.h"
#include "base/clock.h"
#include "base/error.h"

namespace ito {
namespace {

constexpr int64_t kNeighbours = 3;  // Kynkäänniemi et al. 2019, section 3

}  // namespace

Result<std::unique_ptr<Evaluator>> Evaluator::create(vk::Device& device, const Component& features,
                                                     const std::string& where,
                                                     const Component* classifier,
                                                     const EvaluatorOptions& options) {
  std::unique_ptr<Evaluator> evaluator(new Evaluator(device, options));
  const Signature& signature = features.network.signature();
  const auto [h, w] = signature.sample_size.value_or(std::array<int, 2>{0, 0});
  const Shape shape{options.batch, h, w, signature.in_channels};
  ITO_ASSIGN(evaluator->features_, Features::create(device, features, shape, where));
  if (classifier != nullptr) {
    ITO_ASSIGN(evaluator->scorer_, Scorer::create(device, *classifier, shape));
  }
  return evaluator;
}

Result<FeatureSet> Evaluator::features_of(const ImageDataset& data, int64_t count) {
  const Shape& shape = features_->shape();
  const int h = static_cast<int>(shape[1]), w = static_cast<int>(shape[2]);
  if (data.c != shape[3] || data.h > h || data.w > w)
    return invalid_argument(
        "{}x{}x{} images are judged, the {} in {} are {}x{}x{}{}", h, w, shape[3],
        kind_of_images(data), data.facts.from.string(), data.h, data.w, data.c,
        data.c == shape[3] ? fmt::format("; --resize {}x{} makes them as large", w, h)
                           : channels_remedy(data.c, shape[3]));
  FeatureSet set(features_->count());
  count = std::min(count, data.count);
  // Of all images too the order is drawn: what is said of parts of the set, its blocks and as many
  // images as there are samples, must not be said of single classes.
  const std::vector<int64_t> order = shuffled_images(data.count);
  for (int64_t first = 0; first < count; first += options_.batch) {
    const std::vector<int64_t> indices(order.begin() + first,
                                       order.begin() + std::min(first + options_.batch, count));
    std::vector<float> images(indices.size() * static_cast<size_t>(h * w * data.c));
    ITO_TRY(normalised_images(data, indices, h, w, images.data()));
    ITO_ASSIGN(const std::vector<float> seen, features_->of(images));
    set.add(seen);
  }
  return set;
}

Status Evaluator::set_reference(const ImageDataset& data, int64_t count) {
  ITO_ASSIGN(reference_set_, features_of(data, count));
  reference_ = FeatureStatistics(reference_set_.features());
  reference_.add(reference_set_.vectors(0, reference_set_.count()));
  ITO_ASSIGN(kernel_, KernelReference::of(reference_set_));
  return {};
}

Result<SetScore> Evaluator::compare(const FeatureSet& set) const {
  SetScore score;
  score.images = set.count();
  ITO_ASSIGN(score.frechet, frechet_distance(set, reference_, options_.blocks));
  ITO_ASSIGN(score.kernel, kernel_->distance(set, options_.blocks));
  const int64_t fewer = std::min(set.count(), reference_set_.count());
  if (fewer > kNeighbours + 1) {
    ITO_ASSIGN(score.spread,
               precision_recall(reference_set_.first(fewer), set.first(fewer), kNeighbours));
  }
  return score;
}

Result<SetScore> Evaluator::score_of(const ImageDataset& data, int64_t count) {
  ITO_ASSIGN(const FeatureSet set, features_of(data, count));
  return compare(set);
}

Result<SampleScore> Evaluator::score(const Model& model, const SampleOptions& options,
                                     int64_t count, const std::function<bool(int64_t)>& after_step,
                                     std::span<const uint32_t> classes_judged,
                                     std::span<const uint32_t> classes_drawn) {
  SampleOptions batched = options;
  batched.batch = std::min(options_.batch, count);
  ITO_ASSIGN(auto session, SamplingSession::create(device_, model, batched));
  const Shape shape = session->shape(options_.batch);
  const Shape& judged = features_->shape();
  if (shape != judged)
    return invalid_argument(
        "{}x{}x{} images are judged, the model's are {}x{}x{}; --features and --classifier take "
        "networks for images of that size",
        judged[1], judged[2], judged[3], shape[1], shape[2], shape[3]);
  const uint32_t classes = static_cast<uint32_t>(model.num_classes());
  SampleScore score;
  if (scorer_ && classes > 0) {
    score.drawn.assign(classes, 0);
    score.recognised.assign(classes, 0);
  }
  FeatureSet set(features_->count());
  double judging = 0;
  const Clock::time_point start = Clock::now();
  for (int64_t first = 0; first < count; first += batched.batch) {
    std::vector<SampleRequest> requests;
    std::vector<uint32_t> labels;
    for (int64_t i = first; i < std::min(first + batched.batch, count); ++i) {
      const uint32_t seed = static_cast<uint32_t>(i);
      requests.push_back({.seed = seed, .label = classes > 0 ? seed % classes : 0});
      if (!classes_drawn.empty())
        requests.back().label = classes_drawn[seed % classes_drawn.size()];
      labels.push_back(requests.back().label);
    }
    ITO_ASSIGN(std::vector<float> images,
               session->sample(requests, [&] { return !after_step || after_step(first); }));
    const Clock::time_point begin = Clock::now();
    for (float& value : images) value = std::clamp(value, -1.0f, 1.0f);
    ITO_ASSIGN(const std::vector<float> seen, features_->of(images));
    set.add(seen);
    if (!score.drawn.empty()) {
      std::vector<uint32_t> seen_as = labels;
      for (uint32_t& label : seen_as)
        if (label < classes_judged.size()) label = classes_judged[label];
      ITO_ASSIGN(const std::vector<uint8_t> right, scorer_->recognised(images, seen_as));
      for (size_t i = 0; i < labels.size(); ++i) {
        ++score.drawn[labels[i]];
        score.recognised[labels[i]] += right[i];
      }
    }
    judging += seconds_since(begin);
  }
  score.seconds = seconds_since(start) - judging;
  ITO_ASSIGN(score.set, compare(set));
  return score;
}

}  // namespace ito
