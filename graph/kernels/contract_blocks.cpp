#include "graph/kernels/contract_blocks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/integer.h"

namespace ito {

uint32_t wrapped_stride(int64_t x) { return static_cast<uint32_t>(x); }

std::vector<Digit> digits_of(const ContractAttr& attr, const std::vector<int>& dims) {
  std::vector<Digit> result;
  for (const int d : dims) {
    const ContractAttr::Dim& dim = attr.dims[static_cast<size_t>(d)];
    result.push_back({dim.size, dim.a, dim.b, dim.out});
  }
  return result;
}

std::string address_function(const std::string& name, const std::vector<Digit>& list,
                             int64_t Digit::*stride) {
  std::string text = fmt::format("uint {}(uint i) {{\n  uint sum = 0u;\n", name);
  for (size_t j = list.size(); j-- > 0;) {
    const Digit& digit = list[j];
    if (j == 0)
      text += fmt::format("  sum += i * {}u;\n", wrapped_stride(digit.*stride));
    else
      text += fmt::format("  sum += (i % {0}u) * {1}u; i /= {0}u;\n", digit.size,
                          wrapped_stride(digit.*stride));
  }
  return text + "  return sum;\n}";
}

int64_t smallest_stride(const std::vector<Digit>& list, int64_t Digit::*stride) {
  int64_t least = INT64_MAX;
  for (const Digit& digit : list)
    if (digit.*stride != 0) least = std::min(least, std::abs(digit.*stride));
  return least;
}

Blocks cut_reduction(const std::vector<Digit>& k, int64_t wanted, const PartOfDim& part_of) {
  Blocks blocks;
  size_t next = k.size();
  while (next > 0 && blocks.steps * k[next - 1].size <= wanted) {
    --next;
    blocks.steps *= k[next].size;
    blocks.inside.insert(blocks.inside.begin(), k[next]);
  }
  if (next > 0) {
    const Digit& cut = k[next - 1];
    const int64_t part = part_of(cut.size, std::min(wanted / blocks.steps, cut.size), blocks.steps);
    if (cut.size % part != 0) blocks.whole = cut.size;
    if (part > 1) {
      Digit inside = cut;
      inside.size = part;
      blocks.inside.insert(blocks.inside.begin(), inside);
      blocks.steps *= part;
    }
    blocks.outside.assign(k.begin(), k.begin() + static_cast<std::ptrdiff_t>(next) - 1);
    blocks.outside.push_back({ceil_div(cut.size, part), cut.a * part, cut.b * part, 0});
  }
  for (const Digit& digit : blocks.outside) blocks.count *= digit.size;
  return blocks;
}

bool lie_in_fours(const std::vector<Digit>& fast, const std::vector<const std::vector<Digit>*>& all,
                  int64_t offset, int64_t Digit::*stride) {
  if (offset % 4 != 0) return false;
  if (fast.empty() || fast.back().*stride != 1 || fast.back().size % 4 != 0) return false;
  // Strides may be negative: the offset is at least as far in as they reach.
  int count = 0;
  for (const auto* list : all)
    for (const Digit& digit : *list) count += digit.*stride % 4 != 0 ? 1 : 0;
  return count == 1;  // the one that is read along
}

std::vector<std::string> next_block(const std::vector<Digit>& outside) {
  std::vector<std::string> lines;
  for (size_t d = outside.size(); d-- > 0;) {
    lines.push_back(fmt::format("k{0} = k{0} + 1u == {1}u ? 0u : k{0} + 1u;", d, outside[d].size));
    if (d > 0) lines.push_back(fmt::format("if (k{} == 0u) {{", d));
  }
  for (size_t d = 1; d < outside.size(); ++d) lines.emplace_back("}");
  return lines;
}

std::string block_address(const std::vector<Digit>& outside, int64_t Digit::*stride, int64_t unit) {
  std::string sum;
  for (size_t d = 0; d < outside.size(); ++d)
    sum += fmt::format("{}k{} * {}u", sum.empty() ? "" : " + ", d,
                       wrapped_stride(outside[d].*stride / unit));
  return sum;
}

std::array<uint32_t, 3> grid_of(int64_t tiles, const DeviceCaps& caps) {
  const auto count = static_cast<uint32_t>(tiles);
  if (count <= caps.max_groups_x) return {count, 1, 1};
  const auto y = static_cast<uint32_t>(ceil_div(count, caps.max_groups_x));
  return {static_cast<uint32_t>(ceil_div(count, y)), y, 1};
}

}  // namespace ito
