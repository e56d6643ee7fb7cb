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

Result<std::unique_ptr<BoundMeter>> BoundMeter::create(vk::Device& device, const Model& model,
                                                       const BoundSettings& settings) {
  const ProcessRow& process = process_row(model.scheduler.process);
  if (process.schedule == nullptr)
    return invalid_argument(
        "the variational bound is of a discrete chain, found a model of the process {}",
        process.name.name);
  const Signature& signature = model.network.signature();
  ITO_TRY(check_session_signature(signature));
  if (!signature.sample_size)
    return invalid_argument("the model has no sample_size, which its bound needs");
  ITO_ASSIGN(const NoiseSchedule schedule, process.schedule(model.scheduler, Arithmetic::kDouble));
  ITO_ASSIGN(const BoundOptions options, bound_options(model, settings));
  if (schedule.alpha_bar(schedule.num_timesteps() - 1) <= 0 && needs_signal(options.prediction))
    return invalid_argument(
        "the schedule ends without signal (rescale_betas_zero_snr), where a prediction of epsilon "
        "says nothing of the image; expected v_prediction or sample");
  std::unique_ptr<BoundMeter> session(new BoundMeter);
  session->settings_ = settings;
  session->image_ = {(*signature.sample_size)[0], (*signature.sample_size)[1],
                     signature.in_channels};
  ITO_TRY(model.network.check_size(session->image_[0], session->image_[1]));
  session->classes_ = model.num_classes();
  const int T = schedule.num_timesteps();
  ITO_ASSIGN(session->strata_, bound_strata(T, settings.terms > 0 ? settings.terms : T));
  const size_t N = static_cast<size_t>(session->strata_.count());
  session->terms_ = session->squares_ = session->errors_ = std::vector<double>(N, 0);

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
  ITO_TRY(session->executor_->write(sampling_names::kKey, key));
  ITO_TRY(session->executor_->prepare());
  return session;
}

Result<std::vector<ImageBound>> BoundMeter::measure(const ImageDataset& data,
                                                    std::span<const int64_t> indices) {
  using namespace bound_names;
  const int64_t count = static_cast<int64_t>(indices.size());
  if (count < 1 || count > settings_.batch)
    return invalid_argument("{} images were asked for in one batch, expected 1 to {}", count,
                            settings_.batch);
  if (data.h != image_[0] || data.w != image_[1] || data.c != image_[2])
    return invalid_argument("the images are {}x{}x{}, the model expects {}x{}x{}", data.h, data.w,
                            data.c, image_[0], image_[1], image_[2]);
  if (classes_ > 0 && !data.labels)
    return invalid_argument("the model has classes, but the data set has no labels");
  std::vector<float> pixels, valid;
  std::vector<uint32_t> images, labels;
  const size_t size = static_cast<size_t>(image_.numel());
  for (int64_t i = 0; i < settings_.batch; ++i) {
    const int64_t index = indices[static_cast<size_t>(std::min(i, count - 1))];
    if (index < 0 || index >= data.count)
      return invalid_argument("image {} does not exist; the data set has {}", index, data.count);
    const std::span<const uint8_t> first = data.bytes_of(index);
    for (size_t k = 0; k < size; ++k)
      pixels.push_back(static_cast<float>(first[k] / kByteScale - 1));
    images.push_back(static_cast<uint32_t>(index));
    valid.push_back(i < count ? 1.0f : 0.0f);
    if (classes_ > 0)
      labels.push_back(static_cast<uint32_t>((*data.labels)[static_cast<size_t>(index)]));
  }
  if (classes_ > 0) {
    ITO_ASSIGN(labels, padded_labels(labels, settings_.batch, settings_.batch, classes_));
    ITO_TRY(executor_->write(batch_name::kLabels, labels));
  }
  ITO_TRY(executor_->write(kX0, pixels));
  ITO_TRY(executor_->write(kValid, valid));
  ITO_TRY(executor_->write(sampling_names::kImage, images));
  ITO_TRY(executor_->write(sampling_names::kStep, std::vector<uint32_t>{0}));
  const std::vector<float> no_images(static_cast<size_t>(settings_.batch), 0.0f);
  const std::vector<float> no_strata(terms_.size(), 0.0f);
  for (const char* name : {kRate, kDecoder}) ITO_TRY(executor_->write(name, no_images));
  for (const char* name : {kTerms, kSquares, kErrors}) ITO_TRY(executor_->write(name, no_strata));
  for (int k = 0; k < strata_.count(); ++k) ITO_TRY(executor_->run());

  ITO_ASSIGN(const auto prior, executor_->read<float>(kPrior));
  ITO_ASSIGN(const auto rate, executor_->read<float>(kRate));
  ITO_ASSIGN(const auto decoder, executor_->read<float>(kDecoder));
  std::vector<ImageBound> results;
  for (size_t i = 0; i < indices.size(); ++i) {
    results.push_back(
        {.image = indices[i], .prior = prior[i], .rate = rate[i], .decoder = decoder[i]});
    if (!std::isfinite(results.back().total()))
      return invalid_argument(
          "the bound of image {} is not finite: the model gives numbers that are not", indices[i]);
    prior_ += prior[i];
  }
  for (const auto& [name, total] :
       {std::pair{kTerms, &terms_}, {kSquares, &squares_}, {kErrors, &errors_}}) {
    ITO_ASSIGN(const auto sums, executor_->read<float>(name));
    for (size_t k = 0; k < sums.size(); ++k) (*total)[k] += sums[k];
  }
  count_ += count;
  return results;
}

std::vector<RateDistortion> BoundMeter::curve() const {
  std::vector<RateDistortion> rows;
  if (count_ == 0) return rows;
  const double n = static_cast<double>(count_);
  double sent = prior_ / n;
  for (size_t k = terms_.size(); k-- > 0;) {
    RateDistortion row{.timestep = strata_.first[k],
                       .term = mean_and_error(terms_[k], squares_[k], count_),
                       .rate = sent,
                       .distortion = kByteScale * std::sqrt(errors_[k] / n)};
    sent += row.term.mean;
    rows.push_back(row);
  }
  return rows;
}

}  // namespace ito
