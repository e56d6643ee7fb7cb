// The rows of each op family; table.cpp puts them in enum order.
#pragma once

#include <span>

#include "graph/op.h"

namespace ito {

std::span<const OpDef> leaf_ops();
std::span<const OpDef> elementwise_ops();
std::span<const OpDef> philox_ops();
std::span<const OpDef> movement_ops();
std::span<const OpDef> indexed_ops();
std::span<const OpDef> reduce_ops();
std::span<const OpDef> matmul_ops();
std::span<const OpDef> conv2d_ops();
std::span<const OpDef> norm_ops();
std::span<const OpDef> softmax_ops();
std::span<const OpDef> attention_ops();
std::span<const OpDef> contract_ops();
std::span<const OpDef> tile_transform_ops();

}  // namespace ito
