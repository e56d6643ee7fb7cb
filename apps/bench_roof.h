// Plans by hand for what a device can do at most: multiply-adds in registers, and copying.
#pragma once

#include "apps/bench_cases.h"

namespace ito::apps {

// 16 independent chains of fused multiply-adds per lane.
BenchCase fma_roof(const DeviceCaps& caps);
// Copies 64 MiB; each lane moves eight values that lie one subgroup apart.
BenchCase copy_roof(const DeviceCaps& caps);

}  // namespace ito::apps
