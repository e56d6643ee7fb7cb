#include "api/device_weights.h"

#include "base/check.h"

namespace ito {

Result<DeviceWeights> DeviceWeights::upload(vk::Device& device, const ParameterSet& set,
                                            std::span<const float> weights) {
  CHECK(static_cast<int64_t>(weights.size()) == set.size(), "weights of another set");
  std::vector<DeviceTensor> segments;
  for (const Segment& segment : set.segments()) {
    ITO_ASSIGN(DeviceTensor tensor, DeviceTensor::create(device, DType::kF32, Shape{segment.size}));
    ITO_TRY(tensor.write(std::as_bytes(
        weights.subspan(static_cast<size_t>(segment.first), static_cast<size_t>(segment.size)))));
    segments.push_back(std::move(tensor));
  }
  return DeviceWeights(std::move(segments));
}

Result<std::vector<float>> DeviceWeights::read() const {
  std::vector<float> weights;
  for (const DeviceTensor& segment : segments_) {
    const size_t first = weights.size();
    weights.resize(first + segment.size() / sizeof(float));
    ITO_TRY(segment.read(std::as_writable_bytes(std::span(weights).subspan(first))));
  }
  return weights;
}

}  // namespace ito
