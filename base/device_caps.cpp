#include "base/device_caps.h"

#include <iterator>

namespace ito {
namespace {

constexpr std::string_view kMatrixElements[] = {"f16", "f32", "f64", "s8",  "s16", "s32",
                                                "s64", "u8",  "u16", "u32", "u64", "other"};
constexpr std::string_view kMatrixScopes[] = {"subgroup", "workgroup", "other"};

static_assert(std::size(kMatrixElements) == static_cast<size_t>(MatrixElement::kOther) + 1);
static_assert(std::size(kMatrixScopes) == static_cast<size_t>(MatrixScope::kOther) + 1);

}  // namespace

std::string_view matrix_element_name(MatrixElement element) {
  return kMatrixElements[static_cast<size_t>(element)];
}

std::string_view matrix_scope_name(MatrixScope scope) {
  return kMatrixScopes[static_cast<size_t>(scope)];
}

}  // namespace ito
