#include "io/dataset.h"

#include <gmock/gmock.h>

#include <numeric>

#include "io/npy.h"
#include "io/png.h"
#include "tests/io/temp_folder.h"
#include "tests/support/numpy_files.h"

namespace ito {
namespace {

using test::fails;
using test::put;
using test::succeeds;
using test::TempFolder;
using test::unhex;
using test::write_npy;
using test::put_npz;
using testing::ElementsAre;

// Two 2x3 images counting from 0, and the labels 7 and 1; gzipped by Python.
constexpr const char* kImagesGz =
    "1f8b08000000000002ff6360e0606660606082626606462666165636760e4e2e6e00781e23841c000000";
constexpr const char* kLabelsGz = "1f8b08000000000002036360e0606460606062670400480adaad0a000000";
constexpr const char* kImages = "00000803000000020000000200000003000102030405060708090a0b";
constexpr const char* kLabels = "00000801000000020701";

void expect_counting(const ImageDataset& data) {
  EXPECT_EQ(data.count, 2);
  EXPECT_EQ(data.h, 2);
  EXPECT_EQ(data.w, 3);
  EXPECT_EQ(data.c, 1);
  std::vector<uint8_t> expected(12);
  std::iota(expected.begin(), expected.end(), uint8_t{0});
  EXPECT_EQ(data.pixels, expected);
}

TEST(Idx, FolderIsRecognisedGzippedOrNot) {
  TempFolder folder;
  put(folder / "train-images-idx3-ubyte.gz", unhex(kImagesGz));
  put(folder / "train-labels-idx1-ubyte.gz", unhex(kLabelsGz));
  put(folder / "t10k-images-idx3-ubyte", unhex(kImages));
  ImageDataset train = *open_dataset(folder.path(), Split::kTrain);
  expect_counting(train);
  EXPECT_EQ(*train.labels, (std::vector<int32_t>{7, 1}));
  EXPECT_EQ(train.num_classes(), 8);
  ImageDataset test = *open_dataset(folder.path(), Split::kTest);
  expect_counting(test);
  EXPECT_FALSE(test.labels.has_value());
  EXPECT_EQ(test.num_classes(), 0);
  ImageDataset file = *open_dataset(folder / "train-images-idx3-ubyte.gz", Split::kTrain);
  EXPECT_EQ(*file.labels, (std::vector<int32_t>{7, 1}));
}

TEST(Idx, BadFilesAreNamed) {
  TempFolder folder;
  Path images = folder / "images", labels = folder / "labels";
  auto read = [&](std::string image_bytes, std::string label_bytes) {
    put(images, image_bytes);
    put(labels, label_bytes);
    return read_idx(images, labels);
  };
  const std::string good = unhex(kImages), good_labels = unhex(kLabels);
  expect_counting(*read(good, good_labels));
  EXPECT_TRUE(fails(read(good, unhex("0000080100000003070102")), ErrorKind::kCorrupt, "labels: 3",
                    "images has 2"));
  EXPECT_TRUE(fails(read("\x89PNG1234", good_labels), ErrorKind::kCorrupt, "images: magic number",
                    "89504e47"));
  EXPECT_TRUE(fails(read(good.substr(0, 27), good_labels), ErrorKind::kCorrupt, "images", "[2,2,3]",
                    "11 bytes", "truncated"));
  EXPECT_TRUE(fails(read(good + "x", good_labels), ErrorKind::kCorrupt, "followed by other bytes"));
  EXPECT_TRUE(fails(read(good.substr(0, 9), good_labels), ErrorKind::kCorrupt, "header"));
  EXPECT_TRUE(fails(read("", good_labels), ErrorKind::kCorrupt, "0 bytes"));
  EXPECT_TRUE(fails(read(good_labels, good_labels), ErrorKind::kCorrupt, "[2] are no images"));
  EXPECT_TRUE(fails(read(good, good), ErrorKind::kCorrupt, "labels: extents", "are no labels"));
  EXPECT_TRUE(fails(read(unhex("00000803ffffffffffffffffffffffff"), good_labels),
                    ErrorKind::kCorrupt, "images"));
  EXPECT_TRUE(fails(read(unhex("00000803000000000000000200000003"), good_labels),
                    ErrorKind::kCorrupt, "no images in it"));
  std::string gz = unhex(kImagesGz);
  EXPECT_TRUE(
      fails(read(gz.substr(0, 30), good_labels), ErrorKind::kCorrupt, "images", "truncated"));
  gz[20] = static_cast<char>(gz[20] ^ 0x55);
  EXPECT_TRUE(fails(read(gz, good_labels), ErrorKind::kCorrupt, "images", "damaged"));
  EXPECT_TRUE(fails(read_idx(folder / "none", {}), ErrorKind::kNotFound, "none"));
}

TEST(Idx, DebiansFashionMnist) {
  const Path folder = "/usr/share/datasets/fashion-mnist";
  if (!folder_exists(folder)) GTEST_SKIP() << "package dataset-fashion-mnist is not installed";
  ImageDataset data = *open_dataset(folder, Split::kTrain);
  EXPECT_EQ(data.count, 60000);
  EXPECT_EQ(data.h, 28);
  EXPECT_EQ(data.num_classes(), 10);
  EXPECT_EQ(data.labels->front(), 9);  // the first image is an ankle boot
  std::vector<int> counts(10);
  for (int32_t label : *data.labels) ++counts[static_cast<size_t>(label)];
  EXPECT_EQ(counts, std::vector<int>(10, 6000));
  double sum = std::accumulate(data.pixels.begin(), data.pixels.end(), 0.0);
  // The published mean of the training pixels.
  EXPECT_NEAR(sum / static_cast<double>(data.pixels.size()) / 255, 0.2860, 5e-5);
  EXPECT_EQ(open_dataset(folder, Split::kTest)->count, 10000);
}

TEST(Cifar10, PlanesBecomeChannels) {
  TempFolder folder;
  std::string record(3073, '\0');
  record[0] = 3;
  record[1] = 10;                // red of pixel 0
  record[1 + 1024 + 33] = 20;    // green of row 1, column 1
  record[1 + 2048 + 1023] = 30;  // blue of the last pixel
  for (int i = 1; i <= 5; ++i)
    put(folder / ("data_batch_" + std::to_string(i) + ".bin"), record + record);
  ImageDataset data = *open_dataset(folder.path(), Split::kTrain);
  EXPECT_EQ(data.count, 10);
  EXPECT_EQ(data.c, 3);
  EXPECT_EQ(data.pixels[0], 10);
  EXPECT_EQ(data.pixels[33 * 3 + 1], 20);
  EXPECT_EQ(data.pixels[3071], 30);
  EXPECT_EQ(*data.labels, std::vector<int32_t>(10, 3));
  EXPECT_EQ(data.names[3], "cat");
  EXPECT_TRUE(
      fails(open_dataset(folder.path(), Split::kTest), ErrorKind::kNotFound, "test_batch.bin"));
  put(folder / "data_batch_4.bin", record.substr(1));
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kCorrupt,
                    "data_batch_4.bin", "3072 bytes"));
  record[0] = 10;
  put(folder / "data_batch_4.bin", record);
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kCorrupt,
                    "data_batch_4.bin", "label 10"));
}

Image plain(int h, int w, int c, uint8_t value) {
  return {h, w, c, std::vector<uint8_t>(static_cast<size_t>(h * w * c), value)};
}

TEST(ImageFolder, SubfoldersAreClasses) {
  TempFolder folder;
  put(folder / "dogs" / "b.png", encode_png(plain(2, 3, 3, 7)));
  put(folder / "cats" / "z.PNG", encode_png(plain(2, 3, 3, 5)));
  put(folder / "cats" / "notes.txt", "no image");
  put(folder / "cats" / "a.png", encode_png(plain(2, 3, 1, 6)));  // grey becomes RGB
  std::filesystem::create_directories(folder / "cows");
  ImageDataset data = *open_dataset(folder.path(), Split::kTrain);
  EXPECT_EQ(data.count, 3);
  EXPECT_EQ(data.c, 3);
  EXPECT_EQ(data.names, (std::vector<std::string>{"cats", "cows", "dogs"}));
  EXPECT_EQ(*data.labels, (std::vector<int32_t>{0, 0, 2}));
  EXPECT_EQ(data.class_counts(), (std::vector<int64_t>{2, 0, 1}));
  EXPECT_EQ(data.facts.left_out, (std::vector<DatasetFacts::LeftOut>{{"no picture", 1}}));
  EXPECT_THAT(data.facts.notes, ElementsAre("1 of 3 classes has no images: cows"));
  std::vector<uint8_t> expected(18, 6);
  expected.resize(36, 5);
  expected.resize(54, 7);
  EXPECT_EQ(data.pixels, expected);
}

TEST(ImageFolder, TheFirstImageOfAnotherSizeIsNamed) {
  TempFolder folder;
  put(folder / "a.png", encode_png(plain(4, 4, 1, 1)));
  put(folder / "b.png", encode_png(plain(4, 6, 1, 2)));
  put(folder / "c.png", encode_png(plain(5, 5, 1, 3)));
  EXPECT_TRUE(fails(read_image_folder(folder.path()), ErrorKind::kCorrupt, "b.png: image of 6x4",
                    "a.png has 4x4"));
  ImageDataset data = *read_image_folder(folder.path(), {.width = 2, .height = 2});
  EXPECT_EQ(data.count, 3);
  EXPECT_EQ(data.w, 2);
  EXPECT_EQ(data.pixels, (std::vector<uint8_t>{1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3}));
  put(folder / "b.png", "not an image");
  EXPECT_TRUE(fails(read_image_folder(folder.path()), ErrorKind::kCorrupt, "b.png"));
  EXPECT_TRUE(fails(read_image_folder(folder / "none"), ErrorKind::kNotFound, "none"));
}

TEST(OpenDataset, NothingRecognisableIsNamed) {
  TempFolder folder;
  EXPECT_TRUE(fails(open_dataset(folder / "none", Split::kTrain), ErrorKind::kNotFound, "none"));
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kNotFound,
                    "no pictures (PNG, JPEG, WebP, TIFF, GIF, BMP), IDX files, CIFAR batches or "
                    "arrays"));
}

TEST(NumpyDataset, BytesAndFloats) {
  TempFolder folder;
  ASSERT_TRUE(
      succeeds(write_npy(folder / "a.npy", tensor_from_bytes({1, 1, 2, 3}, {1, 2, 3, 4, 5, 6}))));
  ImageDataset a = *open_dataset(folder / "a.npy", Split::kTrain);
  EXPECT_EQ(a.c, 3);
  EXPECT_EQ(a.pixels, (std::vector<uint8_t>{1, 2, 3, 4, 5, 6}));

  const HostTensor two = tensor_from_floats({2, 1, 2}, {-1, 1, 0, 0.5f});
  const HostTensor label = tensor_from_int64({1}, {4});
  put_npz(folder / "b.npz", {{"x", two}, {"y", tensor_from_int64({2}, {4, 0})}});
  ImageDataset b = *open_dataset(folder / "b.npz", Split::kTrain);
  EXPECT_EQ(b.pixels, (std::vector<uint8_t>{0, 255, 128, 191}));  // 127.5 → 128, 191.25 → 191
  EXPECT_EQ(*b.labels, (std::vector<int32_t>{4, 0}));

  put_npz(folder / "c.npz", {{"x", two}, {"y", label}});
  EXPECT_TRUE(fails(read_array_dataset(folder / "c.npz", Split::kTrain), ErrorKind::kCorrupt,
                    "1 labels", "2 images"));
  put_npz(folder / "d.npz", {{"x", tensor_from_floats({1, 1, 1}, {200})}, {"y", label}});
  EXPECT_TRUE(fails(read_array_dataset(folder / "d.npz", Split::kTrain), ErrorKind::kCorrupt,
                    "pixel value 200"));
}

TEST(ImageDataset, PaddingSurroundsTheImage) {
  ImageDataset data{1, 2, 3, 1, {1, 2, 3, 4, 5, 6}, std::nullopt, {}, {}, {}};
  ImageDataset padded = *pad_to(data, 4, 4, 9);
  EXPECT_EQ(padded.pixels, (std::vector<uint8_t>{9, 9, 9, 9, 1, 2, 3, 9, 4, 5, 6, 9, 9, 9, 9, 9}));
  EXPECT_TRUE(fails(pad_to(data, 2, 2, 0), ErrorKind::kInvalidArgument, "2x3", "2x2"));
}

TEST(ImageDataset, NormalisedImagesAreWhatTheNetworkSees) {
  ImageDataset data{2, 1, 1, 2, {0, 255, 51, 102}, std::nullopt, {}, {}, {}};
  std::vector<float> out(2 * 3 * 3 * 2);
  EXPECT_TRUE(normalised_images(data, {1, 0}, 3, 3, out.data()).ok());
  std::vector<float> expected(36, -1.0f);
  expected[8] = 51 / 127.5f - 1;
  expected[9] = 102 / 127.5f - 1;
  expected[18 + 8] = -1;
  expected[18 + 9] = 1;
  EXPECT_EQ(out, expected);
}

}  // namespace
}  // namespace ito
