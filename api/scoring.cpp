#include "api/scoring.h"

#include <utility>

#include "api/task.h"
#include "base/check.h"
#include "base/error.h"
#include "graph/builder.h"
#include "graph/compile.h"
#include "nn/classifier.h"

namespace ito {
namespace {

constexpr const char* kCorrect = "correct";    // f32 [n]: 1 where the class is the label
constexpr const char* kFeatures = "features";  // f32 [n, channels of the last block]

Program judge_program(const Network& network, const Shape& shape) {
  Program program;
  program.name = "judge";
  Graph& graph = *program.graph;
  const FlatTensors flat = flat_inputs(graph, state_name::kParameters, network.set());
  const Tensor x = input(graph, batch_name::kImages, shape);
  const Tensor labels = input(graph, batch_name::kLabels, {shape[0]}, DType::kU32);
  program.output(kCorrect, is_correct(network.build(flat, x, {}), labels));
  program.output(kFeatures, classifier_features(Scope(network.set(), flat),
                                                *network.config_as<ClassifierConfig>(), x));
  return program;
}

}  // namespace

Result<std::unique_ptr<Scorer>> Scorer::create(vk::Device& device, const Component& model,
                                               const Shape& batch_shape) {
  const ClassifierConfig* config = model.network.config_as<ClassifierConfig>();
  CHECK(config != nullptr, "images are judged by the small classifier");
  const int64_t size = config->image_size;
  if (batch_shape[3] != config->in_channels || batch_shape[1] != size || batch_shape[2] != size)
    return invalid_argument("the classifier judges {}x{}x{} images, these are {}x{}x{}", size, size,
                            config->in_channels, batch_shape[1], batch_shape[2], batch_shape[3]);
  std::unique_ptr<Scorer> scorer(new Scorer);
  scorer->shape_ = batch_shape;
  scorer->classes_ = config->classes;
  scorer->features_ = config->channels.back();
  ITO_ASSIGN(const Network network, model.network.for_device(device.caps()));
  ITO_ASSIGN(Plan plan, compile(judge_program(network, batch_shape), device.caps()));
  ITO_ASSIGN(scorer->executor_, Executor::create(device, std::move(plan)));
  ITO_ASSIGN(const DeviceWeights weights,
             DeviceWeights::upload(device, network.set(), model.weights));
  ITO_TRY(weights.bind(*scorer->executor_));
  return scorer;
}

// Of a short batch the rest is left at zero.
Status Scorer::run(std::span<const float> images, std::span<const uint32_t> labels) {
  std::vector<float> padded(images.begin(), images.end());
  padded.resize(static_cast<size_t>(shape_.numel()));
  std::vector<uint32_t> padded_labels(labels.begin(), labels.end());
  padded_labels.resize(static_cast<size_t>(shape_[0]));
  ITO_TRY(executor_->write(batch_name::kImages, padded));
  ITO_TRY(executor_->write(batch_name::kLabels, padded_labels));
  return executor_->run();
}

Result<int64_t> Scorer::count_recognised(std::span<const float> images,
                                         std::span<const uint32_t> labels) {
  CHECK(static_cast<int64_t>(labels.size()) <= shape_[0], "more labels than the scorer's batch");
  for (uint32_t label : labels) {
    if (label >= static_cast<uint32_t>(classes_))
      return invalid_argument("class {} does not exist; the classifier has classes 0 to {}", label,
                              classes_ - 1);
  }
  ITO_TRY(run(images, labels));
  ITO_ASSIGN(const std::vector<float> correct, executor_->read<float>(kCorrect));
  int64_t count = 0;
  for (size_t i = 0; i < labels.size(); ++i) count += correct[i] > 0 ? 1 : 0;
  return count;
}

Result<std::vector<float>> Scorer::features_of(std::span<const float> images) {
  const int64_t size = shape_.numel() / shape_[0];
  const int64_t count = static_cast<int64_t>(images.size()) / size;
  CHECK(count >= 1 && count <= shape_[0], "not 1 to the scorer's batch of images");
  ITO_TRY(run(images, {}));
  ITO_ASSIGN(std::vector<float> features, executor_->read<float>(kFeatures));
  features.resize(static_cast<size_t>(count * features_));
  return features;
}

}  // namespace ito
