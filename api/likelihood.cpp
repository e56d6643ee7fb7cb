#include "api/likelihood.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "api/task.h"
#include "base/error.h"
#include "diffusion/sampling_program.h"
#include "graph/compile.h"
#include "statistics/mean.h"

namespace ito {
namespace {

using flow_ports::kState;
using likelihood_ports::kDelta;

}  // namespace

LikelihoodSummary summarise(std::span<const ImageLikelihood> images) {
  LikelihoodSummary summary;
  if (images.empty()) return summary;
  const double count = static_cast<double>(images.size());
  std::vector<double> bits;
  double squares = 0;
  for (const ImageLikelihood& image : images) {
    bits.push_back(image.bits_per_dim);
    squares += image.probe_error * image.probe_error;
    summary.log_density += image.log_density / count;
    summary.evaluations += image.evaluations / count;
    summary.rejections += image.rejections / count;
  }
  const MeanAndError over_images = mean_and_error(bits);
  summary.mean = over_images.mean;
  summary.standard_error = over_images.standard_error;
  summary.probe_standard_error = std::sqrt(squares) / count;
  return summary;
}

Result<std::unique_ptr<LikelihoodMeter>> LikelihoodMeter::create(
    vk::Device& device, const ModelFlow& given, const LikelihoodSettings& settings) {
  ITO_ASSIGN(const ModelFlow model, flow_on_device(given, device.caps()));
  std::unique_ptr<LikelihoodMeter> session(new LikelihoodMeter);
  session->settings_ = settings;
  session->image_ = model.image;
  session->classes_ = model.classes;
  session->start_ = model.flow.start;
  session->end_ = model.flow.end;
  session->prior_std_ = model.flow.prior_std;
  const Shape shape{settings.batch, model.image[0], model.image[1], model.image[2]};
  ITO_TRY(check_likelihood(settings.likelihood, shape));
  ITO_ASSIGN(session->solver_,
             OdeSolver::create(device, likelihood_system(model.flow, shape, settings.likelihood),
                               settings.ode));
  OdeSolver& solver = *session->solver_;
  ITO_TRY(bind_weights(device, model, solver));
  const std::vector<uint32_t> key = {static_cast<uint32_t>(settings.seed),
                                     static_cast<uint32_t>(settings.seed >> 32)};
  if (settings.dequantise) {
    ITO_ASSIGN(Plan plan, compile(dequantisation_program(shape), device.caps()));
    ITO_ASSIGN(session->dequantise_, Executor::create(device, std::move(plan)));
    ITO_TRY(session->dequantise_->write(sampling_ports::kKey, key));
    ITO_ASSIGN(DeviceTensor x, solver.tensor(kState));
    ITO_TRY(session->dequantise_->bind(kState, std::move(x)));
  }
  if (!settings.likelihood.exact()) {
    ITO_ASSIGN(Plan plan, compile(probe_program(shape, settings.likelihood), device.caps()));
    ITO_ASSIGN(session->probes_, Executor::create(device, std::move(plan)));
    ITO_TRY(session->probes_->write(sampling_ports::kKey, key));
    for (int k = 0; k < settings.likelihood.probes; ++k) {
      const auto port = likelihood_ports::kProbe[k];
      ITO_ASSIGN(DeviceTensor v, solver.tensor(port));
      ITO_TRY(session->probes_->bind(port, std::move(v)));
    }
  }
  return session;
}

Status LikelihoodMeter::write_batch(const ImageDataset& data, std::span<const int64_t> indices) {
  std::vector<float> pixels;
  std::vector<uint32_t> labels, images;
  for (const int64_t index : indices) {
    if (index < 0 || index >= data.count)
      return invalid_argument("image {} does not exist; the data set has {}", index, data.count);
    for (const uint8_t byte : data.bytes_of(index))
      pixels.push_back(dequantise_ ? static_cast<float>(byte) : number_of_byte(byte));
    images.push_back(static_cast<uint32_t>(index));
    if (classes_ > 0)
      labels.push_back(static_cast<uint32_t>((*data.labels)[static_cast<size_t>(index)]));
  }
  const int64_t rows = static_cast<int64_t>(indices.size());
  images.resize(static_cast<size_t>(settings_.batch), images.back());
  ITO_ASSIGN(labels, padded_labels(labels, rows, settings_.batch, classes_));
  if (classes_ > 0) ITO_TRY(solver_->write(batch_ports::kLabels, labels));
  ITO_ASSIGN(pixels, padded_batch(pixels, image_.numel(), settings_.batch));
  if (dequantise_) {
    ITO_TRY(dequantise_->enqueue_write(likelihood_ports::kPixels, pixels));
    ITO_TRY(dequantise_->enqueue_write(sampling_ports::kImage, images));
    ITO_TRY(dequantise_->run());
  } else {
    ITO_TRY(solver_->write(kState, pixels));
  }
  if (probes_) {
    ITO_TRY(probes_->enqueue_write(sampling_ports::kImage, images));
    ITO_TRY(probes_->run());
  }
  const int64_t columns = settings_.likelihood.columns();
  return solver_->write(kDelta,
                        std::vector<float>(static_cast<size_t>(settings_.batch * columns), 0.0f));
}

Result<std::vector<ImageLikelihood>> LikelihoodMeter::measure(
    const ImageDataset& data, std::span<const int64_t> indices,
    const std::function<bool()>& after_attempt) {
  if (indices.empty() || static_cast<int64_t>(indices.size()) > settings_.batch)
    return invalid_argument("{} images were asked for in one batch, expected 1 to {}",
                            indices.size(), settings_.batch);
  if (data.h != image_[0] || data.w != image_[1] || data.c != image_[2])
    return invalid_argument("the images are {}x{}x{}, the model expects {}x{}x{}", data.h, data.w,
                            data.c, image_[0], image_[1], image_[2]);
  if (classes_ > 0 && !data.labels)
    return invalid_argument("the model has classes, but the data set has no labels");
  ITO_TRY(write_batch(data, indices));
  ITO_ASSIGN(const OdeReport report,
             solver_->solve(start_, end_, settings_.max_evaluations, after_attempt));
  ITO_ASSIGN(const std::vector<float> z, solver_->read(kState));
  ITO_ASSIGN(const std::vector<double> delta, solver_->value(kDeltaComponent));
  const size_t dimensions = static_cast<size_t>(image_.numel());
  const size_t columns = static_cast<size_t>(settings_.likelihood.columns());
  const double byte_bits = settings_.dequantise ? kByteBits : std::log2(127.5);
  std::vector<ImageLikelihood> results;
  for (size_t i = 0; i < indices.size(); ++i) {
    const double prior =
        gaussian_log_density(std::span(z).subspan(i * dimensions, dimensions), prior_std_);
    std::vector<double> densities, bits;
    for (size_t k = 0; k < columns; ++k) {
      densities.push_back(prior + static_cast<double>(dimensions) * delta[i * columns + k]);
      bits.push_back(bits_per_dim(densities.back(), image_.numel()) + byte_bits);
    }
    const MeanAndError over_probes = mean_and_error(bits);
    results.push_back({.image = indices[i],
                       .log_density = mean_and_error(densities).mean,
                       .bits_per_dim = over_probes.mean,
                       .probe_error = over_probes.standard_error,
                       .evaluations = report.evaluations[i],
                       .rejections = report.rejections[i]});
  }
  return results;
}

}  // namespace ito
