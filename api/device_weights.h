// DeviceWeights: the parameters of a network on a device, in one tensor per segment of its set, to
// be bound to programs. Not the weights of a file or on the host (api/model.h), and not what a
// network is called to be cut for a device (Network::for_device).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nn/scope.h"
#include "nn/train_step.h"
#include "runtime/device_tensor.h"
#include "runtime/vk/device.h"

namespace ito {

class DeviceWeights {
 public:
  DeviceWeights() = default;
  // f32 [segment.size] of every segment, in order.
  explicit DeviceWeights(std::vector<DeviceTensor> segments) : segments_(std::move(segments)) {}
  // weights: [set.size()], of a set that was cut for this device. Errors: of the device.
  static Result<DeviceWeights> upload(vk::Device& device, const ParameterSet& set,
                                      std::span<const float> weights);

  // Gives them to the inputs called `name` (flat_inputs of nn/scope.h) of an Executor or OdeSolver.
  template <typename Target>
  Status bind(Target& target, std::string_view name = state_name::kParameters) const {
    for (size_t k = 0; k < segments_.size(); ++k)
      ITO_TRY(target.bind(segment_name(name, k, segments_.size()), segments_[k]));
    return {};
  }

  // The flat numbers, one segment after the other: all of them, or those from number `first` on.
  // Waits.
  Result<std::vector<float>> read() const;
  Status read_part(int64_t first, std::span<float> numbers) const;

 private:
  std::vector<DeviceTensor> segments_;
};

}  // namespace ito
