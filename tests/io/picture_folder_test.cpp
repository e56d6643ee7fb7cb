// Folders of pictures: classes, parts, what is left out, and how pictures are made to fit.
#include <gmock/gmock.h>

#include <cstdlib>

#include "io/dataset.h"
#include "io/image.h"
#include "io/png.h"
#include "io/tar.h"
#include "tests/io/temp_folder.h"
#include "tests/support/folders.h"

namespace ito {
namespace {

using test::bytes_of;
using test::fails;
using test::put;
using test::succeeds;
using test::TempFolder;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

std::string png(int h, int w, int c, uint8_t value) {
  return encode_png({h, w, c, std::vector<uint8_t>(static_cast<size_t>(h * w * c), value)});
}

std::string made(const char* name) {
  return bytes_of(Path(test::source_folder()) / "tests" / "data" / "pictures" / "made" / name);
}

// The value of the first sample of every image, and its class.
std::vector<std::string> seen(const ImageDataset& data) {
  std::vector<std::string> list;
  for (size_t i = 0; i < static_cast<size_t>(data.count); ++i)
    list.push_back(std::to_string(data.pixels[i * data.image_size()]) +
                   (data.labels ? " " + data.class_name((*data.labels)[i]) : ""));
  return list;
}

TEST(PictureFolder, AnyColouredPictureMakesAllOfThemColoured) {
  TempFolder folder;
  put(folder / "a.png", png(2, 2, 1, 5));
  put(folder / "b.png", png(2, 2, 3, 7));
  put(folder / "c.png", png(2, 2, 1, 9));
  const ImageDataset data = *open_dataset(folder.path(), Split::kTrain);
  EXPECT_EQ(data.c, 3);
  EXPECT_EQ(data.pixels.size(), 36u);
  EXPECT_THAT(seen(data), ElementsAre("5", "7", "9"));
  EXPECT_EQ(open_dataset(folder.path(), Split::kTrain, {.channels = 1})->c, 1);
}

TEST(PictureFolder, EveryFormatIsReadAndOthersAreNamed) {
  TempFolder folder;
  for (const char* name : {"lossy.webp", "420.jpg", "lzw.tif", "animated.gif", "24.bmp"})
    put(folder / name, made(name));
  put(folder / "without-ending", made("420.jpg"));
  put(folder / "x.HEIC", "....");
  put(folder / "y.heic", "....");
  put(folder / "notes.txt", "hello");
  put(folder / "._420.jpg", "AppleDouble");
  put(folder / ".hidden.png", "no picture");
  put(folder / "Thumbs.db", "no picture");
  put(folder / "__MACOSX" / "420.jpg", "no picture");
  const auto opened = open_dataset(folder.path(), Split::kTrain);
  ASSERT_TRUE(succeeds(opened));
  EXPECT_EQ(opened->count, 6);
  EXPECT_THAT(opened->facts.left_out,
              ElementsAre(DatasetFacts::LeftOut{"heic, which is not read", 2},
                          DatasetFacts::LeftOut{"no picture", 1}));
  EXPECT_THAT(describe(*opened, "training images"),
              HasSubstr("6 training images of 34x21 (width x height), 3 channels (pictures in "));
  EXPECT_THAT(describe(*opened, "x"), HasSubstr("files left out: 2 (heic, which is not read), 1"));
  const Json json = facts_json(*opened);
  EXPECT_EQ(json["left_out"][0]["files"], 2);
  EXPECT_EQ(json["channels"], 3);
}

TEST(PictureFolder, OnlyUnreadablePicturesAreAnErrorThatNamesThem) {
  TempFolder folder;
  put(folder / "x.avif", "....");
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kNotFound, "avif"));
}

TEST(PictureFolder, ClassesAreFoldersHoweverDeepThePicturesLie) {
  TempFolder folder;
  put(folder / "a" / "x" / "1.png", png(2, 2, 1, 1));
  put(folder / "a" / "y" / "1.png", png(2, 2, 1, 2));
  put(folder / "b" / "x" / "1.png", png(2, 2, 1, 3));
  const ImageDataset data = *open_dataset(folder.path(), Split::kTrain);
  EXPECT_THAT(seen(data), ElementsAre("1 a", "2 a", "3 b"));
  EXPECT_THAT(describe(data, "images"), HasSubstr("2 classes: a 2, b 1"));
  const ImageDataset plain =
      *open_dataset(folder.path(), Split::kTrain, {.labels = LabelSource::kNone});
  EXPECT_THAT(seen(plain), ElementsAre("1", "2", "3"));
}

TEST(PictureFolder, StrayPicturesBesideClassesAreLeftOutAndSaid) {
  TempFolder folder;
  put(folder / "a" / "1.png", png(2, 2, 1, 1));
  put(folder / "b" / "1.png", png(2, 2, 1, 2));
  put(folder / "stray.png", png(2, 2, 1, 3));
  const ImageDataset data = *open_dataset(folder.path(), Split::kTrain);
  EXPECT_THAT(seen(data), ElementsAre("1 a", "2 b"));
  EXPECT_THAT(data.facts.notes, Contains(HasSubstr("--labels none")));
  EXPECT_THAT(data.facts.left_out,
              ElementsAre(DatasetFacts::LeftOut{"beside the folders of classes", 1}));
}

TEST(PictureFolder, AnEmptyFolderIsAClassAndOneOfOtherFilesIsSaidToBeNone) {
  TempFolder folder;
  put(folder / "a" / "1.png", png(2, 2, 1, 1));
  put(folder / "b" / "inner" / ".keep", "");
  put(folder / "c" / "1.png", png(2, 2, 1, 3));
  put(folder / "notes" / "read.txt", "words");
  const ImageDataset data = *open_dataset(folder.path(), Split::kTrain);
  EXPECT_THAT(seen(data), ElementsAre("1 a", "3 c"));
  EXPECT_EQ(data.num_classes(), 3);
  EXPECT_THAT(data.facts.notes, Contains(HasSubstr("no pictures are in notes, so it is no class")));
}

TEST(PictureFolder, OneFolderAroundThePicturesIsNoClass) {
  TempFolder folder;
  put(folder / "images" / "1.png", png(2, 2, 1, 1));
  put(folder / "images" / "2.png", png(2, 2, 1, 2));
  const ImageDataset data = *open_dataset(folder.path(), Split::kTrain);
  EXPECT_FALSE(data.labels.has_value());
  EXPECT_EQ(data.facts.from, folder / "images");
  const ImageDataset one =
      *open_dataset(folder.path(), Split::kTrain, {.labels = LabelSource::kFolders});
  EXPECT_THAT(seen(one), ElementsAre("1 images", "2 images"));
}

TEST(PictureFolder, PartsAreMatchedByTheNamesOfClasses) {
  TempFolder folder;
  for (const char* name : {"a", "b", "c"}) put(folder / "train" / name / "1.png", png(2, 2, 1, 1));
  put(folder / "test" / "a" / "1.png", png(2, 2, 1, 2));
  put(folder / "test" / "c" / "1.png", png(2, 2, 1, 3));
  const ImageDataset test = *open_dataset(folder.path(), Split::kTest);
  EXPECT_EQ(*test.labels, (std::vector<int32_t>{0, 2}));
  EXPECT_EQ(test.facts.part, "test");
  EXPECT_EQ(test.num_classes(), 3);
  put(folder / "test" / "d" / "1.png", png(2, 2, 1, 4));
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTest), ErrorKind::kInvalidArgument,
                    "d is no class of the training images", "a, b, c"));
  EXPECT_EQ(open_dataset(folder.path(), Split::kTrain)->count, 3);
}

TEST(PictureFolder, ValidationFoldersAreTheTestPartWhereThereIsNoOther) {
  for (const char* name : {"val", "valid", "validation", "Val"}) {
    TempFolder folder;
    put(folder / "train" / "1.png", png(2, 2, 1, 1));
    put(folder / "train" / "2.png", png(2, 2, 1, 2));
    put(folder / name / "1.png", png(2, 2, 1, 9));
    const ImageDataset train = *open_dataset(folder.path(), Split::kTrain);
    EXPECT_THAT(seen(train), ElementsAre("1", "2"));
    const ImageDataset test = **open_test_images(folder.path());
    EXPECT_THAT(seen(test), ElementsAre("9"));
    EXPECT_EQ(kind_of_images(test), "validation images");
    put(folder / "test" / "1.png", png(2, 2, 1, 10));
    const ImageDataset both = *open_dataset(folder.path(), Split::kTest);
    EXPECT_THAT(seen(both), ElementsAre("10"));
    EXPECT_THAT(both.facts.notes, Contains(HasSubstr("left out")));
  }
}

TEST(PictureFolder, WithoutATestPartNothingIsCalledTest) {
  TempFolder folder;
  put(folder / "a" / "1.png", png(2, 2, 1, 1));
  put(folder / "b" / "1.png", png(2, 2, 1, 2));
  EXPECT_FALSE(open_test_images(folder.path())->has_value());
  EXPECT_EQ(kind_of_images(*open_dataset(folder.path(), Split::kTest)), "training images");
  TempFolder only;
  put(only / "train" / "1.png", png(2, 2, 1, 1));
  EXPECT_FALSE(open_test_images(only.path())->has_value());
  EXPECT_TRUE(
      fails(open_dataset(only.path(), Split::kTest), ErrorKind::kNotFound, "no folder test"));
}

TEST(PictureFolder, TrainMayBeAClassOfVehicles) {
  TempFolder folder;
  put(folder / "bus" / "1.png", png(2, 2, 1, 1));
  put(folder / "train" / "1.png", png(2, 2, 1, 2));
  EXPECT_THAT(seen(*open_dataset(folder.path(), Split::kTrain)), ElementsAre("1 bus", "2 train"));
  put(folder / "test" / "bus" / "1.png", png(2, 2, 1, 3));
  const ImageDataset parted = *open_dataset(folder.path(), Split::kTrain);
  EXPECT_THAT(seen(parted), ElementsAre("2"));
  EXPECT_THAT(parted.facts.notes, ElementsAre(HasSubstr("they are beside train")));
}

TEST(PictureFolder, ClassesComeFromTables) {
  TempFolder folder;
  put(folder / "x" / "1.png", png(2, 2, 1, 1));
  put(folder / "x" / "2.png", png(2, 2, 1, 2));
  put(folder / "3.png", png(2, 2, 1, 3));
  put(folder / "metadata.csv",
      "\xef\xbb\xbf"
      "file_name,text,label\r\nx/1.png,\"a, \"\"b\"\"\",dog\r\n3.png,,\"big, cat\"\r\n");
  ImageDataset data = *open_dataset(folder.path(), Split::kTrain);
  EXPECT_THAT(seen(data), ElementsAre("3 big, cat", "1 dog"));
  EXPECT_THAT(data.facts.left_out, ElementsAre(DatasetFacts::LeftOut{"not in metadata.csv", 1}));
  put(folder / "metadata.csv", "file_name,label\nx/9.png,dog\n");
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kCorrupt, "metadata.csv",
                    "x/9.png is not there"));
  std::filesystem::remove(folder / "metadata.csv");
  put(folder / "metadata.jsonl",
      "{\"file_name\": \"x/1.png\", \"label\": 4}\n\n{\"file_name\": \"3.png\", \"label\": 1}\n");
  data = *open_dataset(folder.path(), Split::kTrain);
  EXPECT_EQ(*data.labels, (std::vector<int32_t>{1, 4}));
  EXPECT_EQ(data.num_classes(), 5);
  EXPECT_THAT(data.facts.notes, Contains(HasSubstr("3 of 5 classes have no images: 0, 2, 3")));
  put(folder / "metadata.jsonl", "{\"file_name\": \"x/1.png\", \"text\": \"a dog\"}\n");
  data = *open_dataset(folder.path(), Split::kTrain);
  EXPECT_THAT(data.facts.notes, Contains(HasSubstr("no column label")));
}

TEST(PictureFolder, ClassesComeFromThePrefixOfNamesWhereAskedFor) {
  TempFolder folder;
  put(folder / "dog_1.png", png(2, 2, 1, 1));
  put(folder / "cat_7_b.png", png(2, 2, 1, 2));
  EXPECT_FALSE(open_dataset(folder.path(), Split::kTrain)->labels.has_value());
  const DatasetOptions prefix{.labels = LabelSource::kPrefix};
  EXPECT_THAT(seen(*open_dataset(folder.path(), Split::kTrain, prefix)),
              ElementsAre("2 cat", "1 dog"));
  put(folder / "plain.png", png(2, 2, 1, 3));
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain, prefix), ErrorKind::kInvalidArgument,
                    "plain.png", "underscore"));
}

TEST(PictureFolder, TransparencyLiesOnTheBackgroundAndIsSaidOnce) {
  TempFolder folder;
  put(folder / "a.png", encode_png({1, 1, 4, {10, 20, 30, 0}}));
  put(folder / "b.png", encode_png({1, 1, 4, {10, 20, 30, 255}}));
  put(folder / "c.png", encode_png({1, 1, 4, {10, 20, 30, 51}}));
  ImageDataset data = *open_dataset(folder.path(), Split::kTrain);
  EXPECT_EQ(data.pixels, (std::vector<uint8_t>{255, 255, 255, 10, 20, 30, 206, 208, 210}));
  EXPECT_THAT(data.facts.notes, ElementsAre("2 pictures are transparent and lie on #ffffff; "
                                            "--background says on what else"));
  data = *open_dataset(folder.path(), Split::kTrain,
                       {.background = *parse_background("black", "--background")});
  EXPECT_EQ(data.pixels, (std::vector<uint8_t>{0, 0, 0, 10, 20, 30, 2, 4, 6}));
}

TEST(PictureFolder, SixteenBitsReachTheNetwork) {
  TempFolder folder;
  const Path suite = Path(test::source_folder()) / "tests" / "data" / "pictures" / "pngsuite";
  put(folder / "deep.png", bytes_of(suite / "basn0g16.png"));
  const ImageDataset data = *open_dataset(folder.path(), Split::kTrain);
  const Picture picture = read_picture(folder / "deep.png").value();
  std::vector<float> out(static_cast<size_t>(data.h * data.w));
  EXPECT_TRUE(normalised_images(data, {0}, data.h, data.w, out.data()).ok());
  for (size_t i = 0; i < out.size(); ++i)
    ASSERT_FLOAT_EQ(out[i], static_cast<float>(picture.samples[i]) / 32767.5f - 1.0f);
  EXPECT_EQ(data.facts.most, 65535);
}

TEST(PictureFolder, ResizeCoversAndCutsOrFitsAndSurrounds) {
  TempFolder folder;
  // A wide picture, black on the left half and white on the right.
  Image wide{2, 8, 1, {}};
  for (int i = 0; i < 16; ++i) wide.pixels.push_back(i % 8 < 4 ? 0 : 255);
  put(folder / "a.png", encode_png(wide));
  put(folder / "b.png", png(4, 4, 1, 100));
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kCorrupt,
                    "b.png: image of 4x4", "8x2", "--resize", "--pad"));
  ImageDataset data = *open_dataset(folder.path(), Split::kTrain, {.width = 2, .height = 2});
  EXPECT_EQ(data.pixels, (std::vector<uint8_t>{0, 255, 0, 255, 100, 100, 100, 100}));
  data = *open_dataset(folder.path(), Split::kTrain, {.width = 8, .height = 4, .pad = true});
  EXPECT_EQ(data.w, 8);
  EXPECT_EQ(data.h, 4);
  EXPECT_EQ(data.pixels[0], 255);   // above the wide picture
  EXPECT_EQ(data.pixels[8], 0);     // its first row
  EXPECT_EQ(data.pixels[32], 255);  // left of the square one
  EXPECT_EQ(data.pixels[32 + 2], 100);
}

TEST(PictureFolder, DamagedPicturesAreNamed) {
  TempFolder folder;
  put(folder / "a.png", png(2, 2, 1, 1));
  std::string bad = png(8, 8, 3, 2);
  bad[bad.size() - 20] = static_cast<char>(bad[bad.size() - 20] ^ 1);
  put(folder / "bad.png", bad);
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kCorrupt, "bad.png",
                    "damaged image"));
}

TEST(HoldOut, TakesAFixedDrawAndNeverMoreThanHalf) {
  ImageDataset data;
  data.count = 1000;
  data.h = data.w = data.c = 1;
  data.labels.emplace();
  for (int i = 0; i < 1000; ++i) {
    data.pixels.push_back(static_cast<uint8_t>(i % 256));
    data.labels->push_back(i);
  }
  ImageDataset rest = data;
  const auto held = hold_out(rest, 0.02, 256);
  ASSERT_TRUE(held.has_value());
  EXPECT_EQ(held->count, 256);
  EXPECT_EQ(rest.count, 744);
  std::vector<int32_t> all = *held->labels;
  all.insert(all.end(), rest.labels->begin(), rest.labels->end());
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, *data.labels);
  EXPECT_EQ(kind_of_images(*held), "held-out images");
  ImageDataset again = data;
  EXPECT_EQ(*hold_out(again, 0.02, 256)->labels, *held->labels);
  EXPECT_EQ(hold_out(again, 0.3, 1)->count, 223);  // of 744
  ImageDataset few = selected(data, {1, 2, 3});
  EXPECT_FALSE(hold_out(few, 0.02, 256).has_value());
  EXPECT_EQ(few.count, 3);
}

TEST(PictureFolder, TablesAreReadAsPeopleWriteThem) {
  TempFolder folder;
  put(folder / "s" / "1.png", png(2, 2, 1, 1));
  put(folder / "s" / "2.png", png(2, 2, 1, 2));
  const auto table = [&](const char* text) {
    put(folder / "metadata.csv", std::string("file_name,label\n") + text);
    return open_dataset(folder.path(), Split::kTrain);
  };
  EXPECT_THAT(seen(*table("s/1.png,00\ns/2.png,01\n")), ElementsAre("1 00", "2 01"));
  EXPECT_THAT(seen(*table("./s/1.png,x\ns\\2.png,y\n")), ElementsAre("1 x", "2 y"));
  EXPECT_THAT(seen(*table("s/1.png,1.0\ns/2.png,1\n")), ElementsAre("1 1", "2 1"));
  EXPECT_TRUE(
      fails(table("s/1.png,x\ns/1.png,y\n"), ErrorKind::kCorrupt, "s/1.png", "\"x\" and \"y\""));
  EXPECT_TRUE(fails(table("s/1.png,-1\n"), ErrorKind::kInvalidArgument, "label -1"));
  EXPECT_TRUE(fails(table(""), ErrorKind::kInvalidArgument, "names no picture"));
  put(folder / "metadata.csv", "");
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kCorrupt, "file_name",
                    "found nothing"));
  put(folder / "metadata.csv",
      "\xff\xfe"
      "f");
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kCorrupt, "UTF-16"));
}

TEST(PictureFolder, ATableAroundThePartsNamesTheirPictures) {
  TempFolder folder;
  put(folder / "train" / "1.png", png(2, 2, 1, 1));
  put(folder / "train" / "2.png", png(2, 2, 1, 2));
  put(folder / "test" / "1.png", png(2, 2, 1, 3));
  put(folder / "metadata.csv", "file_name,label\ntrain/1.png,x\ntrain/2.png,y\ntest/1.png,y\n");
  EXPECT_THAT(seen(*open_dataset(folder.path(), Split::kTrain)), ElementsAre("1 x", "2 y"));
  EXPECT_THAT(seen(*open_dataset(folder.path(), Split::kTest)), ElementsAre("3 y"));
}

TEST(PictureFolder, PartsAreFoundWhateverLiesAroundThem) {
  for (const auto& [train, test] : {std::pair{"train", "test"},
                                    {"Training", "Testing"},
                                    {"train_set", "test_set"},
                                    {"seg_train", "seg_test"},
                                    {"train2017", "val2017"}}) {
    TempFolder folder;
    const Path inner = folder / "wrapper" / "data";
    put(inner / train / "a" / "1.png", png(2, 2, 1, 1));
    put(inner / train / "b" / "1.png", png(2, 2, 1, 2));
    put(inner / test / "a" / "1.png", png(2, 2, 1, 9));
    put(folder / "README.md", "about");
    EXPECT_THAT(seen(*open_dataset(folder.path(), Split::kTrain)), ElementsAre("1 a", "2 b"))
        << train;
    EXPECT_THAT(seen(*open_dataset(folder.path(), Split::kTest)), ElementsAre("9 a")) << train;
    put(folder / "preview.png", png(2, 2, 1, 5));
    EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kInvalidArgument,
                      "pictures lie beside", "give that"));
  }
  TempFolder classes;
  for (const char* name : {"train_station", "bus_test", "harbour"})
    put(classes / name / "1.png", png(2, 2, 1, 1));
  const ImageDataset data = *open_dataset(classes.path(), Split::kTrain);
  EXPECT_EQ(data.num_classes(), 3);
  EXPECT_THAT(data.facts.notes, Contains(HasSubstr("bus_test is taken for a class")));
  TempFolder below;
  for (const char* name : {"a/train", "a/test", "b/train", "b/test"})
    put(below / name / "1.png", png(2, 2, 1, 1));
  EXPECT_TRUE(fails(open_dataset(below.path(), Split::kTrain), ErrorKind::kInvalidArgument,
                    "has parts of its own", "train/a"));
  TempFolder only;
  put(only / "test" / "a" / "1.png", png(2, 2, 1, 1));
  EXPECT_TRUE(
      fails(open_dataset(only.path(), Split::kTrain), ErrorKind::kNotFound, "only test images"));
}

TEST(PictureFolder, WhatIsNoPictureIsNamed) {
  TempFolder folder;
  put(folder / "images" / "1.png", png(2, 2, 1, 1));
  put(folder / "masks" / "1.png", png(2, 2, 1, 2));
  EXPECT_THAT(open_dataset(folder.path(), Split::kTrain)->facts.notes,
              Contains(HasSubstr("masks is taken for a class")));
  put(folder / "labels.csv", "file_name,label\n");
  EXPECT_THAT(open_dataset(folder.path(), Split::kTrain)->facts.left_out,
              Contains(DatasetFacts::LeftOut{"a table that is not called metadata.csv", 1}));
  put(folder / "images" / "2.png", "version https://git-lfs.github.com/spec/v1\noid sha256:1\n");
  EXPECT_TRUE(
      fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kCorrupt, "2.png", "Git LFS"));
  TempFolder packed;
  put(packed / "cifar.tar.gz", "\x1f\x8b\x08 and so on");
  put(packed / "data" / "train.parquet", "PAR1....");
  EXPECT_TRUE(fails(open_dataset(packed.path(), Split::kTrain), ErrorKind::kNotFound,
                    "cifar.tar.gz is a gzip archive, unpack it first", "a Parquet file"));
  EXPECT_TRUE(
      fails(open_dataset(folder / "images", Split::kTrain, {.labels = LabelSource::kFolders}),
            ErrorKind::kInvalidArgument, "in no folders"));
}

// WebDataset's archives, those of `ito sample --form tar` and of others.
TEST(PictureTars, HoldPicturesAndTheirClasses) {
  TempFolder folder;
  const auto entries = [&](int k) {
    return tar_entry("a" + std::to_string(k) + ".png", png(2, 2, 1, static_cast<uint8_t>(k))) +
           tar_entry("a" + std::to_string(k) + ".cls", std::to_string(k % 3) + "\n") +
           tar_entry("a" + std::to_string(k) + ".json", "{}");
  };
  put(folder / "00000.tar", entries(1) + entries(2) + tar_end());
  put(folder / "00001.tar", entries(5) + tar_end());
  put(folder / "manifest-0-of-1.jsonl", "{}");
  for (const bool streamed : {false, true}) {
    DatasetOptions options;
    options.reading.drawn = true;
    if (streamed) options.reading.memory = 0;
    const auto data = open_dataset(folder.path(), Split::kTrain, options);
    ASSERT_TRUE(succeeds(data));
    EXPECT_EQ(*data->labels, (std::vector<int32_t>{1, 2, 2}));
    std::vector<float> values(3 * 4);
    EXPECT_TRUE(normalised_images(*data, {0, 1, 2}, 2, 2, values.data()).ok());
    EXPECT_FLOAT_EQ(values[8], 5 / 127.5f - 1);
  }
  EXPECT_EQ(open_dataset(folder / "00001.tar", Split::kTrain)->count, 1);
  put(folder / "00001.tar", tar_entry("b.png", png(2, 2, 1, 7)) + tar_end());
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kCorrupt,
                    "1 of 3 pictures have no class", "--labels none"));
  EXPECT_EQ(open_dataset(folder.path(), Split::kTrain, {.labels = LabelSource::kNone})->count, 3);
  put(folder / "00001.tar", tar_entry("b.png", png(2, 2, 1, 7)));
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kCorrupt, "00001.tar"));
}

// What scripts/fetch-emoji fetches, where it has.
TEST(PictureFolder, EmojiAreColouredPicturesInTenGroups) {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const Path base = cache != nullptr  ? Path(cache)
                    : home != nullptr ? Path(home) / ".cache"
                                      : Path();
  const Path folder = base / "ito" / "emoji";
  if (!folder_exists(folder)) GTEST_SKIP() << folder << " is missing: run scripts/fetch-emoji";
  const auto data = open_dataset(folder, Split::kTrain, {.width = 32, .height = 32});
  ASSERT_TRUE(succeeds(data));
  EXPECT_EQ(data->count, 3786);
  EXPECT_EQ(data->c, 3);
  EXPECT_EQ(data->num_classes(), 10);
  EXPECT_EQ(data->class_counts()[3], 270);  // flags
  EXPECT_EQ(data->class_name(3), "Flags");
  EXPECT_THAT(data->facts.notes, ElementsAre(HasSubstr("3786 pictures are transparent")));
  EXPECT_EQ(data->pixels[0], 255);  // the corner of the first is white
}

}  // namespace
}  // namespace ito
