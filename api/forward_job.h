// ForwardJob: one evaluation of a network on what its host gives it, as a Job (api/job.h). The
// numbers are those of api/forward.h for the same inputs, bit by bit.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "api/device_weights.h"
#include "api/job.h"
#include "nn/network.h"

namespace ito {

struct ForwardJobOptions {
  int64_t batch = 1;
  int64_t height = 0, width = 0;  // 0: the network's sample_size
  int64_t context = 0;            // states of a context, where the network attends to one
  DType multiply = DType::kF32;   // as Program::multiply
  bool weights_change = false;    // others may write them between runs
  KernelOrigin origin = {};       // for errors
};

class ForwardJob : public Job {
 public:
  // weights: the network's, cut for this device. Compiles and, where the device has a queue,
  // runs it a few times to measure it; waits. Inputs: kSample [n,h,w,c]; kTimesteps [n], kClasses
  // (u32 [n], or f32 as the signature says), kContext [n,length,features], kGuidance and kLatent
  // [n,features] where the network is told them. Errors: a size that the network does not take; a
  // context without a length.
  static Result<std::unique_ptr<ForwardJob>> create(vk::Device& device, const Network& network,
                                                    const DeviceWeights& weights,
                                                    const ForwardJobOptions& options);
  // The plans of such a job on a device of these capabilities. Errors: the same.
  static Result<std::vector<Plan>> plans(const DeviceCaps& caps, const Network& network,
                                         const ForwardJobOptions& options);

  // Evaluates what the inputs hold, anew.
  Status begin();
  int64_t step() const override { return done() ? 1 : 0; }
  int64_t steps() const override { return 1; }
  const Shape& shape() const override { return result_.shape(); }
  Status check() override;

 private:
  // The network's plan, and what it is given.
  struct Parts {
    size_t network = 0;
    std::vector<PlannedInput> inputs;
  };
  ForwardJob() = default;
  static Result<Parts> planned(PlannedPrograms& programs, const Network& network,
                               const ForwardJobOptions& options);

  std::unique_ptr<Executor> network_;
  bool weights_change_ = false;
};

}  // namespace ito
