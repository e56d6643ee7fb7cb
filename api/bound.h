// BoundMeter: the variational bound of 8-bit images under a model of a discrete chain, batch by
// batch, split into L_T, Σ L_t and L_0, with the rate-distortion curve (Ho et al. 2020, section
// 4.3). What a term is: diffusion/variational_bound.h. Not for printing (apps) and not the exact
// likelihood (api/likelihood.h).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/model.h"
#include "diffusion/bound_program.h"
#include "io/dataset.h"
#include "runtime/executor.h"
#include "statistics/mean.h"

namespace ito {

struct BoundSettings {
  int terms = 0;  // terms evaluated per image; 0: all (diffusion/bound_program.h)
  int64_t batch = 16;
  uint64_t seed = 0;
  // In place of the scheduler's variance_type, of those that the network can say.
  std::optional<VarianceType> variance;
  DecoderCdf cdf = DecoderCdf::kTanh;
};

// In bits per dimension.
struct ImageBound {
  int64_t image = 0;   // index in the data set
  double prior = 0;    // L_T
  double rate = 0;     // Σ L_t, t >= 1
  double decoder = 0;  // L_0
  double total() const { return prior + rate + decoder; }
};

// Over images.
struct BoundSummary {
  MeanAndError total, prior, rate, decoder;
};
BoundSummary summarise(std::span<const ImageBound> images);

// One stratum of timesteps, over all images measured, with standard errors over them. From the
// noisiest on, `rate` is what has been sent so far, L_T included, and `distortion` how far the
// estimate of x_0 then is from the image.
struct RateDistortion {
  int timestep = 0;         // the stratum's first
  MeanAndError term;        // the stratum's part of the bound
  MeanAndError rate;        // L_T + Σ of the terms from the last timestep to here
  MeanAndError distortion;  // root of the mean squared error, on the scale 0 to 255
};

// What a model's images are, [h, w, c]. Error: it does not say.
Result<Shape> bound_image(const Model& model);

class BoundMeter {
 public:
  // `model` must outlive the session's making only. Errors: a model of another process, settings
  // out of range, device.
  static Result<std::unique_ptr<BoundMeter>> create(vk::Device& device, const Model& model,
                                                    const BoundSettings& settings);
  // The images of these indices (1 to batch()). data: of the model's size and channels, with labels
  // where the model has classes. A result depends on model, settings and the image's index, not on
  // its batch. Waits at the end.
  Result<std::vector<ImageBound>> measure(const ImageDataset& data,
                                          std::span<const int64_t> indices);
  // Of all images measured so far, by falling timestep; L_0 is the last row's own.
  std::vector<RateDistortion> curve() const;

  int64_t batch() const { return settings_.batch; }
  int64_t dimensions() const { return image_.numel(); }
  int terms() const { return strata_.count(); }

 private:
  BoundMeter() = default;
  // Adds an image's terms and errors, [strata], to the means.
  ImageBound add_image(int64_t image, double prior, std::span<const float> terms,
                       std::span<const float> errors);

  BoundSettings settings_;
  Shape image_;
  int classes_ = 0;
  BoundStrata strata_;
  std::unique_ptr<Executor> executor_;
  // Of a stratum, over all images.
  struct StratumMeans {
    RunningMean term, rate, error;
  };
  std::vector<StratumMeans> means_;
  int64_t count_ = 0;
};

}  // namespace ito
