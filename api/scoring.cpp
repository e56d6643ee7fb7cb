#include "api/scoring.h"

#include <numeric>
#include <utility>

#include "api/task.h"
#include "base/check.h"
#include "base/error.h"
#include "graph/builder.h"
#include "graph/compile.h"
#include "nn/classifier.h"
#include "nn/networks.h"

namespace ito {
namespace {

constexpr Port<float> kScoreCorrect{"correct"};  // [n]: 1 where the class is the label
constexpr Port<float> kFeatures{"features"};     // [n, count()]

}  // namespace

Status ImageJudge::prepare(vk::Device& device, const Component& model, const Shape& batch_shape,
                           const char* what,
                           const std::function<Program(const Network&)>& program) {
  const Signature& signature = model.network.signature();
  const auto [h, w] = signature.sample_size.value_or(
      std::array<int, 2>{static_cast<int>(batch_shape[1]), static_cast<int>(batch_shape[2])});
  if (batch_shape[3] != signature.in_channels || batch_shape[1] != h || batch_shape[2] != w)
    return invalid_argument("the {} judges {}x{}x{} images, these are {}x{}x{}", what, h, w,
                            signature.in_channels, batch_shape[1], batch_shape[2], batch_shape[3]);
  shape_ = batch_shape;
  ITO_ASSIGN(const Network network, model.network.for_device(device.caps()));
  ITO_ASSIGN(Plan plan, compile(program(network), device.caps()));
  ITO_ASSIGN(executor_, Executor::create(device, std::move(plan)));
  ITO_ASSIGN(const DeviceWeights weights,
             DeviceWeights::upload(device, network.set(), model.weights));
  return weights.bind(*executor_);
}

// Of a short batch the rest is left at zero.
Result<int64_t> ImageJudge::write_images(std::span<const float> images) {
  const int64_t size = shape_.numel() / shape_[0];
  const int64_t count = static_cast<int64_t>(images.size()) / size;
  CHECK(count >= 1 && count <= shape_[0], "not 1 to the batch of images");
  std::vector<float> padded(images.begin(), images.end());
  padded.resize(static_cast<size_t>(shape_.numel()));
  ITO_TRY(executor_->write(batch_ports::kImages, padded));
  return count;
}

Result<std::unique_ptr<Features>> Features::create(vk::Device& device, const Component& model,
                                                   const Shape& batch_shape,
                                                   const std::string& where) {
  const ImageFeatures* seen = model.network.features();
  if (seen == nullptr)
    return unsupported(
        "{}: network {} does not judge images; expected a classifier of `ito train --classifier`",
        where, model.network.row());
  std::unique_ptr<Features> features(new Features);
  features->count_ = seen->count;
  ITO_TRY(features->prepare(
      device, model, batch_shape, "network of features", [&](const Network& network) {
        Program program;
        program.name = "features";
        Graph& graph = *program.graph;
        const FlatTensors flat = flat_inputs(graph, state_name::kParameters, network.set());
        const Tensor x = input(graph, batch_ports::kImages, batch_shape);
        program.output(kFeatures, network.features()->build(Scope(network.set(), flat), x));
        return program;
      }));
  return features;
}

Result<std::vector<float>> Features::of(std::span<const float> images) {
  ITO_ASSIGN(const int64_t count, write_images(images));
  ITO_TRY(executor_->run());
  ITO_ASSIGN(std::vector<float> features, executor_->read(kFeatures));
  features.resize(static_cast<size_t>(count * count_));
  return features;
}

Result<std::unique_ptr<Scorer>> Scorer::create(vk::Device& device, const Component& model,
                                               const Shape& batch_shape) {
  const Signature& signature = model.network.signature();
  CHECK(!signature.image_out && !signature.told_time(), "images are judged by a classifier");
  std::unique_ptr<Scorer> scorer(new Scorer);
  scorer->classes_ = signature.out_channels;
  ITO_TRY(scorer->prepare(device, model, batch_shape, "classifier", [&](const Network& network) {
    Program program;
    program.name = "judge";
    Graph& graph = *program.graph;
    const FlatTensors flat = flat_inputs(graph, state_name::kParameters, network.set());
    const Tensor x = input(graph, batch_ports::kImages, batch_shape);
    const Tensor labels = input(graph, batch_ports::kLabels, {batch_shape[0]});
    program.output(kScoreCorrect, is_correct(network.build(flat, x, {}), labels));
    return program;
  }));
  return scorer;
}

Result<std::vector<uint8_t>> Scorer::recognised(std::span<const float> images,
                                                std::span<const uint32_t> labels) {
  for (uint32_t label : labels) {
    if (label >= static_cast<uint32_t>(classes_))
      return invalid_argument("class {} does not exist; the classifier has classes 0 to {}", label,
                              classes_ - 1);
  }
  ITO_ASSIGN(const int64_t count, write_images(images));
  CHECK(static_cast<int64_t>(labels.size()) == count, "not a label for each image");
  std::vector<uint32_t> padded(labels.begin(), labels.end());
  padded.resize(static_cast<size_t>(batch()));
  ITO_TRY(executor_->write(batch_ports::kLabels, padded));
  ITO_TRY(executor_->run());
  ITO_ASSIGN(const std::vector<float> correct, executor_->read(kScoreCorrect));
  std::vector<uint8_t> result;
  for (size_t i = 0; i < labels.size(); ++i) result.push_back(correct[i] > 0 ? 1 : 0);
  return result;
}

Result<int64_t> Scorer::count_recognised(std::span<const float> images,
                                         std::span<const uint32_t> labels) {
  ITO_ASSIGN(const std::vector<uint8_t> each, recognised(images, labels));
  return std::accumulate(each.begin(), each.end(), int64_t{0});
}

}  // namespace ito
