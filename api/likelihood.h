// LikelihoodMeter: exact log-likelihoods of 8-bit images under a model's probability flow, batch
// by batch. What is integrated: diffusion/likelihood.h. Not for printing (apps).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "api/flow.h"
#include "diffusion/likelihood.h"
#include "io/dataset.h"

namespace ito {

struct LikelihoodSettings {
  LikelihoodOptions likelihood;
  OdeOptions ode;
  int64_t batch = 16;
  int64_t max_evaluations = 10'000;  // per image
  uint64_t seed = 0;                 // of dequantisation and probes
  // true: x = (b + u)/128 - 1 with u uniform in (0,1), a bound for the bytes b. false: the density
  // at x = b/127.5 - 1 itself, which a model can make as large as it likes.
  bool dequantise = true;
};

struct ImageLikelihood {
  int64_t image = 0;       // index in the data set
  double log_density = 0;  // nats, of x at the flow's start; mean over probes
  double bits_per_dim = 0;
  double probe_error = 0;  // standard error of bits_per_dim over probes; 0 with fewer than two
  uint32_t evaluations = 0, rejections = 0;
};

// Of images measured independently, in bits/dim.
struct LikelihoodSummary {
  double mean = 0;
  double standard_error = 0;               // over images (which the probes' scatter is a part of)
  double probe_standard_error = 0;         // that part
  double log_density = 0;                  // mean, nats per image
  double evaluations = 0, rejections = 0;  // mean per image
};
LikelihoodSummary summarise(std::span<const ImageLikelihood> images);

class LikelihoodMeter {
 public:
  // `model` is needed while it is made only. Errors: settings out of range, device.
  static Result<std::unique_ptr<LikelihoodMeter>> create(vk::Device& device, const ModelFlow& model,
                                                         const LikelihoodSettings& settings);
  // The images of these indices (1 to batch()). data: of the model's size and channels, with labels
  // where the model has classes (then ln p(x | class)). A result depends on model, settings and the
  // image's index, not on its batch. after_attempt as in OdeSolver::solve. Waits.
  Result<std::vector<ImageLikelihood>> measure(const ImageDataset& data,
                                               std::span<const int64_t> indices,
                                               const std::function<bool()>& after_attempt = {});

  int64_t batch() const { return settings_.batch; }
  int64_t dimensions() const { return image_.numel(); }

 private:
  LikelihoodMeter() = default;
  Status write_batch(const ImageDataset& data, std::span<const int64_t> indices);

  LikelihoodSettings settings_;
  Shape image_;
  int classes_ = 0;
  double start_ = 0, end_ = 1, prior_std_ = 1;
  std::unique_ptr<OdeSolver> solver_;
  std::unique_ptr<Executor> dequantise_, probes_;  // null where not wanted
};

}  // namespace ito
