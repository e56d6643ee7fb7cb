#include "apps/bench_data.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>

#include "api/batch_loader.h"
#include "api/task.h"
#include "api/training.h"
#include "apps/command.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/philox.h"
#include "base/platform.h"
#include "io/png.h"

namespace ito::apps {
namespace {

constexpr int64_t kPictures = 20'000;
constexpr int kSide = 64;
constexpr int64_t kBatch = 16;
constexpr int kSteps = 40, kWarmUp = 5;

// A folder of this process, removed at the end.
struct Folder {
  Path path = std::filesystem::temp_directory_path() /
              fmt::format("ito-bench-data-{}", platform::process_number());
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

// A colour slope with a grain, about as hard to compress as a photograph's.
Image picture(int64_t number) {
  Image image{kSide, kSide, 3, {}};
  image.pixels.reserve(kSide * kSide * 3);
  const uint32_t id = static_cast<uint32_t>(number);
  for (uint32_t y = 0; y < kSide; ++y)
    for (uint32_t x = 0; x < kSide; ++x) {
      const auto words = philox4x32_10({x, y, id, 0}, {1, 2});
      for (uint32_t c = 0; c < 3; ++c)
        image.pixels.push_back(
            static_cast<uint8_t>((x * (c + 1) + y * (3 - c) + id % 97 + words[c] % 13) % 256));
    }
  return image;
}

Json row(const std::string& name, double seconds, int64_t images) {
  return {{"name", name},
          {"ms", 1e3 * seconds / static_cast<double>(images)},
          {"gflops", 0},
          {"images_per_second", static_cast<double>(images) / seconds}};
}

Result<Json> training_row(vk::Device& device, const ImageDataset& data) {
  TrainingOptions options;
  options.channels = {16, 32};
  options.batch = static_cast<int>(kBatch);
  ITO_ASSIGN(const TrainingTask task, make_task(options, data));
  ITO_ASSIGN(const auto session, TrainingSession::create(device, task, data, 0));
  // Submissions are eight ahead of the device at most, so that this many steps are its time.
  for (int step = 0; step < kWarmUp; ++step) ITO_TRY(session->advance());
  const double before = session->loader()->seconds_waited();
  const Clock::time_point begun = Clock::now();
  for (int step = 0; step < kSteps; ++step) ITO_TRY(session->advance());
  const double seconds = seconds_since(begun);
  Json result = row(fmt::format("train a small U-Net, batch {}", kBatch), seconds, kSteps * kBatch);
  result["idle"] = (session->loader()->seconds_waited() - before) / seconds;
  return result;
}

}  // namespace

Result<Json> bench_data(vk::Device& device) {
  const Folder folder;
  ProgressLine line;
  ITO_TRY(make_folders(folder.path / "pictures"));
  for (int64_t i = 0; i < kPictures; ++i) {
    ITO_TRY(write_file_atomic(folder.path / "pictures" / fmt::format("{:05}.png", i),
                              encode_png(picture(i))));
    if (i % 100 == 0) line.update(fmt::format("writing pictures: {} of {}", i, kPictures));
  }
  line.finish();
  Json rows = Json::array();
  DatasetOptions options;
  options.reading.cache = folder.path / "cache";
  for (const char* name : {"decode PNGs into a cache", "open the cache"}) {
    const Clock::time_point begun = Clock::now();
    ITO_TRY(open_dataset(folder.path / "pictures", Split::kTrain, options));
    rows.push_back(row(name, seconds_since(begun), kPictures));
  }
  ITO_ASSIGN(const ImageDataset data,
             open_dataset(folder.path / "pictures", Split::kTrain, options));
  {
    BatchLoader loader(data, {.images = {kBatch, kSide, kSide, 3}}, 0, 0);
    const Clock::time_point begun = Clock::now();
    for (int64_t i = 0; i < kPictures / kBatch; ++i) ITO_TRY(loader.next());
    rows.push_back(row("make batches", seconds_since(begun), kPictures));
  }
  ITO_ASSIGN(Json trained, training_row(device, data));
  rows.push_back(std::move(trained));
  return rows;
}

}  // namespace ito::apps
