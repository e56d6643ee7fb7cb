#include "api/measuring.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "base/clock.h"
#include "base/error.h"

namespace ito {
namespace {

bool stop_asked(const MeasuringObserver& observer) { return observer.stop && observer.stop(); }

// `measure` a batch, telling the progress as it goes.
template <typename Item>
using MeasureBatch = std::function<Result<std::vector<Item>>(std::span<const int64_t> part,
                                                             MeasuringProgress& progress)>;

template <typename Item>
Result<Measured<Item>> measure_batches(const ImageDataset& data, int64_t first, int64_t num,
                                       int64_t batch, const MeasureBatch<Item>& measure) {
  if (first < 0 || first >= data.count)
    return invalid_argument("--first is {}, but there are {} {}", first, data.count,
                            kind_of_images(data));
  const Clock::time_point start = Clock::now();
  MeasuringProgress progress{.count = std::min(num, data.count - first)};
  Measured<Item> result;
  std::vector<int64_t> part;
  for (; progress.done < progress.count; progress.done += batch) {
    part.resize(static_cast<size_t>(std::min(batch, progress.count - progress.done)));
    std::iota(part.begin(), part.end(), first + progress.done);
    progress.attempts = 0;
    progress.seconds = seconds_since(start);
    Result<std::vector<Item>> measured = measure(part, progress);
    if (!measured.ok()) {
      result.stopped = measured.error().kind == ErrorKind::kInterrupted && !result.items.empty();
      if (!result.stopped) return std::move(measured).error();
      break;
    }
    result.items.insert(result.items.end(), measured->begin(), measured->end());
  }
  result.seconds = seconds_since(start);
  return result;
}

}  // namespace

Result<Measured<ImageLikelihood>> measure_images(LikelihoodMeter& meter, const ImageDataset& data,
                                                 int64_t first, int64_t num,
                                                 const MeasuringObserver& observer) {
  const Clock::time_point start = Clock::now();
  const auto batch = [&](std::span<const int64_t> part, MeasuringProgress& progress) {
    return meter.measure(data, part, [&] {
      ++progress.attempts;
      progress.seconds = seconds_since(start);
      if (observer.progress) observer.progress(progress);
      return !stop_asked(observer);
    });
  };
  return measure_batches<ImageLikelihood>(data, first, num, meter.batch(), batch);
}

Result<Measured<ImageBound>> measure_images(BoundMeter& meter, const ImageDataset& data,
                                            int64_t first, int64_t num,
                                            const MeasuringObserver& observer) {
  const auto batch = [&](std::span<const int64_t> part,
                         MeasuringProgress& progress) -> Result<std::vector<ImageBound>> {
    if (stop_asked(observer)) return interrupted("the bound was stopped");
    if (observer.progress) observer.progress(progress);
    return meter.measure(data, part);
  };
  return measure_batches<ImageBound>(data, first, num, meter.batch(), batch);
}

}  // namespace ito
