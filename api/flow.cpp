#include "api/flow.h"

#include <string>
#include <utility>

#include "api/model_score.h"
#include "api/task.h"
#include "base/error.h"

namespace ito {
namespace {

using flow_ports::kState;

}  // namespace

Result<ModelFlow> model_flow(const Model& model) {
  const Signature& signature = model.network.signature();
  if (!signature.sample_size)
    return invalid_argument("the model has no sample_size, which its flow needs");
  ModelFlow result;
  const auto [h, w] = *signature.sample_size;
  result.image = {h, w, signature.in_channels};
  ITO_TRY(model.network.check_size(h, w));
  result.classes = model.num_classes();
  result.weights = model.weights;
  result.network = model.network;
  result.scheduler = model.scheduler;
  ITO_ASSIGN(result.flow, density_flow(model.network, model.scheduler));
  return result;
}

Result<ModelFlow> flow_on_device(const ModelFlow& model, const DeviceCaps& caps) {
  ModelFlow result = model;
  ITO_ASSIGN(result.network, model.network.for_device(caps));
  ITO_ASSIGN(result.flow, density_flow(result.network, model.scheduler));
  return result;
}

Status bind_weights(vk::Device& device, const ModelFlow& model, OdeSolver& solver) {
  ITO_ASSIGN(const DeviceWeights weights,
             DeviceWeights::upload(device, model.network.set(), model.weights));
  return weights.bind(solver);
}

Result<std::vector<float>> padded_batch(std::span<const float> values, int64_t row, int64_t n) {
  const size_t size = static_cast<size_t>(row), most = static_cast<size_t>(n) * size;
  if (values.empty() || values.size() % size != 0 || values.size() > most)
    return invalid_argument("{} numbers were given, expected 1 to {} images of {}", values.size(),
                            n, row);
  std::vector<float> batch(values.begin(), values.end());
  batch.reserve(most);
  while (batch.size() < most) batch.push_back(batch[batch.size() - size]);
  return batch;
}

Result<std::vector<uint32_t>> padded_labels(std::span<const uint32_t> labels, int64_t rows,
                                            int64_t n, int classes) {
  if (classes == 0 && !labels.empty())
    return invalid_argument("labels were given, but the model has no classes");
  if (classes == 0) return std::vector<uint32_t>();
  if (static_cast<int64_t>(labels.size()) != rows)
    return invalid_argument("{} labels were given for {} images", labels.size(), rows);
  for (const uint32_t label : labels)
    if (label >= static_cast<uint32_t>(classes))
      return invalid_argument("class {} does not exist; the model has classes 0 to {}", label,
                              classes - 1);
  std::vector<uint32_t> batch(labels.begin(), labels.end());
  batch.resize(static_cast<size_t>(n), labels.back());
  return batch;
}

Result<std::unique_ptr<FlowCoder>> FlowCoder::create(vk::Device& device, const ModelFlow& given,
                                                     const FlowCoderOptions& options) {
  ITO_ASSIGN(const ModelFlow model, flow_on_device(given, device.caps()));
  std::unique_ptr<FlowCoder> session(new FlowCoder);
  session->batch_ = options.batch;
  session->row_ = model.image.numel();
  session->classes_ = model.classes;
  session->start_ = model.flow.start;
  session->end_ = model.flow.end;
  session->prior_std_ = model.flow.prior_std;
  session->max_evaluations_ = options.max_evaluations;
  const Shape shape{options.batch, model.image[0], model.image[1], model.image[2]};
  ITO_ASSIGN(session->solver_,
             OdeSolver::create(device, flow_system(model.flow, shape), options.ode));
  ITO_TRY(bind_weights(device, model, *session->solver_));
  return session;
}

Result<std::vector<float>> FlowCoder::follow(std::span<const float> x,
                                             std::span<const uint32_t> labels, double from,
                                             double to,
                                             const std::function<bool()>& after_attempt) {
  ITO_ASSIGN(const std::vector<float> batch, padded_batch(x, row_, batch_));
  const int64_t rows = static_cast<int64_t>(x.size()) / row_;
  ITO_ASSIGN(const std::vector<uint32_t> classes, padded_labels(labels, rows, batch_, classes_));
  ITO_TRY(solver_->write(kState, batch));
  if (classes_ > 0) ITO_TRY(solver_->write(batch_ports::kLabels, classes));
  ITO_TRY(solver_->solve(from, to, max_evaluations_, after_attempt));
  ITO_ASSIGN(std::vector<float> result, solver_->read(kState));
  result.resize(x.size());
  return result;
}

Result<std::vector<float>> FlowCoder::encode(std::span<const float> images,
                                             std::span<const uint32_t> labels,
                                             const std::function<bool()>& after_attempt) {
  return follow(images, labels, start_, end_, after_attempt);
}

Result<std::vector<float>> FlowCoder::decode(std::span<const float> latents,
                                             std::span<const uint32_t> labels,
                                             const std::function<bool()>& after_attempt) {
  return follow(latents, labels, end_, start_, after_attempt);
}

}  // namespace ito
