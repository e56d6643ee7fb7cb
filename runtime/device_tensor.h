// DeviceTensor: a range of device memory with a dtype and a shape, shared by copies of this value,
// so that several executors can work on one parameter. Not for graph tensors (graph/).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "base/shape.h"
#include "runtime/vk/device.h"
#include "runtime/vk/staging.h"

namespace ito {

class DeviceTensor {
 public:
  DeviceTensor() = default;
  // Zero-filled memory for `shape` elements of `dtype`, row-major. Errors: kOutOfMemory.
  static Result<DeviceTensor> create(vk::Device& device, DType dtype, Shape shape);
  // A view of `buffer` from byte `offset` (a multiple of 4) on. Errors: the buffer is too small.
  static Result<DeviceTensor> view(vk::Device& device, std::shared_ptr<const vk::Buffer> buffer,
                                   uint64_t offset, DType dtype, Shape shape);

  bool valid() const { return buffer_ != nullptr; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  uint64_t size() const { return size_; }  // bytes
  uint64_t address() const { return buffer_->address() + offset_; }
  const std::shared_ptr<const vk::Buffer>& buffer() const { return buffer_; }
  uint64_t offset() const { return offset_; }  // within buffer()

  // All wait for all work that Ito submitted to the device. Errors: not exactly size() bytes,
  // device lost.
  Status write(std::span<const std::byte> data) const;
  Status read(std::span<std::byte> data) const;
  // The bytes from `begin` on, of which there must be as many.
  Status read_part(uint64_t begin, std::span<std::byte> data) const;

 private:
  vk::Device* device_ = nullptr;
  std::shared_ptr<const vk::Buffer> buffer_;
  uint64_t offset_ = 0;
  uint64_t size_ = 0;
  DType dtype_ = DType::kF32;
  Shape shape_;
};

// The bytes of a vector of numbers.
template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}
template <typename T>
std::span<std::byte> writable_bytes_of(std::vector<T>& values) {
  return std::as_writable_bytes(std::span(values));
}

}  // namespace ito
