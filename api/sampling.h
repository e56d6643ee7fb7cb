// SamplingSession: images from a diffusion model, the whole loop on the device. Image i of a seed
// depends only on model, method, seed and class, never on which images share its batch.
// Not for files (apps) and not for the choice of a method's mathematics (diffusion/).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "api/autoencoder.h"
#include "api/device_weights.h"
#include "api/model.h"
#include "api/ode_solver.h"
#include "api/sampling_loop.h"
#include "diffusion/torch_rng.h"
#include "runtime/executor.h"

namespace ito {

// What identifies one image.
struct SampleRequest {
  uint32_t seed = 0;
  uint32_t label = 0;    // class; not used by a model without classes
  uint32_t context = 0;  // row of SampleOptions::context; not used without
};

class SamplingSession {
 public:
  // weights: the network's, cut for this device (Network::for_device), read at each sample().
  // Errors: a sampler, step count or size that the model's schedule or network does not allow; of
  // the device.
  static Result<std::unique_ptr<SamplingSession>> create(vk::Device& device, const Network& network,
                                                         const SchedulerConfig& scheduler,
                                                         const DeviceWeights& weights,
                                                         const SampleOptions& options);
  // The same with the model's own weights uploaded.
  static Result<std::unique_ptr<SamplingSession>> create(vk::Device& device, const Model& model,
                                                         const SampleOptions& options);

  // Images of the requests (1 to batch()), [requests, h, w, c] in about [-1, 1]. Waits once, at the
  // end (previews are read behind the device's back). after_step (may be empty) is called when a
  // step was submitted; false stops with kInterrupted. Errors: a label outside the model's classes;
  // a model's output or a sample that is not finite, naming the step.
  Result<std::vector<float>> sample(std::span<const SampleRequest> requests,
                                    const std::function<bool()>& after_step = {});
  // The same from x [requests, h, w, c]: with SampleOptions::initial pictures that are noised as
  // far as that says, without it what the method begins at, taken as it is (latents, or the
  // pictures of a sampler that makes latents of them).
  Result<std::vector<float>> sample_from(std::span<const float> x,
                                         std::span<const SampleRequest> requests,
                                         const std::function<bool()>& after_step = {});

  // Asks sample() for the estimates of x_0 after every `every`-th step: `preview` gets the step
  // (from 1) and the images of all requests. Samplers of a solver only. Before the first sample().
  Status preview(int every,
                 std::function<void(int step, const std::vector<float>& images)> preview);

  int64_t batch() const { return loop_.shape[0]; }
  // Replays of one sample(); 0 for the probability flow, which takes as many as it needs.
  int steps() const { return loop_.steps(); }
  // Classes that the labels of requests may have; 0: labels are not used.
  int classes() const { return loop_.classes; }
  // Of `requests` images (of a model on latents: of the pictures).
  Shape shape(int64_t requests) const;

 private:
  SamplingSession() = default;
  // What the images are told besides time: `rows` and `labels` [batch()] into the program's inputs.
  Status write_conditioning(const std::vector<uint32_t>& labels, const std::vector<uint32_t>& rows);
  Status prepare_steps(vk::Device& device, const DeviceWeights& weights,
                       const SampleControl* control);
  Status prepare_flow(vk::Device& device, const DeviceWeights& weights, const OdeOptions& options);
  std::vector<float> picture_noise_of(const std::vector<uint32_t>& seeds, uint32_t stream);
  Status write_inpainting(const std::vector<uint32_t>& seeds);
  // Sets x to where a run of these seeds begins; given: x or pictures [batch(), h, w, c], or empty.
  Status start(const std::vector<uint32_t>& seeds, std::vector<float> given);
  Status begin_at(const std::vector<float>& x, const std::vector<uint32_t>& seeds);
  Result<std::vector<float>> run(std::span<const float> x, std::span<const SampleRequest> requests,
                                 const std::function<bool()>& after_step);
  Status run_steps(int64_t count, const std::function<bool()>& after_step);
  Status show_previews(std::deque<std::pair<int, vk::ReadTicket>>& previews, int64_t count,
                       bool wait);

  SampleOptions options_;
  SamplingLoop loop_;
  std::vector<TorchGenerator> torch_;  // of RandomSource::kTorch, one an image
  int preview_every_ = 0;
  std::function<void(int, const std::vector<float>&)> preview_;
  const ContextStates* context_ = nullptr;
  std::unique_ptr<Executor> start_;         // sets x to noise
  std::unique_ptr<Executor> step_;          // null for the flow
  std::unique_ptr<OdeSolver> solver_;       // of the flow
  std::unique_ptr<LatentDecoder> decoder_;  // of a model on latents
};

// The plan of one sampling step (of the flow: one attempted step), without a device.
Result<Plan> sampling_plan(const Network& network, const SchedulerConfig& scheduler,
                           const SampleOptions& options, const DeviceCaps& caps);

}  // namespace ito
