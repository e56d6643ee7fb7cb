// SamplingSession: images from a diffusion model, the whole loop on the device. Image i of a seed
// depends only on model, method, seed and class, never on which images share its batch.
// Not for files (apps) and not for the choice of a method's mathematics (diffusion/).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "api/model.h"
#include "diffusion/sampler.h"
#include "runtime/executor.h"

namespace ito {

struct SampleOptions {
  std::string sampler = "ddim";  // diffusion/samplers.h
  int steps = 50;
  double eta = 0;  // ddim
  int64_t batch = 16;
  int height = 0, width = 0;  // 0: the model's sample_size
};

// What identifies one image.
struct SampleRequest {
  uint32_t seed = 0;
  uint32_t label = 0;  // class; not used by a model without classes
};

class SamplingSession {
 public:
  // weights: f32 [set.size()] on the device, read at each sample(); `set` must outlive the session.
  // Errors: a sampler, step count or size that the model's schedule or network does not allow; of
  // the device.
  static Result<std::unique_ptr<SamplingSession>> create(
      vk::Device& device, const UNet2DConfig& unet, const SchedulerConfig& scheduler,
      const ParameterSet& set, DeviceTensor weights, const SampleOptions& options);
  // The same with the model's own weights uploaded. `model` must outlive the session.
  static Result<std::unique_ptr<SamplingSession>> create(vk::Device& device, const Model& model,
                                                         const SampleOptions& options);

  // Images of the requests (1 to batch()), [requests, h, w, c] in about [-1, 1]. Waits once, at the
  // end. after_step (may be empty) is called when a step was submitted; false stops with
  // kInterrupted. Errors: a label outside the model's classes.
  Result<std::vector<float>> sample(std::span<const SampleRequest> requests,
                                    const std::function<bool()>& after_step = {});

  int64_t batch() const { return shape_[0]; }
  int steps() const { return steps_; }
  // Of `requests` images.
  Shape shape(int64_t requests) const;
  const Plan& plan() const { return step_->plan(); }

 private:
  SamplingSession() = default;

  Shape shape_;
  int steps_ = 0;
  int classes_ = 0;
  std::vector<std::string> history_;
  std::unique_ptr<Executor> start_;  // sets x to noise
  std::unique_ptr<Executor> step_;
};

// The plan of one sampling step, without a device.
Result<Plan> sampling_plan(const UNet2DConfig& unet, const SchedulerConfig& scheduler,
                           const ParameterSet& set, const SampleOptions& options,
                           const DeviceCaps& caps);

}  // namespace ito
