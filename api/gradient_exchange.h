// GradientExchange: sums what lies on the devices of several ranks, through their hosts, bucket by
// bucket: while one is summed over the ranks the device copies the next to the host and the last
// one back. Not for what is summed, nor when (api/training.h).
#pragma once

#include <cstdint>
#include <vector>

#include "ranks/ranks.h"
#include "runtime/device_tensor.h"
#include "runtime/vk/device.h"
#include "runtime/vk/staging.h"

namespace ito {

class GradientExchange {
 public:
  // f32 tensors of `device`, which must outlive it.
  GradientExchange(vk::Device& device, std::vector<DeviceTensor> tensors);

  // What the tensors hold behind all that was submitted becomes the sum over all ranks
  // (Ranks::sum), before whatever is submitted later. Waits for the device and the ranks.
  Status sum(const Ranks& ranks);

 private:
  // Part of a tensor, in bytes.
  struct Bucket {
    DeviceTensor tensor;
    uint64_t offset = 0, size = 0;
  };
  std::vector<Bucket> buckets_;
  vk::ReadbackPool down_;
  vk::UploadRing up_;
};

}  // namespace ito
