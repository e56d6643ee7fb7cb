#include "graph/attrs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>
#include <type_traits>

#include "base/hash.h"

namespace ito {
namespace {

std::string text(std::monostate) { return ""; }
std::string text(const InputAttr& a) {
  return fmt::format("{{name={}{}}}", a.name, a.parameter ? ", parameter" : "");
}

// Small data in full; large data by hash and count, because text is for reading and hashing.
std::string text(const ConstantAttr& a) {
  constexpr size_t kShown = 8;
  if (a.data->size() <= kShown) return fmt::format("{{data=[{}]}}", fmt::join(*a.data, ","));
  std::string_view bytes(reinterpret_cast<const char*>(a.data->data()),
                         a.data->size() * sizeof(double));
  return fmt::format("{{count={},hash={:016x}}}", a.data->size(), hash_bytes(bytes));
}

std::string text(const FullAttr& a) { return fmt::format("{{value={}}}", a.value); }
std::string text(const AxesAttr& a) { return fmt::format("{{axes=[{}]}}", fmt::join(a.axes, ",")); }

std::string text(const SliceAttr& a) {
  return fmt::format("{{start=[{}],step=[{}]}}", fmt::join(a.start, ","), fmt::join(a.step, ","));
}

std::string text(const PadAttr& a) {
  return fmt::format("{{low=[{}],high=[{}],interior=[{}],value={}}}", fmt::join(a.low, ","),
                     fmt::join(a.high, ","), fmt::join(a.interior, ","), a.value);
}

// Of contractions: ",multiply=f16", and nothing for f32.
std::string multiply_text(DType multiply) {
  return multiply == DType::kF32 ? "" : fmt::format(",multiply={}", dtype_name(multiply));
}

std::string text(const MatmulAttr& a) {
  const std::string multiply = multiply_text(a.multiply);
  if (!a.transpose_a && !a.transpose_b && multiply.empty()) return "";
  return fmt::format("{{transpose_a={},transpose_b={}{}}}", a.transpose_a, a.transpose_b, multiply);
}

std::string text(const ConvAttr& a) {
  return fmt::format("{{stride=[{}],pad=[{}],dilation=[{}],groups={}{}}}", fmt::join(a.stride, ","),
                     fmt::join(a.pad, ","), fmt::join(a.dilation, ","), a.groups,
                     multiply_text(a.multiply));
}

std::string text(const NormAttr& a) { return fmt::format("{{groups={},eps={}}}", a.groups, a.eps); }

std::string text(const AttentionAttr& a) {
  return fmt::format("{{heads={},scale={}}}", a.heads, a.scale);
}

std::string text(const ContractAttr& a) {
  std::string dims;
  for (const ContractAttr::Dim& d : a.dims)
    dims += fmt::format("{}{}:{}:{}:{}", dims.empty() ? "" : ",", d.size, d.a, d.b, d.out);
  return fmt::format("{{dims=[{}],a_offset={},b_offset={}{}}}", dims, a.a_offset, a.b_offset,
                     multiply_text(a.multiply));
}

std::string text(const TileTransformAttr& a) {
  std::string dims;
  for (const TileTransformAttr::Dim& d : a.dims)
    dims += fmt::format("{}{}:{}:{}", dims.empty() ? "" : ",", d.size, d.in, d.out);
  return fmt::format("{{dims=[{}],matrix=[{}],rows={},in_step=[{}],out_step=[{}],in_offset={}{}}}",
                     dims, fmt::join(a.matrix, ","), a.rows, fmt::join(a.in_step, ","),
                     fmt::join(a.out_step, ","), a.in_offset,
                     a.copy == 0 ? "" : fmt::format(",copy={}", a.copy));
}

}  // namespace

std::string attrs_to_string(const Attrs& attrs) {
  return std::visit([](const auto& a) { return text(a); }, attrs);
}

}  // namespace ito
