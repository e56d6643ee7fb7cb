// HostMirror: copies of a few tensors in memory that the host sees, made by commands in anybody's
// command buffers. For a device without a queue of its own, whose memory the host does not see
// (where it does, or where there is a queue: DeviceTensor::read).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/result.h"
#include "runtime/device_tensor.h"
#include "runtime/vk/command_buffer.h"

namespace ito {

class HostMirror {
 public:
  // Whether a tensor of this device has to be mirrored to be read.
  static bool needed(vk::Device& device, const DeviceTensor& tensor);
  // Errors: kOutOfMemory.
  Status add(vk::Device& device, const DeviceTensor& tensor);
  // Copies all of them, behind the commands that came before on the queue.
  void record(vk::CommandRecorder& recorder) const;
  // The bytes as the newest executed copy left them; of a tensor that was not added, those that
  // DeviceTensor::read gives.
  Status read(const DeviceTensor& tensor, std::span<std::byte> bytes) const;
  bool empty() const { return entries_.empty(); }

 private:
  struct Entry {
    DeviceTensor tensor;
    vk::Buffer host;
  };
  std::vector<Entry> entries_;
};

}  // namespace ito
