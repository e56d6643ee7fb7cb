// Data sets as arrays: names, shapes, ranges, labels; and archives made to burst.
#include <gmock/gmock.h>

#include <cmath>

#include "io/compress.h"
#include "io/dataset.h"
#include "io/npy.h"
#include "io/safetensors.h"
#include "io/zip.h"
#include "tests/io/temp_folder.h"
#include "tests/support/folders.h"
#include "tests/support/numpy_files.h"

namespace ito {
namespace {

using test::bytes_of;
using test::fails;
using test::put;
using test::put_npz;
using test::succeeds;
using test::TempFolder;
using test::write_npy;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

HostTensor counting(const Shape& shape, uint8_t first = 0) {
  std::vector<uint8_t> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<uint8_t>(first + i);
  return tensor_from_bytes(shape, values);
}

class ArrayDataset : public testing::Test {
 protected:
  Result<ImageDataset> npy(const HostTensor& tensor, const DatasetOptions& options = {}) {
    EXPECT_TRUE(succeeds(write_npy(folder_ / "a.npy", tensor)));
    return open_dataset(folder_ / "a.npy", Split::kTrain, options);
  }
  Result<ImageDataset> npz(const std::map<std::string, HostTensor>& tensors,
                           Split split = Split::kTrain) {
    put_npz(folder_ / "a.npz", tensors);
    return open_dataset(folder_ / "a.npz", split);
  }
  TempFolder folder_;
};

TEST_F(ArrayDataset, FloatsWithoutNegativeValuesAreSaidToBeginAtBlack) {
  const HostTensor unit = tensor_from_floats({2, 1, 2}, {0, 0.25f, 0.5f, 1});
  ImageDataset data = *npy(unit);
  EXPECT_EQ(data.pixels, (std::vector<uint8_t>{0, 64, 128, 255}));
  EXPECT_EQ(data.floats, (std::vector<float>{-1, -0.5f, 0, 1}));
  EXPECT_THAT(data.facts.notes, ElementsAre(HasSubstr("--range=-1,1")));
  EXPECT_THAT(describe(data, "images"), HasSubstr("values 0 to 1"));
  data = *npy(unit, {.range = ValueRange::kSigned});
  EXPECT_EQ(data.floats, (std::vector<float>{0, 0.25f, 0.5f, 1}));
  EXPECT_TRUE(data.facts.notes.empty());
  // Bytes that somebody divided by 255 are bytes again.
  EXPECT_TRUE(npy(tensor_from_floats({1, 1, 3}, {7 / 255.0f, 1, 0}))->floats.empty());
  const HostTensor bytes = tensor_from_floats({1, 1, 3}, {0, 51, 255});
  EXPECT_TRUE(fails(npy(bytes), ErrorKind::kCorrupt, "pixel value 255", "--range 0,255"));
  EXPECT_EQ(npy(bytes, {.range = ValueRange::kBytes})->pixels, (std::vector<uint8_t>{0, 51, 255}));
  EXPECT_TRUE(fails(npy(tensor_from_floats({1, 1, 1}, {std::nanf("")})), ErrorKind::kCorrupt,
                    "not a number"));
}

TEST_F(ArrayDataset, ChannelsMayComeSecond) {
  ImageDataset data = *npy(counting({2, 3, 8, 6}));
  EXPECT_EQ(data.h, 8);
  EXPECT_EQ(data.w, 6);
  EXPECT_EQ(data.c, 3);
  EXPECT_EQ(data.pixels[0], 0);
  EXPECT_EQ(data.pixels[1], 48);
  EXPECT_EQ(data.pixels[3], 1);
  EXPECT_THAT(data.facts.notes, ElementsAre(HasSubstr("[count,c,h,w]")));
  EXPECT_EQ(npy(counting({2, 1, 8, 6}))->c, 1);
  EXPECT_EQ(npy(counting({2, 8, 6, 3}))->c, 3);
  EXPECT_THAT(npy(counting({2, 3, 8, 3}))->facts.notes, ElementsAre(HasSubstr("though")));
}

TEST_F(ArrayDataset, OnePictureOrManyIsAsked) {
  for (const Shape& shape : {Shape{8, 6, 3}, Shape{8, 6, 4}, Shape{8, 6, 1}, Shape{3, 8, 6}})
    EXPECT_TRUE(fails(npy(counting(shape)), ErrorKind::kInvalidArgument, "one picture"))
        << shape.to_string();
  EXPECT_TRUE(fails(npy(counting({10, 49})), ErrorKind::kInvalidArgument, "flattened"));
  EXPECT_EQ(npy(counting({5, 8, 6}))->count, 5);
  // Labels settle it.
  const auto labelled = npz({{"x", counting({3, 8, 6})}, {"y", counting({3})}});
  ASSERT_TRUE(succeeds(labelled));
  EXPECT_EQ(labelled->count, 3);
}

TEST_F(ArrayDataset, WordsKeepTheirBits) {
  HostTensor words{HostType::kU16, Shape{1, 1, 3}, {0, 0, 0xff, 0xff, 0x34, 0x12}};
  const ImageDataset data = *npy(words);
  EXPECT_EQ(data.pixels, (std::vector<uint8_t>{0, 255, 18}));
  EXPECT_FLOAT_EQ(data.floats[2], 0x1234 / 32767.5f - 1);
  EXPECT_EQ(npy(tensor_from_int64({1, 1, 2}, {3, 255}))->pixels, (std::vector<uint8_t>{3, 255}));
  EXPECT_TRUE(fails(npy(tensor_from_int64({1, 1, 2}, {3, 256})), ErrorKind::kCorrupt, "256"));
  EXPECT_EQ(npy({HostType::kBool, Shape{1, 1, 2}, {0, 1}})->pixels, (std::vector<uint8_t>{0, 255}));
}

TEST_F(ArrayDataset, KerasAndMedMnistPartsAreFound) {
  const std::map<std::string, HostTensor> keras = {{"x_train", counting({4, 5, 5})},
                                                   {"y_train", counting({4})},
                                                   {"x_test", counting({2, 5, 5}, 9)},
                                                   {"y_test", counting({2}, 1)}};
  EXPECT_EQ(npz(keras)->count, 4);
  const ImageDataset test = *npz(keras, Split::kTest);
  EXPECT_EQ(test.count, 2);
  EXPECT_EQ(*test.labels, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(test.facts.part, "test");
  std::map<std::string, HostTensor> med = {
      {"train_images", counting({4, 5, 5})}, {"train_labels", counting({4, 1})},
      {"val_images", counting({2, 5, 5})},   {"val_labels", counting({2, 1})},
      {"test_images", counting({3, 5, 5})},  {"test_labels", counting({3, 1})}};
  EXPECT_EQ(npz(med, Split::kTest)->count, 3);
  med.erase("test_images");
  EXPECT_EQ(npz(med, Split::kTest)->facts.part, "val");
  med.erase("val_images");
  EXPECT_TRUE(fails(npz(med, Split::kTest), ErrorKind::kNotFound, "test images"));
  // One 1 a row is a class; several are several classes.
  ImageDataset one_hot = *npz(
      {{"images", counting({2, 5, 5})}, {"labels", tensor_from_bytes({2, 3}, {0, 0, 1, 1, 0, 0})}});
  EXPECT_EQ(*one_hot.labels, (std::vector<int32_t>{2, 0}));
  one_hot = *npz(
      {{"images", counting({2, 5, 5})}, {"labels", tensor_from_bytes({2, 3}, {1, 0, 1, 1, 0, 0})}});
  EXPECT_FALSE(one_hot.labels.has_value());
  EXPECT_THAT(one_hot.facts.notes, Contains(HasSubstr("several classes")));
}

TEST_F(ArrayDataset, WhatSampleWritesIsRead) {
  TensorFile file;
  file.tensors["images"] = tensor_from_floats({2, 1, 2, 2}, {-1, 0, 0.5f, 1.25f, -1, -1, -1, -1});
  file.tensors["classes"] = tensor_from_uint32({2}, {3, 1});
  file.tensors["seeds"] = tensor_from_uint32({2}, {0, 1});
  ASSERT_TRUE(succeeds(write_npz(folder_ / "s.npz", file)));
  file.metadata["settings"] = "{}";
  ASSERT_TRUE(succeeds(write_safetensors(folder_ / "s.safetensors", file)));
  for (const char* name : {"s.npz", "s.safetensors"}) {
    const auto data = open_dataset(folder_ / name, Split::kTrain);
    ASSERT_TRUE(succeeds(data));
    EXPECT_EQ(data->h, 2);
    EXPECT_EQ(data->c, 1);
    EXPECT_EQ(*data->labels, (std::vector<int32_t>{3, 1}));
    EXPECT_EQ(data->floats[2], 0.5f);
    EXPECT_EQ(data->floats[3], 1);
  }
}

TEST_F(ArrayDataset, ClassesAreCalledAsTheFileSays) {
  TensorFile file;
  file.tensors["arr_0"] = counting({2, 5, 5});
  file.tensors["labels"] = tensor_from_int64({2}, {2, 0});
  const auto names_of = [&](const std::vector<std::string>& names) {
    EXPECT_TRUE(succeeds(write_npz(folder_ / "n.npz", file, {{"class_names", names}})));
    return open_dataset(folder_ / "n.npz", Split::kTrain).value();
  };
  EXPECT_EQ(names_of({"boot", "bag", "hat"}).names,
            (std::vector<std::string>{"boot", "bag", "hat"}));
  for (const std::vector<std::string>& none :
       std::vector<std::vector<std::string>>{{"boot", "bag"}, {"boot", "boot", "bag"}}) {
    const ImageDataset data = names_of(none);
    EXPECT_TRUE(data.names.empty());
    EXPECT_THAT(data.facts.notes, Contains(HasSubstr("class_names has")));
  }
  file.metadata["settings"] = R"({"class_names": ["boot", "bag", "hat"]})";
  ASSERT_TRUE(succeeds(write_safetensors(folder_ / "n.safetensors", file)));
  EXPECT_EQ(open_dataset(folder_ / "n.safetensors", Split::kTrain)->names.at(2), "hat");
}

TEST_F(ArrayDataset, AnArrayThatNobodyAsksForMayBeOfAnyType) {
  // An array of strings of one character, as numpy.array(["a"]) is saved.
  std::string header = "{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }";
  header.resize(117, ' ');
  const std::string strings =
      std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + "\n" + std::string("a\0\0\0", 4);
  ASSERT_TRUE(succeeds(write_npy(folder_ / "images.npy", counting({2, 5, 5}))));
  const std::string images = bytes_of(folder_ / "images.npy");
  std::filesystem::remove(folder_ / "images.npy");
  ASSERT_TRUE(succeeds(
      write_zip(folder_ / "a.npz", {{"names.npy", strings, ""}, {"images.npy", images, ""}})));
  const auto data = open_dataset(folder_ / "a.npz", Split::kTrain);
  ASSERT_TRUE(succeeds(data));
  EXPECT_EQ(data->count, 2);
}

// Arrays that NumPy wrote (tests/data/numpy/make.py).
TEST_F(ArrayDataset, LabelsMayBeNames) {
  const Path labels = Path(test::source_folder()) / "tests/data/numpy/labels.npz";
  const auto with_labels = [&](const std::string& name) {
    // Beside the images, under a name that is labels.
    const MappedFile file = MappedFile::open(labels).value();
    const MappedFile images = [&] {
      EXPECT_TRUE(succeeds(write_npy(folder_ / "x.npy", counting({5, 6, 7}))));
      return MappedFile::open(folder_ / "x.npy").value();
    }();
    std::string content;
    const std::vector<ZipEntry> entries = parse_zip(file.bytes(), "labels").value();
    for (const ZipEntry& entry : entries)
      if (entry.name == name + ".npy") content = read_zip_entry(entry, "labels").value();
    EXPECT_FALSE(content.empty()) << name;
    EXPECT_TRUE(succeeds(
        write_zip(folder_ / "b.npz", {{"x.npy", "", images.bytes()}, {"y.npy", "", content}})));
    return open_dataset(folder_ / "b.npz", Split::kTrain);
  };
  for (const char* name : {"unicode", "swapped", "bytes", "objects", "column"}) {
    const auto data = with_labels(name);
    ASSERT_TRUE(succeeds(data)) << name;
    EXPECT_THAT(data->names, ElementsAre("bird", "cat", "été", "\xf0\x9f\x90\xa6")) << name;
    EXPECT_THAT(*data->labels, ElementsAre(0, 2, 0, 1, 3)) << name;
    EXPECT_THAT(describe(*data, "images"), HasSubstr("bird 2")) << name;
  }
  // Numbers that are written as texts are these numbers.
  const auto numbers = with_labels("numbers");
  ASSERT_TRUE(succeeds(numbers));
  EXPECT_THAT(*numbers->labels, ElementsAre(10, 2, 2, 0, 10));
  EXPECT_EQ(numbers->num_classes(), 11);
  EXPECT_TRUE(fails(with_labels("mixed"), ErrorKind::kUnsupported, "y.npy", "numbers or texts"));
  EXPECT_TRUE(fails(with_labels("one"), ErrorKind::kCorrupt, "[5,2]", "5 images"));
}

// The parts of one file or folder have one list of classes: that of the training images.
TEST_F(ArrayDataset, NamesOfTheTestPartAreThoseOfTheTrainingPart) {
  const auto texts = [](const std::vector<std::string>& names) {
    std::string text = "\x93NUMPY\x01";
    std::string header =
        fmt::format("{{'descr': '|S3', 'fortran_order': False, 'shape': ({},), }}\n", names.size());
    text += std::string("\0", 1) + static_cast<char>(header.size()) + std::string("\0", 1) + header;
    for (std::string name : names) {
      name.resize(3, '\0');
      text += name;
    }
    return text;
  };
  const auto images = [&](int64_t count) {
    EXPECT_TRUE(succeeds(write_npy(folder_ / "one.npy", counting({count, 6, 7}))));
    return bytes_of(folder_ / "one.npy");
  };
  const std::string train = images(3), test = images(2);
  for (const auto& [name, good] : {std::pair<std::string, bool>{"cat", true}, {"cow", false}}) {
    const std::string y_train = texts({"ant", "bee", "cat"}), y_test = texts({"cat", name});
    EXPECT_TRUE(succeeds(write_zip(folder_ / "p.npz", {{"x_train.npy", "", train},
                                                       {"y_train.npy", "", y_train},
                                                       {"x_test.npy", "", test},
                                                       {"y_test.npy", "", y_test}})));
    TempFolder parts;
    put(parts / "x_train.npy", train);
    put(parts / "y_train.npy", y_train);
    put(parts / "x_test.npy", test);
    put(parts / "y_test.npy", y_test);
    for (const Path& path : {folder_ / "p.npz", parts.path()}) {
      const auto tested = open_dataset(path, Split::kTest);
      if (!good) {
        EXPECT_TRUE(fails(tested, ErrorKind::kInvalidArgument, "cow", "ant, bee, cat")) << path;
        continue;
      }
      ASSERT_TRUE(succeeds(tested)) << path;
      EXPECT_THAT(*tested->labels, ElementsAre(2, 2)) << path;
      EXPECT_EQ(tested->num_classes(), 3) << path;
    }
  }
}

TEST_F(ArrayDataset, ArchivesThatBurstOrOverlapAreRefusedByTheirDirectory) {
  ASSERT_TRUE(succeeds(write_zip(folder_ / "z.npz", {{"images.npy", std::string(300, 'x'), ""},
                                                     {"other.npy", std::string(300, 'y'), ""}})));
  const std::string good = bytes_of(folder_ / "z.npz");
  const size_t first = good.find("PK\x01\x02"), second = good.find("PK\x01\x02", first + 1);
  // 300 stored bytes that claim to be a deflated gigabyte.
  std::string bomb = good;
  bomb[first + 10] = 8;
  bomb.replace(first + 24, 4, std::string("\0\0\0\x40", 4));
  put(folder_ / "z.npz", bomb);
  EXPECT_TRUE(fails(open_dataset(folder_ / "z.npz", Split::kTrain), ErrorKind::kCorrupt,
                    "images.npy", "claims to inflate to 1073741824"));
  std::string overlapping = good;
  overlapping.replace(second + 42, 4, good.substr(first + 42, 4));
  put(folder_ / "z.npz", overlapping);
  EXPECT_TRUE(fails(open_dataset(folder_ / "z.npz", Split::kTrain), ErrorKind::kCorrupt,
                    "share the same bytes"));
}

TEST_F(ArrayDataset, FoldersOfArraysAreRead) {
  ASSERT_TRUE(succeeds(write_npy(folder_ / "k-train-imgs.npy", counting({6, 5, 5}))));
  ASSERT_TRUE(succeeds(write_npy(folder_ / "k-train-labels.npy", counting({6}))));
  ASSERT_TRUE(succeeds(write_npy(folder_ / "k-test-imgs.npy", counting({2, 5, 5}))));
  ASSERT_TRUE(succeeds(write_npy(folder_ / "k-test-labels.npy", counting({2}, 1))));
  EXPECT_EQ(open_dataset(folder_.path(), Split::kTrain)->num_classes(), 6);
  EXPECT_EQ(*open_dataset(folder_.path(), Split::kTest)->labels, (std::vector<int32_t>{1, 2}));
}

TEST_F(ArrayDataset, NamesThatPeopleUseAreFoundAndTheOthersNamed) {
  const HostTensor images = counting({6, 5, 5}), labels = counting({6});
  for (const auto& [x, y] : {std::pair{"X", "y"},
                             {"images", "label"},
                             {"image", "targets"},
                             {"X_train", "y_train"},
                             {"x_train", "Y_train"},
                             {"imgs", "classes"},
                             {"train_x", "train_y"},
                             {"data", "target"}}) {
    const auto data = npz({{x, images}, {y, labels}});
    ASSERT_TRUE(succeeds(data)) << x;
    EXPECT_TRUE(data->labels.has_value()) << x << " " << y;
    EXPECT_TRUE(data->facts.notes.empty()) << data->facts.notes.front();
  }
  const auto extra = npz({{"images", images}, {"arr_0", images}, {"weights", labels}});
  EXPECT_THAT(extra->facts.notes,
              ElementsAre(HasSubstr("there are no labels; not used: arr_0, weights")));
  const std::map<std::string, HostTensor> parts = {
      {"x_train", images}, {"x_val", counting({2, 5, 5})}, {"y_val", counting({2})}};
  EXPECT_EQ(npz(parts, Split::kTest)->facts.part, "val");
  EXPECT_EQ(npz(parts, Split::kTest)->count, 2);
}

TEST_F(ArrayDataset, WhatIsProbablyMeantOtherwiseIsSaid) {
  // Zeros and ones are black and white; 12 bits in 16 are dark.
  ImageDataset data = *npy(tensor_from_bytes({1, 1, 3}, {0, 1, 1}));
  EXPECT_EQ(data.pixels, (std::vector<uint8_t>{0, 255, 255}));
  EXPECT_THAT(data.facts.notes, ElementsAre(HasSubstr("1 is taken for white; --range 0,255")));
  EXPECT_EQ(npy(tensor_from_bytes({1, 1, 2}, {0, 1}), {.range = ValueRange::kBytes})->pixels,
            (std::vector<uint8_t>{0, 1}));
  data = *npy({HostType::kU16, Shape{1, 1, 2}, {0, 0, 0xf0, 0x0f}});
  EXPECT_THAT(data.facts.notes, ElementsAre(HasSubstr("no value is above 4080, and 65535")));
  EXPECT_TRUE(fails(npy(counting({1, 1, 3}), {.range = ValueRange::kUnit}),
                    ErrorKind::kInvalidArgument, "--range is for floating-point images"));
  // A resampled picture is a little below 0; one that ends at -0.5 is questionable.
  data = *npy(tensor_from_floats({1, 1, 3}, {-1e-6f, 0.5f, 1}));
  EXPECT_EQ(data.pixels[0], 0);
  EXPECT_THAT(data.facts.notes, ElementsAre(HasSubstr("--range=-1,1")));
  data = *npy(tensor_from_floats({1, 1, 2}, {-0.5f, 0.5f}));
  EXPECT_THAT(data.facts.notes, ElementsAre(HasSubstr("no value is below -0.5")));
  EXPECT_THAT(npy(counting({2, 8, 8, 4}))->facts.notes, ElementsAre(HasSubstr("no transparency")));
  EXPECT_THAT(npy(tensor_from_bytes({1, 1, 3}, {0, 3, 15}))->facts.notes,
              ElementsAre(HasSubstr("no value is above 15, and 255 is taken for white")));
  for (const Shape& shape : {Shape{3, 3, 3, 3}, Shape{5, 1, 3, 3}})
    EXPECT_THAT(npy(counting(shape))->facts.notes,
                ElementsAre(HasSubstr("though it could be [count,c,h,w]")));
  EXPECT_THAT(npy(tensor_from_bytes({2, 1, 1}, {7, 7}))->facts.notes,
              ElementsAre(HasSubstr("one value")));
  EXPECT_TRUE(fails(npz({{"x", counting({2, 5, 5})}, {"y", tensor_from_int64({2}, {0, 1000000})}}),
                    ErrorKind::kCorrupt, "label 1000000"));
}

// What `ito sample --form npz` leaves: parts of one set, in the order of their numbers.
TEST_F(ArrayDataset, NumberedArchivesAreOneSet) {
  for (int k = 0; k < 2; ++k) {
    TensorFile file;
    file.tensors = {{"arr_0", counting({2, 3, 3, 1}, static_cast<uint8_t>(50 * k))},
                    {"seeds", counting({2})},
                    {"classes", tensor_from_bytes({2}, {1, static_cast<uint8_t>(k)})}};
    ASSERT_TRUE(succeeds(write_npz(folder_ / ("0000" + std::to_string(k) + ".npz"), file)));
  }
  put(folder_ / "manifest-0-of-1.jsonl", "{}");
  const auto data = open_dataset(folder_.path(), Split::kTrain);
  ASSERT_TRUE(succeeds(data));
  EXPECT_EQ(data->count, 4);
  EXPECT_EQ(data->pixels[18], 50);
  EXPECT_EQ(*data->labels, (std::vector<int32_t>{1, 0, 1, 1}));
  EXPECT_EQ(data->facts.part, "all");
  EXPECT_TRUE(data->facts.notes.empty());
}

// What is black and what is white is decided on all of them.
TEST_F(ArrayDataset, NumberedArchivesHaveOneRange) {
  const auto pair = [&](const HostTensor& first, const HostTensor& second) {
    put_npz(folder_ / "00000.npz", {{"images", first}});
    put_npz(folder_ / "00001.npz", {{"images", second}});
    return open_dataset(folder_.path(), Split::kTrain);
  };
  const HostTensor bright = tensor_from_floats({1, 1, 2}, {0.1f, 1});
  auto data = pair(tensor_from_floats({1, 1, 2}, {-1, 1}), bright);
  ASSERT_TRUE(succeeds(data));
  EXPECT_THAT(data->floats, ElementsAre(-1, 1, 0.1f, 1));
  EXPECT_THAT(data->facts.notes, ElementsAre());
  data = pair(tensor_from_floats({1, 1, 2}, {0, 1}), bright);
  ASSERT_TRUE(succeeds(data));
  EXPECT_FLOAT_EQ(data->floats[2], -0.8f);
  EXPECT_THAT(data->facts.notes, ElementsAre(HasSubstr("--range=-1,1")));
  data = pair(counting({1, 1, 2}), counting({1, 1, 2}, 20));
  ASSERT_TRUE(succeeds(data));
  EXPECT_THAT(data->pixels, ElementsAre(0, 1, 20, 21));
  EXPECT_THAT(data->facts.notes, ElementsAre());
  // What is said of one that is not the first.
  data = pair(counting({1, 8, 8, 3}), counting({1, 3, 8, 8}));
  ASSERT_TRUE(succeeds(data));
  EXPECT_THAT(data->facts.notes, ElementsAre(HasSubstr("[1,3,8,8] is read as [count,c,h,w]")));
  EXPECT_TRUE(fails(pair(counting({1, 1, 2}), bright), ErrorKind::kCorrupt,
                    "00001.npz: numbers of the type F32, but 00000.npz has U8"));
}

TEST_F(ArrayDataset, AllPartsHaveTheRangeOfTheTrainingImages) {
  const auto tested = [&](const HostTensor& train, const HostTensor& test) {
    TempFolder files;
    EXPECT_TRUE(succeeds(write_npy(files / "x_train.npy", train)));
    EXPECT_TRUE(succeeds(write_npy(files / "x_test.npy", test)));
    auto data = npz({{"x_train", train}, {"x_test", test}}, Split::kTest);
    const auto beside = open_dataset(files.path(), Split::kTest);
    EXPECT_EQ(data.ok(), beside.ok());
    if (data.ok() && beside.ok()) {
      EXPECT_EQ(data->pixels, beside->pixels);
      EXPECT_EQ(data->floats, beside->floats);
    }
    return data;
  };
  const HostTensor bright = tensor_from_floats({1, 1, 2}, {0.1f, 1});
  auto data = tested(tensor_from_floats({1, 1, 2}, {-1, 1}), bright);
  ASSERT_TRUE(succeeds(data));
  EXPECT_THAT(data->floats, ElementsAre(0.1f, 1));
  data = tested(counting({2, 1, 2}), tensor_from_bytes({1, 1, 2}, {0, 1}));
  ASSERT_TRUE(succeeds(data));
  EXPECT_THAT(data->pixels, ElementsAre(0, 1));
  EXPECT_TRUE(fails(tested(bright, tensor_from_floats({1, 1, 2}, {-0.5f, 1})), ErrorKind::kCorrupt,
                    "pixel value -0.5", "training images", "--range"));
  EXPECT_TRUE(fails(tested(tensor_from_bytes({1, 1, 2}, {0, 1}), counting({1, 1, 9})),
                    ErrorKind::kCorrupt, "pixel value 8", "1 for white"));
  data = tested(tensor_from_bytes({1, 1, 2}, {0, 200}), bright);
  ASSERT_TRUE(succeeds(data));
  EXPECT_FLOAT_EQ(data->floats[0], -0.8f);
  EXPECT_THAT(data->facts.notes, Contains(HasSubstr("F32, those of the training images U8")));
}

TEST_F(ArrayDataset, OneHotLabelsAreOfAsManyClassesAsColumns) {
  const HostTensor first = tensor_from_bytes({2, 3}, {1, 0, 0, 0, 1, 0});
  const std::map<std::string, HostTensor> parts = {
      {"x_train", counting({2, 5, 5})},
      {"y_train", first},
      {"x_test", counting({1, 5, 5})},
      {"y_test", tensor_from_bytes({1, 3}, {0, 0, 1})}};
  const auto data = npz(parts);
  ASSERT_TRUE(succeeds(data));
  EXPECT_EQ(data->num_classes(), 3);
  EXPECT_THAT(*data->labels, ElementsAre(0, 1));
  EXPECT_THAT(data->facts.notes, ElementsAre("1 of 3 classes has no images: 2"));
  EXPECT_EQ(npz(parts, Split::kTest)->num_classes(), 3);
}

// Weights lie in such files, too.
TEST_F(ArrayDataset, AFolderMayHoldSafetensorsOfImages) {
  const Path folder = folder_ / "s";
  ASSERT_TRUE(succeeds(make_folders(folder)));
  ASSERT_TRUE(succeeds(write_safetensors(folder / "weights.safetensors",
                                         {{{"conv_in.weight", counting({2, 3})}}, {}})));
  EXPECT_TRUE(
      fails(open_dataset(folder, Split::kTrain), ErrorKind::kNotFound, "is a safetensors file"));
  TensorFile file;
  file.tensors["images"] = tensor_from_floats({2, 1, 5, 5}, std::vector<float>(50, -0.25f));
  file.tensors["classes"] = tensor_from_uint32({2}, {1, 0});
  file.metadata["settings"] = "{}";
  ASSERT_TRUE(succeeds(write_safetensors(folder / "s.safetensors", file)));
  const auto data = open_dataset(folder, Split::kTrain);
  ASSERT_TRUE(succeeds(data));
  EXPECT_EQ(data->count, 2);
  EXPECT_THAT(*data->labels, ElementsAre(1, 0));
}

}  // namespace
}  // namespace ito
