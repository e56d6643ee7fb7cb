#include "api/measuring.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "api/drawn_images.h"
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
Result<Measured<Item>> measure_batches(std::span<const int64_t> images, int64_t batch,
                                       const MeasureBatch<Item>& measure) {
  const Clock::time_point start = Clock::now();
  MeasuringProgress progress{.count = static_cast<int64_t>(images.size())};
  Measured<Item> result;
  for (; progress.done < progress.count; progress.done += batch) {
    const auto part =
        images.subspan(static_cast<size_t>(progress.done),
                       static_cast<size_t>(std::min(batch, progress.count - progress.done)));
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

Result<std::vector<int64_t>> images_to_measure(const ImageDataset& data,
                                               std::optional<int64_t> first, int64_t num) {
  if (!first) return drawn_images(data.count, num);
  if (*first < 0 || *first >= data.count)
    return invalid_argument("--first is {}, but there are {} {}", *first, data.count,
                            kind_of_images(data));
  std::vector<int64_t> images(static_cast<size_t>(std::min(num, data.count - *first)));
  std::iota(images.begin(), images.end(), *first);
  return images;
}

Result<Measured<ImageLikelihood>> measure_images(LikelihoodMeter& meter, const ImageDataset& data,
                                                 std::span<const int64_t> images,
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
  return measure_batches<ImageLikelihood>(images, meter.batch(), batch);
}

Result<Measured<ImageBound>> measure_images(BoundMeter& meter, const ImageDataset& data,
                                            std::span<const int64_t> images,
                                            const MeasuringObserver& observer) {
  const auto batch = [&](std::span<const int64_t> part,
                         MeasuringProgress& progress) -> Result<std::vector<ImageBound>> {
    if (stop_asked(observer)) return interrupted("the bound was stopped");
    if (observer.progress) observer.progress(progress);
    return meter.measure(data, part);
  };
  return measure_batches<ImageBound>(images, meter.batch(), batch);
}

}  // namespace ito
