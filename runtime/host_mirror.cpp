#include "runtime/host_mirror.h"

#include <cstring>

#include "base/check.h"

namespace ito {

bool HostMirror::needed(vk::Device& device, const DeviceTensor& tensor) {
  const vk::Buffer& buffer = *tensor.buffer();
  return !device.queue().can_submit() && !(buffer.mapped() != nullptr && buffer.host_cached());
}

Status HostMirror::add(vk::Device& device, const DeviceTensor& tensor) {
  ITO_ASSIGN(vk::Buffer host, device.memory().allocate(tensor.size(), vk::MemoryUse::kReadback));
  entries_.push_back({tensor, std::move(host)});
  return {};
}

void HostMirror::record(vk::CommandRecorder& recorder) const {
  recorder.begin_barrier();
  for (const Entry& entry : entries_)
    recorder.copy(*entry.tensor.buffer(), entry.tensor.offset(), entry.host, 0,
                  entry.tensor.size());
  recorder.end_barrier();
}

Status HostMirror::read(const DeviceTensor& tensor, std::span<std::byte> bytes) const {
  for (const Entry& entry : entries_)
    if (entry.tensor.buffer() == tensor.buffer() && entry.tensor.offset() == tensor.offset()) {
      CHECK(bytes.size() == tensor.size(), "a mirrored tensor is read as a whole");
      std::memcpy(bytes.data(), entry.host.mapped(), bytes.size());
      return {};
    }
  return tensor.read(bytes);
}

}  // namespace ito
