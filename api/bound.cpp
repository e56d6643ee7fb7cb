#include "api/bound.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "api/flow.h"
#include "api/model_score.h"
#include "api/task.h"
#include "base/error.h"
#include "diffusion/process.h"
#include "diffusion/sampling_program.h"
#include "graph/compile.h"

namespace ito {
namespace {

constexpr double kByteScale = 127.5;

MeanAndError over(std::span<const ImageBound> images, double (*value)(const ImageBound&)) {
  std::vector<double> values;
  for (const ImageBound& image : images) values.push_back(value(image));
  return mean_and_error(values);
}

Result<BoundOptions> bound_options(const Model& model, const BoundSettings& settings) {
  const SchedulerConfig& scheduler = model.scheduler;
  BoundOptions options{.clip = scheduler.clip_sample,
                       .clip_range = scheduler.clip_sample_range,
                       .cdf = settings.cdf};
  ITO_ASSIGN(options.prediction, prediction_from_name(scheduler.prediction_type));
  ITO_ASSIGN(options.variance, variance_type_from_name(scheduler.variance_type));
  if (settings.variance) options.variance = *settings.variance;
  const Signature& signature = model.network.signature();
  const int64_t expected = signature.in_channels * (is_learned(options.variance) ? 2 : 1);
  if (signature.out_channels != expected)
    return invalid_argument(
        "the network has {} output channels for {} input channels, the variance wants {}",
        signature.out_channels, signature.in_channels, expected);
  return options;
}

}  // namespace

BoundSummary summarise(std::span<const ImageBound> images) {
  return {.total = over(images, [](const ImageBound& i) { return i.total(); }),
          .prior = over(images, [](const ImageBound& i) { return i.prior; }),
          .rate = over(images, [](const ImageBound& i) { return i.rate; }),
          .decoder = over(images, [](const ImageBound& i) { return i.decoder; })};
}

Result<Shape> bound_image(const Model& model) {
  const Signature& signature = model.network.signature();
  if (!signature.sample_size)
    return invalid_argument("the model has no sample_size, which its bound needs");
  return Shape{(*signature.sample_size)[0], (*signature.sample_size)[1], signature.in_channels};
}

Result<std::unique_ptr<BoundMeter>> BoundMeter::create(vk::Device& device, const Model& model,
                                                       const BoundSettings& settings) {
  const ProcessRow& process = process_row(model.scheduler.process);
  if (process.schedule == nullptr)
    return invalid_argument(
        "the variational bound is of a discrete chain, found a model of the process {}",
        process.name.name);
  const Signature& signature = model.network.signature();
  ITO_TRY(check_session_signature(signature));
  ITO_TRY(check_density(signature.latent > 0));
  ITO_ASSIGN(const Shape image, bound_image(model));
  ITO_ASSIGN(const NoiseSchedule schedule, process.schedule(model.scheduler, Arithmetic::kDouble));
  ITO_ASSIGN(const BoundOptions options, bound_options(model, settings));
  if (schedule.alpha_bar(schedule.num_timesteps() - 1) <= 0 && needs_signal(options.prediction))
    return invalid_argument(
        "the schedule ends without signal (rescale_betas_zero_snr), where a prediction of epsilon "
        "says nothing of the image; expected v_prediction or sample");
  std::unique_ptr<BoundMeter> session(new BoundMeter);
  session->settings_ = settings;
  session->image_ = image;
  ITO_TRY(model.network.check_size(session->image_[0], session->image_[1]));
  session->classes_ = model.num_classes();
  const int T = schedule.num_timesteps();
  ITO_ASSIGN(session->strata_, bound_strata(T, settings.terms > 0 ? settings.terms : T));
  session->means_.resize(static_cast<size_t>(session->strata_.count()));

  const Shape shape{settings.batch, session->image_[0], session->image_[1], session->image_[2]};
  ITO_ASSIGN(const Network network, model.network.for_device(device.caps()));
  ITO_ASSIGN(Plan plan, compile(bound_program(shape, schedule, input_denoiser(network), options,
                                              session->strata_),
                                device.caps()));
  ITO_ASSIGN(session->executor_, Executor::create(device, std::move(plan)));
  ITO_ASSIGN(const DeviceWeights weights,
             DeviceWeights::upload(device, network.set(), model.weights));
  ITO_TRY(weights.bind(*session->executor_));
  const std::vector<uint32_t> key = {static_cast<uint32_t>(settings.seed),
                                     static_cast<uint32_t>(settings.seed >> 32)};
  ITO_TRY(session->executor_->write(sampling_ports::kKey, key));
  ITO_TRY(session->executor_->prepare());
  return session;
}

Result<std::vector<ImageBound>> BoundMeter::measure(const ImageDataset& data,
                                                    std::span<const int64_t> indices) {
  using namespace bound_ports;
  const int64_t count = static_cast<int64_t>(indices.size());
  if (count < 1 || count > settings_.batch)
    return invalid_argument("{} images were asked for in one batch, expected 1 to {}", count,
                            settings_.batch);
  if (data.h != image_[0] || data.w != image_[1] || data.c != image_[2])
    return invalid_argument("the images are {}x{}x{}, the model expects {}x{}x{}", data.h, data.w,
                            data.c, image_[0], image_[1], image_[2]);
  if (classes_ > 0 && !data.labels)
    return invalid_argument("the model has classes, but the data set has no labels");
  std::vector<float> pixels;
  std::vector<uint32_t> images, labels;
  for (int64_t i = 0; i < settings_.batch; ++i) {
    const int64_t index = indices[static_cast<size_t>(std::min(i, count - 1))];
    if (index < 0 || index >= data.count)
      return invalid_argument("image {} does not exist; the data set has {}", index, data.count);
    for (const uint8_t byte : data.bytes_of(index)) pixels.push_back(number_of_byte(byte));
    images.push_back(static_cast<uint32_t>(index));
    if (classes_ > 0)
      labels.push_back(static_cast<uint32_t>((*data.labels)[static_cast<size_t>(index)]));
  }
  if (classes_ > 0) {
    ITO_ASSIGN(labels, padded_labels(labels, settings_.batch, settings_.batch, classes_));
    ITO_TRY(executor_->write(batch_ports::kLabels, labels));
  }
  ITO_TRY(executor_->write(kX0, pixels));
  ITO_TRY(executor_->write(sampling_ports::kImage, images));
  ITO_TRY(executor_->write(sampling_ports::kStep, std::vector<uint32_t>{0}));
  const size_t strata = means_.size();
  const std::vector<float> nothing(static_cast<size_t>(settings_.batch) * strata, 0.0f);
  for (const auto& port : {kTerms, kErrors}) ITO_TRY(executor_->write(port, nothing));
  for (int k = 0; k < strata_.count(); ++k) ITO_TRY(executor_->run());

  ITO_ASSIGN(const auto prior, executor_->read(kPrior));
  ITO_ASSIGN(const auto terms, executor_->read(kTerms));
  ITO_ASSIGN(const auto errors, executor_->read(kErrors));
  std::vector<ImageBound> results;
  for (size_t i = 0; i < indices.size(); ++i) {
    results.push_back(add_image(indices[i], prior[i], std::span(terms).subspan(i * strata, strata),
                                std::span(errors).subspan(i * strata, strata)));
    if (!std::isfinite(results.back().total()))
      return invalid_argument(
          "the bound of image {} is not finite: the model gives numbers that are not", indices[i]);
  }
  return results;
}

ImageBound BoundMeter::add_image(int64_t image, double prior, std::span<const float> terms,
                                 std::span<const float> errors) {
  double sent = prior;
  for (size_t k = means_.size(); k-- > 0;) {
    StratumMeans& means = means_[k];
    means.term.add(terms[k]);
    means.rate.add(sent);
    means.error.add(errors[k]);
    if (k > 0) sent += terms[k];
  }
  ++count_;
  return {.image = image, .prior = prior, .rate = sent - prior, .decoder = terms[0]};
}

std::vector<RateDistortion> BoundMeter::curve() const {
  std::vector<RateDistortion> rows;
  if (count_ == 0) return rows;
  for (size_t k = means_.size(); k-- > 0;) {
    const auto [distortion, error] = root_of(means_[k].error.result());
    rows.push_back({.timestep = strata_.first[k],
                    .term = means_[k].term.result(),
                    .rate = means_[k].rate.result(),
                    .distortion = {kByteScale * distortion, kByteScale * error}});
  }
  return rows;
}

}  // namespace ito
