#include "runtime/device_tensor.h"

#include "base/check.h"
#include "base/error.h"

namespace ito {
namespace {

uint64_t round_up_4(uint64_t bytes) { return (bytes + 3) / 4 * 4; }

uint64_t byte_size(DType dtype, const Shape& shape) {
  return static_cast<uint64_t>(shape.numel()) * dtype_size(dtype);
}

}  // namespace

Result<DeviceTensor> DeviceTensor::create(vk::Device& device, DType dtype, Shape shape) {
  const uint64_t size = round_up_4(byte_size(dtype, shape));
  ITO_ASSIGN(vk::Buffer buffer, device.memory().allocate(size, vk::MemoryUse::kDevice));
  ITO_TRY(vk::fill_now(device, buffer, 0, size, 0));
  return view(device, std::make_shared<const vk::Buffer>(std::move(buffer)), 0, dtype,
              std::move(shape));
}

Result<DeviceTensor> DeviceTensor::view(vk::Device& device,
                                        std::shared_ptr<const vk::Buffer> buffer, uint64_t offset,
                                        DType dtype, Shape shape) {
  CHECK(offset % 4 == 0, "a view of a buffer must start at a multiple of 4 bytes");
  DeviceTensor tensor;
  tensor.size_ = byte_size(dtype, shape);
  if (offset > buffer->size() || tensor.size_ > buffer->size() - offset)
    return invalid_argument("a tensor {} {} needs {} bytes from byte {}; its buffer has {}",
                            dtype_name(dtype), shape.to_string(), tensor.size_, offset,
                            buffer->size());
  tensor.device_ = &device;
  tensor.buffer_ = std::move(buffer);
  tensor.offset_ = offset;
  tensor.dtype_ = dtype;
  tensor.shape_ = std::move(shape);
  return tensor;
}

Status DeviceTensor::write(std::span<const std::byte> data) const {
  CHECK(valid(), "writing an empty tensor");
  if (data.size() != size_)
    return invalid_argument("a tensor {} {} holds {} bytes, {} were given", dtype_name(dtype_),
                            shape_.to_string(), size_, data.size());
  return vk::upload_now(*device_, *buffer_, offset_, data);
}

Status DeviceTensor::read(std::span<std::byte> data) const {
  CHECK(valid(), "reading an empty tensor");
  if (data.size() != size_)
    return invalid_argument("a tensor {} {} holds {} bytes, {} were asked for", dtype_name(dtype_),
                            shape_.to_string(), size_, data.size());
  return read_part(0, data);
}

Status DeviceTensor::read_part(uint64_t begin, std::span<std::byte> data) const {
  CHECK(valid() && begin <= size_ && data.size() <= size_ - begin, "a part of a tensor");
  return vk::download_now(*device_, *buffer_, offset_ + begin, data);
}

}  // namespace ito
