#include "io/torch_names.h"

#include <algorithm>
#include <cctype>
#include <iterator>

namespace ito {
namespace {

constexpr TorchStorage row_of(std::string_view name, HostType type, size_t size) {
  return {name, type, size};
}
constexpr TorchStorage kStorages[] = {row_of("torch.FloatStorage", HostType::kF32, 4),
                                      row_of("torch.HalfStorage", HostType::kF16, 2),
                                      row_of("torch.BFloat16Storage", HostType::kBF16, 2),
                                      row_of("torch.DoubleStorage", HostType::kF64, 8),
                                      row_of("torch.LongStorage", HostType::kI64, 8),
                                      row_of("torch.IntStorage", HostType::kI32, 4),
                                      row_of("torch.ShortStorage", HostType::kI16, 2),
                                      row_of("torch.CharStorage", HostType::kI8, 1),
                                      row_of("torch.ByteStorage", HostType::kU8, 1),
                                      row_of("torch.BoolStorage", HostType::kBool, 1),
                                      // Bytes; each tensor says what they are.
                                      row_of("torch.storage.UntypedStorage", HostType::kU8, 1),
                                      row_of("torch.UntypedStorage", HostType::kU8, 1),
                                      {"torch.ComplexFloatStorage", std::nullopt, 8},
                                      {"torch.ComplexDoubleStorage", std::nullopt, 16},
                                      {"torch.QInt8Storage", std::nullopt, 1},
                                      {"torch.QUInt8Storage", std::nullopt, 1},
                                      {"torch.QInt32Storage", std::nullopt, 4},
                                      {"torch.QUInt4x2Storage", std::nullopt, 1},
                                      {"torch.QUInt2x4Storage", std::nullopt, 1}};

// Element types that a tensor names itself, of an untyped storage (_rebuild_tensor_v3).
struct ElementType {
  std::string_view name;
  HostType type;
};
constexpr ElementType kElements[] = {
    {"torch.float32", HostType::kF32}, {"torch.float16", HostType::kF16},
    {"torch.float64", HostType::kF64}, {"torch.bfloat16", HostType::kBF16},
    {"torch.bool", HostType::kBool},   {"torch.uint8", HostType::kU8},
    {"torch.int8", HostType::kI8},     {"torch.uint16", HostType::kU16},
    {"torch.int16", HostType::kI16},   {"torch.uint32", HostType::kU32},
    {"torch.int32", HostType::kI32},   {"torch.uint64", HostType::kU64},
    {"torch.int64", HostType::kI64}};
// And those that are not read: torch.float8_e4m3fn, torch.int4, …
constexpr std::string_view kElementKinds[] = {"torch.float", "torch.bfloat",  "torch.int",
                                              "torch.uint",  "torch.complex", "torch.bits",
                                              "torch.qint",  "torch.quint"};

// Tensors of other forms than numbers in rows: left out, and named for what they are.
struct OtherTensor {
  std::string_view name, what;
};
constexpr OtherTensor kOtherTensors[] = {
    {"torch._utils._rebuild_qtensor", "quantised"},
    {"torch._utils._rebuild_sparse_tensor", "sparse"},
    {"torch._utils._rebuild_sparse_csr_tensor", "sparse"},
    {"torch._utils._rebuild_nested_tensor", "nested"},
    {"torch._utils._rebuild_meta_tensor_no_storage", "without numbers"}};
// What a checkpoint may hold beside tensors, and what is left out of it.
constexpr std::string_view kIgnored[] = {"torch.Size",
                                         "torch.device",
                                         "torch.per_tensor_affine",
                                         "torch.per_channel_affine",
                                         "torch.per_channel_affine_float_qparams",
                                         "torch.sparse_coo",
                                         "torch.sparse_csr",
                                         "torch.sparse_csc",
                                         "torch.sparse_bsr",
                                         "torch.sparse_bsc",
                                         "torch.serialization._get_layout",
                                         "collections.defaultdict",
                                         "collections.Counter",
                                         "builtins.dict",
                                         "__builtin__.dict",
                                         "builtins.int",
                                         "builtins.float",
                                         "builtins.set",
                                         "__builtin__.set",
                                         "builtins.frozenset",
                                         "__builtin__.frozenset",
                                         "builtins.complex",
                                         "__builtin__.complex",
                                         "builtins.slice",
                                         "__builtin__.slice",
                                         "_codecs.encode",
                                         "numpy.dtype",
                                         "numpy.core.multiarray.scalar",
                                         "numpy._core.multiarray.scalar"};

template <typename Rows>
auto torch_row(const Rows& rows, std::string_view name) -> decltype(std::begin(rows)) {
  const auto found = std::find_if(std::begin(rows), std::end(rows),
                                  [&](const auto& row) { return row.name == name; });
  return found == std::end(rows) ? nullptr : found;
}

// "torch.float8_e4m3fn": one of the module's own element types.
bool is_torch_element(std::string_view name) {
  if (torch_row(kElements, name) != nullptr) return true;
  return std::any_of(std::begin(kElementKinds), std::end(kElementKinds),
                     [&](std::string_view kind) {
                       return name.starts_with(kind) && name.size() > kind.size() &&
                              std::isdigit(static_cast<unsigned char>(name[kind.size()])) != 0 &&
                              name.find('.', kind.size()) == std::string_view::npos;
                     });
}

// Also one that is not in the table: its tensors are left out.
bool is_torch_storage(std::string_view name) {
  return torch_storage(name) != nullptr ||
         (name.starts_with("torch.") && name.ends_with("Storage") &&
          name.find('.', 6) == name.npos);
}

}  // namespace

const TorchStorage* torch_storage(std::string_view name) { return torch_row(kStorages, name); }

std::optional<HostType> torch_element_type(std::string_view name) {
  const ElementType* row = torch_row(kElements, name);
  return row == nullptr ? std::nullopt : std::optional(row->type);
}

std::string_view other_torch_tensor(std::string_view name) {
  const OtherTensor* row = torch_row(kOtherTensors, name);
  return row == nullptr ? std::string_view() : row->what;
}

bool is_torch_name(std::string_view name) {
  using namespace torch_names;
  return is_torch_storage(name) || is_torch_element(name) || !other_torch_tensor(name).empty() ||
         name == kTensor || name == kOldTensor || name == kTypedTensor || name == kParameter ||
         name == kParameterWithState || name == kOrderedDict ||
         std::find(std::begin(kIgnored), std::end(kIgnored), name) != std::end(kIgnored);
}

}  // namespace ito
