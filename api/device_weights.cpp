#include "api/device_weights.h"

#include <algorithm>

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
  size_t bytes = 0;
  for (const DeviceTensor& segment : segments_) bytes += segment.size();
  std::vector<float> weights(bytes / sizeof(float));
  ITO_TRY(read_part(0, weights));
  return weights;
}

Status DeviceWeights::read_part(int64_t first, std::span<float> numbers) const {
  uint64_t skipped = static_cast<uint64_t>(first) * sizeof(float);
  for (const DeviceTensor& segment : segments_) {
    if (numbers.empty()) break;
    if (skipped >= segment.size()) {
      skipped -= segment.size();
      continue;
    }
    const size_t count =
        std::min(numbers.size(), static_cast<size_t>(segment.size() - skipped) / sizeof(float));
    ITO_TRY(segment.read_part(skipped, std::as_writable_bytes(numbers.first(count))));
    numbers = numbers.subspan(count);
    skipped = 0;
  }
  CHECK(numbers.empty(), "more weights than there are");
  return {};
}

}  // namespace ito
