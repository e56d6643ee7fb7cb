// The tile transform archetype: one linear map over both axes of every tile (TileTransformAttr),
// held in registers. Not where the map comes from (passes/winograd).
#pragma once

#include <string>

#include "base/device_caps.h"
#include "graph/attrs.h"
#include "graph/kernels/kernel_writer.h"

namespace ito {

// As contract_stores_lanes, of a tile transform.
bool transform_stores_lanes(const TileTransformAttr& attr, const DeviceCaps& caps);

// Cycles of one core of a CPU, about, for all of it.
double transform_cycles(const TileTransformAttr& attr, const DeviceCaps& caps);

// Writes the kernel. `in` is an argument name of `writer`; `store` as of emit_contract.
GridKernel emit_tile_transform(KernelWriter& writer, const std::string& name,
                               const TileTransformAttr& attr, const std::string& in,
                               const std::string& store, const DeviceCaps& caps);

}  // namespace ito
