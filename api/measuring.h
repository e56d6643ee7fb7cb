// Many images measured by a meter (api/likelihood.h, api/bound.h), a batch at a time; what was
// measured before a stop still counts. Not for what a meter measures.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "api/bound.h"
#include "api/likelihood.h"
#include "base/result.h"
#include "io/dataset.h"

namespace ito {

template <typename Item>
struct Measured {
  std::vector<Item> items;
  bool stopped = false;  // after the batches that were finished
  double seconds = 0;
};

struct MeasuringProgress {
  int64_t done = 0, count = 0;  // images
  int64_t attempts = 0;         // at steps of this batch's integration
  double seconds = 0;
};
struct MeasuringObserver {
  std::function<void(const MeasuringProgress&)> progress;  // may be empty
  std::function<bool()> stop;                              // may be empty
};

// Which images are measured: first, first + 1, …, `num` of them if there are as many; without
// `first`, drawn_images (api/drawn_images.h). Error: no image there.
Result<std::vector<int64_t>> images_to_measure(const ImageDataset& data,
                                               std::optional<int64_t> first, int64_t num);

// Errors: those of the meter; kInterrupted only before the first batch was finished.
Result<Measured<ImageLikelihood>> measure_images(LikelihoodMeter& meter, const ImageDataset& data,
                                                 std::span<const int64_t> images,
                                                 const MeasuringObserver& observer = {});
Result<Measured<ImageBound>> measure_images(BoundMeter& meter, const ImageDataset& data,
                                            std::span<const int64_t> images,
                                            const MeasuringObserver& observer = {});

}  // namespace ito
