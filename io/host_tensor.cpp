#include "io/host_tensor.h"

#include <array>
#include <bit>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "base/error.h"

namespace ito {
namespace {

static_assert(std::endian::native == std::endian::little,
              "file formats here are little-endian and read without swapping");

struct Row {
  HostType type;
  std::string_view name;
  size_t size;
};
constexpr std::array<Row, 13> kRows = {{{HostType::kBool, "BOOL", 1},
                                        {HostType::kU8, "U8", 1},
                                        {HostType::kI8, "I8", 1},
                                        {HostType::kU16, "U16", 2},
                                        {HostType::kI16, "I16", 2},
                                        {HostType::kF16, "F16", 2},
                                        {HostType::kBF16, "BF16", 2},
                                        {HostType::kU32, "U32", 4},
                                        {HostType::kI32, "I32", 4},
                                        {HostType::kF32, "F32", 4},
                                        {HostType::kU64, "U64", 8},
                                        {HostType::kI64, "I64", 8},
                                        {HostType::kF64, "F64", 8}}};

template <typename T>
HostTensor tensor_of(HostType type, Shape shape, const std::vector<T>& values) {
  CHECK(shape.numel() == static_cast<int64_t>(values.size()),
        fmt::format("{} values for shape {}", values.size(), shape.to_string()));
  std::vector<uint8_t> bytes(values.size() * sizeof(T));
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return HostTensor{type, std::move(shape), std::move(bytes)};
}

}  // namespace

size_t host_type_size(HostType type) { return kRows[static_cast<size_t>(type)].size; }

std::string_view host_type_name(HostType type) { return kRows[static_cast<size_t>(type)].name; }

std::optional<HostType> host_type_from_name(std::string_view name) {
  for (const Row& row : kRows)
    if (row.name == name) return row.type;
  return std::nullopt;
}

bool is_floating(HostType type) {
  return type == HostType::kF16 || type == HostType::kBF16 || type == HostType::kF32 ||
         type == HostType::kF64;
}

HostTensor tensor_from_floats(Shape shape, const std::vector<float>& values) {
  return tensor_of(HostType::kF32, std::move(shape), values);
}

HostTensor tensor_from_uint32(Shape shape, const std::vector<uint32_t>& values) {
  return tensor_of(HostType::kU32, std::move(shape), values);
}

HostTensor tensor_from_int64(Shape shape, const std::vector<int64_t>& values) {
  return tensor_of(HostType::kI64, std::move(shape), values);
}

HostTensor tensor_from_bytes(Shape shape, const std::vector<uint8_t>& values) {
  return tensor_of(HostType::kU8, std::move(shape), values);
}

std::vector<float> to_floats(const HostTensor& tensor) {
  std::vector<float> values(tensor.bytes.size() / host_type_size(tensor.type));
  with_elements(tensor, [&](auto element) {
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(element(i));
  });
  return values;
}

Result<std::vector<int64_t>> to_int64(const HostTensor& tensor, std::string_view name) {
  switch (tensor.type) {
    case HostType::kF16:
    case HostType::kBF16:
    case HostType::kF32:
    case HostType::kF64:
      return corrupt("tensor {}: expected integers, found {}", name, host_type_name(tensor.type));
    default:
      break;
  }
  std::vector<int64_t> values(tensor.bytes.size() / host_type_size(tensor.type));
  with_elements(tensor, [&](auto element) {
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int64_t>(element(i));
  });
  if (tensor.type == HostType::kU64)
    for (int64_t value : values)
      if (value < 0) return corrupt("tensor {}: a U64 value exceeds 2^63 - 1", name);
  return values;
}

Result<std::vector<uint32_t>> to_uint32(const HostTensor& tensor, std::string_view name) {
  if (tensor.type != HostType::kU32)
    return corrupt("tensor {}: expected U32, found {}", name, host_type_name(tensor.type));
  std::vector<uint32_t> values(tensor.bytes.size() / 4);
  if (!values.empty()) std::memcpy(values.data(), tensor.bytes.data(), values.size() * 4);
  return values;
}

std::optional<int64_t> checked_numel(const std::vector<int64_t>& dims, size_t element_size) {
  // A zero anywhere makes the product zero, but the other extents must be sane all the same.
  const int64_t limit = std::numeric_limits<int64_t>::max() / static_cast<int64_t>(element_size);
  int64_t numel = 1;
  for (int64_t d : dims) {
    if (d < 0 || d > limit) return std::nullopt;
    if (d != 0 && numel > limit / d) return std::nullopt;
    numel *= d;
  }
  return numel;
}

Result<const HostTensor*> find_tensor(const TensorFile& file, const std::string& name,
                                      std::string_view where) {
  auto it = file.tensors.find(name);
  if (it == file.tensors.end()) return not_found("{}: no tensor {}", where, name);
  return &it->second;
}

}  // namespace ito
