#include "base/dtype.h"

#include <array>

namespace ito {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  size_t size;
};
constexpr std::array<Row, 6> kRows = {{{DType::kF32, "f32", 4},
                                       {DType::kF16, "f16", 2},
                                       {DType::kBF16, "bf16", 2},
                                       {DType::kI32, "i32", 4},
                                       {DType::kU32, "u32", 4},
                                       {DType::kBool, "bool", 4}}};

}  // namespace

size_t dtype_size(DType dtype) { return kRows[static_cast<size_t>(dtype)].size; }

std::string_view dtype_name(DType dtype) { return kRows[static_cast<size_t>(dtype)].name; }

bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

}  // namespace ito
