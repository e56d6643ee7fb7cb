// A trained model as a probability flow, and FlowCoder: images to latents and back along it,
// for interpolation and for judging. Not for likelihoods (api/likelihood.h).
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "api/model.h"
#include "api/ode_solver.h"
#include "diffusion/probability_flow.h"

namespace ito {

// What likelihoods and encoders need of a model, of whatever kind it is.
struct ModelFlow {
  // Its score adds the input "params" (flat_inputs of nn/scope.h) and, for a model with classes,
  // "labels" (u32 [n], api/task.h) to the graph it is used in.
  ProbabilityFlow flow;
  Shape image;      // [h, w, c]
  int classes = 0;  // 0: no labels
  Network network;
  SchedulerConfig scheduler;
  std::span<const float> weights;
};

// `model` must outlive the result, which refers to its weights. Its flow is density_flow of
// api/model_score.h. Errors: a model without sample_size, a network or a prediction that has no
// flow.
Result<ModelFlow> model_flow(const Model& model);
// The same with the network cut for a device. Error: a parameter that is too large for it.
Result<ModelFlow> flow_on_device(const ModelFlow& model, const DeviceCaps& caps);

// Binds the weights of a flow on this device to a solver.
Status bind_weights(vk::Device& device, const ModelFlow& model, OdeSolver& solver);

// `values` for a batch of n rows, the last row repeated. Errors: more rows than n, or none, or a
// length that is no whole number of rows.
Result<std::vector<float>> padded_batch(std::span<const float> values, int64_t row, int64_t n);
// Labels the same way; for a model without classes there must be none. Errors: a label that the
// model does not have, a number of labels other than `rows`.
Result<std::vector<uint32_t>> padded_labels(std::span<const uint32_t> labels, int64_t rows,
                                            int64_t n, int classes);

struct FlowCoderOptions {
  OdeOptions ode;
  int64_t batch = 16;
  int64_t max_evaluations = 10'000;  // per image
};

class FlowCoder {
 public:
  // `model` and what it refers to must outlive the session's making only.
  static Result<std::unique_ptr<FlowCoder>> create(vk::Device& device, const ModelFlow& model,
                                                   const FlowCoderOptions& options);
  // Images [k, h, w, c] in about [-1, 1], k from 1 to batch(), to latents of the same shape, about
  // N(0, prior_std² I); and back. labels [k] for a model with classes, else empty. An image's
  // result does not depend on the others. after_attempt as in OdeSolver::solve. Waits.
  Result<std::vector<float>> encode(std::span<const float> images,
                                    std::span<const uint32_t> labels = {},
                                    const std::function<bool()>& after_attempt = {});
  Result<std::vector<float>> decode(std::span<const float> latents,
                                    std::span<const uint32_t> labels = {},
                                    const std::function<bool()>& after_attempt = {});

  int64_t batch() const { return batch_; }
  double prior_std() const { return prior_std_; }

 private:
  FlowCoder() = default;
  Result<std::vector<float>> follow(std::span<const float> x, std::span<const uint32_t> labels,
                                    double from, double to,
                                    const std::function<bool()>& after_attempt);

  std::unique_ptr<OdeSolver> solver_;
  int64_t batch_ = 0, row_ = 0;
  int classes_ = 0;
  double start_ = 0, end_ = 1, prior_std_ = 1;
  int64_t max_evaluations_ = 0;
};

}  // namespace ito
