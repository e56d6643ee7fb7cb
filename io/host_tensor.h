// HostTensor: a named-type array in host memory as files hold it, and its conversions to what the
// rest of Ito computes with. Not for layout changes (io/layout.h) and not for device buffers.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/half.h"
#include "base/result.h"
#include "base/shape.h"
#include "io/tensor_bytes.h"

namespace ito {

// Element types of files; wider than DType (base/dtype.h), which lists what devices compute with.
enum class HostType : uint8_t {
  kBool,  // one byte, 0 or 1
  kU8,
  kI8,
  kU16,
  kI16,
  kF16,
  kBF16,
  kU32,
  kI32,
  kF32,
  kU64,
  kI64,
  kF64,
};

// Bytes of one element.
size_t host_type_size(HostType type);
// F16, BF16, F32 or F64.
bool is_floating(HostType type);
// The safetensors spelling: "BOOL", "U8", … "F32", "I64", "F64".
std::string_view host_type_name(HostType type);
std::optional<HostType> host_type_from_name(std::string_view name);

// Row-major, little-endian, no padding: bytes.size() == shape.numel() * host_type_size(type).
struct HostTensor {
  HostType type = HostType::kF32;
  Shape shape;
  TensorBytes bytes;

  bool operator==(const HostTensor&) const = default;
};

// What a safetensors or NPZ file holds: tensors by name, and free text by key.
struct TensorFile {
  std::map<std::string, HostTensor> tensors;
  std::map<std::string, std::string> metadata;
  // Tensors of element types that are not in HostType, with the type's name: not read.
  std::map<std::string, std::string> unread = {};

  bool operator==(const TensorFile&) const = default;
};

// Tensors from values; values.size() must be shape.numel().
HostTensor tensor_from_floats(Shape shape, const std::vector<float>& values);
HostTensor tensor_from_uint32(Shape shape, const std::vector<uint32_t>& values);
HostTensor tensor_from_int64(Shape shape, const std::vector<int64_t>& values);
HostTensor tensor_from_bytes(Shape shape, const std::vector<uint8_t>& values);

// Calls f with a function from an element's index to its value, in the stored type's nearest C++
// type: what loops over elements without a copy of them.
template <typename F>
void with_elements(const HostTensor& tensor, F&& f) {
  const uint8_t* bytes = tensor.bytes.data();
  const auto as = [bytes]<typename T>(T) {
    return [bytes](size_t i) {
      T value;
      std::memcpy(&value, bytes + i * sizeof(T), sizeof(T));
      return value;
    };
  };
  switch (tensor.type) {
    case HostType::kBool:
      return f([bytes](size_t i) { return static_cast<uint8_t>(bytes[i] != 0); });
    case HostType::kU8:
      return f(as(uint8_t{}));
    case HostType::kI8:
      return f(as(int8_t{}));
    case HostType::kU16:
      return f(as(uint16_t{}));
    case HostType::kI16:
      return f(as(int16_t{}));
    case HostType::kF16:
      return f([half = as(uint16_t{})](size_t i) { return half_to_float(half(i)); });
    case HostType::kBF16:
      return f([half = as(uint16_t{})](size_t i) { return bfloat16_to_float(half(i)); });
    case HostType::kU32:
      return f(as(uint32_t{}));
    case HostType::kI32:
      return f(as(int32_t{}));
    case HostType::kF32:
      return f(as(float{}));
    case HostType::kU64:
      return f(as(uint64_t{}));
    case HostType::kI64:
      return f(as(int64_t{}));
    case HostType::kF64:
      return f(as(double{}));
  }
}

// Values of any floating, integer or BOOL tensor as fp32 (F64 and wide integers are rounded to
// nearest). Never fails.
std::vector<float> to_floats(const HostTensor& tensor);
// Values of an integer or BOOL tensor. Error kCorrupt naming `name` and the type when it is
// floating, or when a U64 value does not fit.
Result<std::vector<int64_t>> to_int64(const HostTensor& tensor, std::string_view name);
// Words of a U32 tensor. Error kCorrupt naming `name` and the type otherwise.
Result<std::vector<uint32_t>> to_uint32(const HostTensor& tensor, std::string_view name);

// The number of elements of an untrusted shape, or nothing if an extent is negative or the bytes
// would overflow 63 bits.
std::optional<int64_t> checked_numel(const std::vector<int64_t>& dims, size_t element_size);

// The tensor of that name, or an error kNotFound naming file and tensor.
Result<const HostTensor*> find_tensor(const TensorFile& file, const std::string& name,
                                      std::string_view where);

}  // namespace ito
