// Precisions by name, --precision: what a program's matrix products and convolutions multiply in,
// and what a training needs besides. Not for rounding (base/half.h) nor for which ops round
// (passes/autocast).
#pragma once

#include <span>
#include <string_view>

#include "base/dtype.h"
#include "base/registry.h"

namespace ito {

struct Precision {
  DType multiply = DType::kF32;  // what factors are rounded to; sums, and all else, are f32
  // Gradients would fall below the type's least number: the loss is multiplied by a scale that
  // follows what they can bear (nn/loss_scale.h).
  bool scales_loss = false;
  bool operator==(const Precision&) const = default;
};

struct PrecisionRow {
  Name name;
  Precision precision;
};
// The first is the one where nothing is said.
std::span<const PrecisionRow> precision_rows();

// Of a type that a row multiplies in: the row's name.
std::string_view precision_name(DType multiply);

}  // namespace ito
