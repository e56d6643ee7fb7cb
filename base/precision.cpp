#include "base/precision.h"

#include "base/check.h"

namespace ito {
namespace {

constexpr PrecisionRow kPrecisions[] = {
    {{"fp32", "32 bits throughout", "", ""}, {}},
    {{"fp16", "factors of IEEE halves, sums in fp32; training scales its loss",
      "Micikevicius et al. 2018", ""},
     {.multiply = DType::kF16, .scales_loss = true}},
    {{"bf16", "factors of bfloat16, sums in fp32: rounded by whole numbers on any device",
      "Kalamkar et al. 2019", ""},
     {.multiply = DType::kBF16}},
};

}  // namespace

std::span<const PrecisionRow> precision_rows() { return kPrecisions; }

std::string_view precision_name(DType multiply) {
  for (const PrecisionRow& row : kPrecisions)
    if (row.precision.multiply == multiply) return row.name.name;
  CHECK(false, "no precision multiplies in " + std::string(dtype_name(multiply)));
}

}  // namespace ito
