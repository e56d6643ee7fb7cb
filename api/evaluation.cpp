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
  count = std::min(count, data.count);
  // Of all images too the order is drawn: what is said of parts of the set, its blocks and as many
  // images as there are samples, must not be said of single classes.
  const std::vector<int64_t> order = shuffled_images(data.count);
  std::vector<float> features;
  const auto look = [&]() -> Status {
    const auto batch = static_cast<size_t>(options_.batch);
    const auto [begin, end] = options_.ranks.share_of(static_cast<size_t>(count), batch);
    for (size_t first = begin; first < end; first += batch) {
      const auto part = std::span(order).subspan(first, std::min(batch, end - first));
      const std::vector<int64_t> indices(part.begin(), part.end());
      std::vector<float> images(indices.size() * static_cast<size_t>(h * w * data.c));
      ITO_TRY(normalised_images(data, indices, h, w, images.data()));
      ITO_ASSIGN(const std::vector<float> seen, features_->of(images));
      features.insert(features.end(), seen.begin(), seen.end());
    }
    return {};
  };
  Status looked = look();
  ITO_ASSIGN(features, of_all(std::move(looked), std::move(features)));
  FeatureSet set(features_->count());
  set.add(features);
  return set;
}

Result<std::vector<float>> Evaluator::of_all(Status mine, std::vector<float> values) const {
  ITO_TRY(options_.ranks.agree(std::move(mine)));
  return options_.ranks.gather_items(std::move(values));
}

Status Evaluator::set_reference(const ImageDataset& data, int64_t count) {
  reference_images_ = std::min(count, data.count);
  ITO_ASSIGN(reference_set_, features_of(data, count));
  if (!options_.ranks.first()) return {};
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
  return options_.ranks.first() ? compare(set) : SetScore{};
}

Result<SampleScore> Evaluator::score(const Model& model, const SampleOptions& options,
                                     int64_t count, const std::function<bool(int64_t)>& after_step,
                                     std::span<const uint32_t> classes_judged,
                                     std::span<const uint32_t> classes_drawn) {
  const Ranks& ranks = options_.ranks;
  SampleOptions batched = options;
  batched.batch = std::min(options_.batch, count);
  std::unique_ptr<SamplingSession> session;
  const auto open = [&]() -> Status {
    ITO_ASSIGN(session, SamplingSession::create(device_, model, batched));
    const Shape shape = session->shape(options_.batch);
    const Shape& judged = features_->shape();
    if (shape == judged) return {};
    return invalid_argument(
        "{}x{}x{} images are judged, the model's are {}x{}x{}; --features and --classifier take "
        "networks for images of that size",
        judged[1], judged[2], judged[3], shape[1], shape[2], shape[3]);
  };
  ITO_TRY(ranks.agree(open()));
  const uint32_t classes = static_cast<uint32_t>(model.num_classes());
  SampleScore score;
  if (scorer_ && classes > 0) {
    score.drawn.assign(classes, 0);
    score.recognised.assign(classes, 0);
  }
  const auto label_of = [&](size_t image) {
    const uint32_t seed = static_cast<uint32_t>(image);
    if (!classes_drawn.empty()) return classes_drawn[seed % classes_drawn.size()];
    return classes > 0 ? seed % classes : 0;
  };
  std::vector<float> features, right;  // what is seen in each image; 1 where it is recognised
  double judging = 0;
  const Clock::time_point start = Clock::now();
  const auto draw = [&]() -> Status {
    const auto batch = static_cast<size_t>(batched.batch);
    const auto [begin, end] = ranks.share_of(static_cast<size_t>(count), batch);
    for (size_t first = begin; first < end; first += batch) {
      const auto done = static_cast<int64_t>(first);
      std::vector<SampleRequest> requests;
      for (size_t i = first; i < std::min(first + batch, end); ++i)
        requests.push_back({.seed = static_cast<uint32_t>(i), .label = label_of(i)});
      ITO_ASSIGN(std::vector<float> images,
                 session->sample(requests, [&] { return !after_step || after_step(done); }));
      const Clock::time_point judged_from = Clock::now();
      for (float& value : images) value = std::clamp(value, -1.0f, 1.0f);
      ITO_ASSIGN(const std::vector<float> seen, features_->of(images));
      features.insert(features.end(), seen.begin(), seen.end());
      if (!score.drawn.empty()) {
        std::vector<uint32_t> seen_as;
        for (const SampleRequest& request : requests)
          seen_as.push_back(request.label < classes_judged.size() ? classes_judged[request.label]
                                                                  : request.label);
        ITO_ASSIGN(const std::vector<uint8_t> recognised, scorer_->recognised(images, seen_as));
        right.insert(right.end(), recognised.begin(), recognised.end());
      }
      judging += seconds_since(judged_from);
    }
    return {};
  };
  Status drawn = draw();
  score.seconds = seconds_since(start) - judging;
  ITO_ASSIGN(features, of_all(std::move(drawn), std::move(features)));
  ITO_ASSIGN(right, ranks.gather_items(std::move(right)));
  const auto judge = [&]() -> Status {
    for (size_t i = 0; i < right.size(); ++i) {
      const uint32_t label = label_of(i);
      ++score.drawn[label];
      score.recognised[label] += right[i] > 0 ? 1 : 0;
    }
    FeatureSet set(features_->count());
    set.add(features);
    ITO_ASSIGN(score.set, compare(set));
    return {};
  };
  ITO_TRY(ranks.agree(ranks.first() ? judge() : Status()));
  return score;
}

}  // namespace ito
