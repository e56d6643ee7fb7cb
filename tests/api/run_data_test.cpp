// The images of a run as those see them who measure it: which were held out, and grey ones beside
// coloured ones.
#include "api/run_data.h"

#include <gtest/gtest.h>

#include "api/measured_images.h"
#include "api/validation.h"
#include "io/png.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/training_options.h"

namespace ito::test {
namespace {

void put_image(const Path& path, int h, int w, int c, int value) {
  ASSERT_TRUE(make_folders(path.parent_path()).ok());
  Image image{h, w, c, {}};
  for (int i = 0; i < h * w * c; ++i)
    image.pixels.push_back(static_cast<uint8_t>((value + i * 7) % 256));
  ASSERT_TRUE(write_png(path, image).ok());
}

TrainingOptions least_options() {
  return training_options({{"size", "8"}, {"channels", Json::array({8})}, {"norm-groups", 4}});
}

TEST(RunImages, HeldOutAreFoundAgainWhereCropsAreRandom) {
  const Scratch scratch;
  const Path data = scratch / "data", out = scratch / "run";
  for (int i = 0; i < 12; ++i)
    put_image(data / (std::to_string(10 + i) + ".png"), 8 + i % 3, 12, 1, 20 * i);
  RunOptions run;
  run.data = data;
  run.out = out;
  run.validate_every = 1;
  run.holdout = 0.4;
  run.dataset.width = run.dataset.height = 8;
  run.dataset.crop = CropPlace::kRandom;
  TrainingOptions options = least_options();
  const auto opened = open_run_data(run, nullptr, nullptr, options);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  RunFile file;
  file.options = options;
  file.data = data.string();
  file.fingerprint = (*opened)->fingerprint;
  file.dataset = (*opened)->options;
  file.held_out = (*opened)->held_out;
  ASSERT_EQ(file.held_out, 5);
  ASSERT_TRUE(make_folders(out / "checkpoint-1").ok());
  ASSERT_TRUE(write_file_atomic(out / "checkpoint-1" / "state.safetensors", "").ok());
  ASSERT_TRUE(write_run_file(out, file).ok());
  for (const std::optional<uint64_t> memory :
       {std::optional<uint64_t>(), std::optional<uint64_t>(0)}) {
    DatasetReading reading;
    reading.memory = memory;
    ImageDataset rest;
    const auto held = open_held_out(out, data, reading, &rest);
    ASSERT_TRUE(held.ok()) << held.error().message;
    EXPECT_EQ(held->count, 5);
    EXPECT_EQ(rest.count, 7);
    // Cut in the middle, as the validation saw them.
    const ImageDataset& seen = (*opened)->test;
    std::vector<float> numbers(64);
    for (int64_t i = 0; i < held->count; ++i) {
      ASSERT_TRUE(normalised_images(seen, {i}, 8, 8, numbers.data()).ok());
      const auto bytes = held->bytes_of(i);
      for (size_t k = 0; k < 64; ++k) ASSERT_EQ(number_of_byte(bytes[k]), numbers[k]) << i;
    }
  }
}

TEST(RunImages, GreyOnesAreReadAsAModelOfColourTakesThem) {
  const Scratch scratch;
  put_image(scratch / "grey/train/1.png", 8, 8, 3, 1);
  put_image(scratch / "grey/test/1.png", 8, 8, 1, 1);
  write_tiny_data(scratch / "grey.npz");
  const std::string model = (scratch / "model").string();
  for (const auto& [path, part] : {std::pair{"grey", "test"}, std::pair{"grey.npz", "train"}}) {
    const ImageSource source{
        .path = (scratch / path).string(), .part = part, .dataset = {}, .model = model};
    const auto read = open_measured_images(source, {8, 8, 3});
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(read->c, 3) << path;
    EXPECT_EQ(read->bytes_of(0)[0], read->bytes_of(0)[2]);
    EXPECT_EQ(open_measured_images(source, {8, 8, 1})->c, 1) << path;
  }
  const ImageSource colour{
      .path = (scratch / "grey").string(), .part = "train", .dataset = {}, .model = model};
  const auto refused = open_measured_images(colour, {8, 8, 1});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("no option makes coloured images grey"), std::string::npos)
      << refused.error().message;
}

TEST(RunImages, ColouredTestImagesOfAGreyTrainingAreNamedWithAWayOut) {
  const Scratch scratch;
  put_image(scratch / "data/train/1.png", 8, 8, 1, 1);
  put_image(scratch / "data/test/1.png", 8, 8, 3, 1);
  const ImageDataset train = open_dataset(scratch / "data", Split::kTrain).value();
  const ImageDataset test = open_dataset(scratch / "data", Split::kTest).value();
  const auto task = make_task(least_options(), train);
  ASSERT_TRUE(task.ok()) << task.error().message;
  const Status status = check_test_images(*task, test);
  ASSERT_FALSE(status.ok());
  for (const std::string& part :
       {std::string("the test images in "), (scratch / "data").string(),
        std::string("have 3 channels, those trained on 1"), std::string("or move them away")})
    EXPECT_NE(status.error().message.find(part), std::string::npos) << status.error().message;
}

}  // namespace
}  // namespace ito::test
