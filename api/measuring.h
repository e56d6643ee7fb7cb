// measure_all: many images by a meter (api/likelihood.h, api/bound.h), a batch at a time, and what
// was measured before a stop still counts. Not for what a meter measures.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"

namespace ito {

template <typename Item>
struct Measured {
  std::vector<Item> items;
  bool stopped = false;  // by kInterrupted, after the batches that were finished
};

// Images first, first + 1, … (`count` of them), `batch` at a time. `measure` is told how many lie
// behind it. Errors: as of `measure`; kInterrupted only before the first batch was finished.
template <typename Item>
Result<Measured<Item>> measure_all(
    int64_t first, int64_t count, int64_t batch,
    const std::function<Result<std::vector<Item>>(std::span<const int64_t> part, int64_t done)>&
        measure) {
  Measured<Item> result;
  std::vector<int64_t> part;
  for (int64_t done = 0; done < count; done += batch) {
    part.resize(static_cast<size_t>(std::min(batch, count - done)));
    std::iota(part.begin(), part.end(), first + done);
    Result<std::vector<Item>> measured = measure(part, done);
    if (!measured.ok()) {
      result.stopped = measured.error().kind == ErrorKind::kInterrupted && !result.items.empty();
      if (!result.stopped) return std::move(measured).error();
      break;
    }
    result.items.insert(result.items.end(), measured->begin(), measured->end());
  }
  return result;
}

}  // namespace ito
