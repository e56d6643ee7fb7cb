#include "runtime/watchdog.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace ito {
namespace {

// Whether the 16 bits are an infinity or NaN: all exponent bits set.
bool half_is_finite(DType dtype, uint16_t bits) {
  const uint16_t exponent = dtype == DType::kF16 ? 0x7c00 : 0x7f80;
  return (bits & exponent) != exponent;
}

// Index and value of the first element that is not finite.
std::optional<std::pair<uint64_t, double>> first_non_finite(DType dtype,
                                                            std::span<const std::byte> data) {
  if (!is_float(dtype)) return std::nullopt;
  const size_t size = dtype_size(dtype);
  for (size_t i = 0; (i + 1) * size <= data.size(); ++i) {
    if (dtype == DType::kF32) {
      float value;
      std::memcpy(&value, &data[i * size], size);
      if (!std::isfinite(value)) return std::pair(uint64_t{i}, double{value});
    } else {
      uint16_t bits;
      std::memcpy(&bits, &data[i * size], size);
      if (half_is_finite(dtype, bits)) continue;
      const uint16_t mantissa = dtype == DType::kF16 ? 0x03ff : 0x007f;
      const bool nan = (bits & mantissa) != 0;
      const double value = nan ? std::nan("") : (bits & 0x8000) != 0 ? -HUGE_VAL : HUGE_VAL;
      return std::pair(uint64_t{i}, value);
    }
  }
  return std::nullopt;
}

std::string memory_name(const Plan& plan, const BufferRange& range) {
  switch (range.space) {
    case BufferSpace::kArena:
      return "the arena";
    case BufferSpace::kConstant:
      return "the constants";
    case BufferSpace::kExternal:
      return fmt::format("external '{}'", plan.externals[range.buffer].name);
  }
  return {};
}

// Every piece of memory of a plan, whole; of the arena each piece.
std::vector<BufferRange> whole_memory(const Plan& plan) {
  std::vector<BufferRange> ranges;
  const uint64_t piece = plan.arena_piece == 0 ? plan.arena_size : plan.arena_piece;
  for (uint64_t first = 0; first < plan.arena_size; first += piece)
    ranges.push_back({BufferSpace::kArena, 0, first, std::min(piece, plan.arena_size - first)});
  if (!plan.constants.empty())
    ranges.push_back({BufferSpace::kConstant, 0, 0, plan.constants.size()});
  for (uint32_t i = 0; i < plan.externals.size(); ++i)
    ranges.push_back({BufferSpace::kExternal, i, 0, plan.externals[i].size});
  return ranges;
}

Status read_all(Executor& executor, const std::vector<BufferRange>& ranges,
                std::vector<std::vector<std::byte>>& out) {
  out.resize(ranges.size());
  for (size_t i = 0; i < ranges.size(); ++i) {
    out[i].resize(ranges[i].size);
    ITO_TRY(executor.read_range(ranges[i], out[i]));
  }
  return {};
}

}  // namespace

Result<std::optional<NonFinite>> find_non_finite(Executor& executor) {
  const Plan& plan = executor.plan();
  std::vector<std::byte> data;
  for (size_t c = 0; c < plan.calls.size(); ++c) {
    ITO_TRY(executor.run_call(c));
    const KernelCall& call = plan.calls[c];
    for (size_t a = 0; a < call.arguments.size(); ++a) {
      if ((call.writes >> a & 1u) == 0) continue;
      const BufferRange& range = call.arguments[a];
      if (!is_float(range.dtype)) continue;
      data.resize(range.size);
      ITO_TRY(executor.read_range(range, data));
      const auto found = first_non_finite(range.dtype, data);
      if (!found) continue;
      return std::optional(NonFinite{
          c, a, found->first, found->second,
          fmt::format("call {} '{}' (kernel '{}') wrote {} at element {} of its argument {}, in {}",
                      c, call.label, plan.kernels[call.kernel].name, found->second, found->first, a,
                      memory_name(plan, range))});
    }
  }
  return std::optional<NonFinite>();
}

Result<std::optional<StrayWrite>> find_stray_write(Executor& executor) {
  const Plan& plan = executor.plan();
  const std::vector<BufferRange> memory = whole_memory(plan);
  std::vector<std::vector<std::byte>> before, after;
  ITO_TRY(read_all(executor, memory, before));
  for (size_t c = 0; c < plan.calls.size(); ++c) {
    const KernelCall& call = plan.calls[c];
    ITO_TRY(executor.run_call(c));
    ITO_TRY(read_all(executor, memory, after));
    for (size_t m = 0; m < memory.size(); ++m) {
      std::vector<bool> may_change(memory[m].size, false);
      for (size_t a = 0; a < call.arguments.size(); ++a) {
        const BufferRange& range = call.arguments[a];
        if ((call.writes >> a & 1u) == 0 || range.space != memory[m].space ||
            range.buffer != memory[m].buffer || range.offset < memory[m].offset ||
            range.offset - memory[m].offset >= memory[m].size)
          continue;
        std::fill_n(
            may_change.begin() + static_cast<std::ptrdiff_t>(range.offset - memory[m].offset),
            range.size, true);
      }
      for (size_t i = 0; i < memory[m].size; ++i) {
        if (may_change[i] || before[m][i] == after[m][i]) continue;
        return std::optional(StrayWrite{
            c, fmt::format("call {} '{}' (kernel '{}') changed byte {} of {}, which it does not "
                           "declare to write",
                           c, call.label, plan.kernels[call.kernel].name, memory[m].offset + i,
                           memory_name(plan, memory[m]))});
      }
    }
    before.swap(after);
  }
  return std::optional<StrayWrite>();
}

}  // namespace ito
