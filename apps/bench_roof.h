// Plans by hand for what a device can do at most: multiply-adds in registers, and copying.
// Several shapes of each, because no single one is the fastest on every driver; the best counts.
#pragma once

#include <vector>

#include "apps/bench_cases.h"

namespace ito::apps {

// Independent chains of multiply-adds per lane with operands in registers, unrolled.
std::vector<BenchCase> fma_roof(const DeviceCaps& caps);
// Copies 32 MiB through loads and stores of a kernel.
std::vector<BenchCase> copy_roof(const DeviceCaps& caps);

}  // namespace ito::apps
