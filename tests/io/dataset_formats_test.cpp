// Where data sets lie and under which names; and what is no data set.
#include <gmock/gmock.h>

#include "io/class_names.h"
#include "io/compress.h"
#include "io/dataset.h"
#include "io/file_kind.h"
#include "io/npy.h"
#include "io/pickle.h"
#include "io/png.h"
#include "io/tar.h"
#include "io/tensorboard.h"
#include "tests/io/temp_folder.h"
#include "tests/support/folders.h"

namespace ito {
namespace {

using test::bytes_of;
using test::fails;
using test::put;
using test::succeeds;
using test::TempFolder;
using test::unhex;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

// Two 2x3 images counting from 0, and labels.
const std::string kImages = unhex("00000803000000020000000200000003000102030405060708090a0b");
const std::string kLabels = unhex("00000801000000020701");

TEST(IdxNames, DotsPrefixesAndPaddingAreUnderstood) {
  for (const auto& [train, labels, test] :
       {std::array<const char*, 3>{"train-images.idx3-ubyte", "train-labels.idx1-ubyte",
                                   "t10k-images.idx3-ubyte"},
        {"emnist-letters-train-images-idx3-ubyte", "emnist-letters-train-labels-idx1-ubyte",
         "emnist-letters-test-images-idx3-ubyte"}}) {
    TempFolder folder;
    put(folder / train, kImages);
    put(folder / labels, kLabels);
    put(folder / test, kImages);
    const auto whole = open_dataset(folder.path(), Split::kTrain);
    ASSERT_TRUE(succeeds(whole));
    EXPECT_EQ(*whole->labels, (std::vector<int32_t>{7, 1}));
    EXPECT_EQ(*open_dataset(folder / train, Split::kTrain)->labels, (std::vector<int32_t>{7, 1}));
    EXPECT_EQ(open_dataset(folder / train, Split::kTest)->facts.part, "test");
    EXPECT_EQ((*open_test_images(folder.path()))->count, 2);
  }
  TempFolder two;
  put(two / "emnist-letters-train-images-idx3-ubyte", kImages);
  put(two / "emnist-digits-train-images-idx3-ubyte", kImages);
  EXPECT_TRUE(fails(open_dataset(two.path(), Split::kTrain), ErrorKind::kInvalidArgument,
                    "emnist-digits-train-images", "emnist-letters-train-images"));
}

TEST(IdxNames, LabelsThatAreMissingAreSaid) {
  TempFolder folder;
  put(folder / "train-images-idx3-ubyte", kImages);
  const auto data = open_dataset(folder.path(), Split::kTrain);
  ASSERT_TRUE(succeeds(data));
  EXPECT_THAT(data->facts.notes, Contains(HasSubstr("no labels beside")));
}

TEST(IdxNames, QmnistLabelsAreTheFirstOfEachRow) {
  TempFolder folder;
  put(folder / "qmnist-train-images-idx3-ubyte", kImages);
  put(folder / "qmnist-train-labels-idx2-int", unhex("00000c020000000200000003") +
                                                   unhex("000000050000000900000009") +
                                                   unhex("000000020000000900000009"));
  EXPECT_EQ(*open_dataset(folder.path(), Split::kTrain)->labels, (std::vector<int32_t>{5, 2}));
}

// A path names classes only of images that have the form of the known ones, and all their classes.
TEST(IdxNames, ClassesOfFashionMnistAreKnown) {
  TempFolder folder;
  const auto open = [&](int side, int classes) {
    std::string images = unhex("000008030000000a000000") + static_cast<char>(side) +
                         std::string(3, '\0') + static_cast<char>(side);
    images += std::string(static_cast<size_t>(10 * side * side), 'x');
    std::string labels = unhex("000008010000000a");
    for (int i = 0; i < 10; ++i) labels += static_cast<char>(i % classes);
    put(folder / "FashionMNIST" / "raw" / "train-images-idx3-ubyte", images);
    put(folder / "FashionMNIST" / "raw" / "train-labels-idx1-ubyte", labels);
    return open_dataset(folder.path(), Split::kTrain).value();
  };
  const ImageDataset data = open(28, 10);
  EXPECT_EQ(data.class_name(7), "sneaker");
  EXPECT_EQ(data.num_classes(), 10);
  EXPECT_EQ(open(28, 3).num_classes(), 3);
  EXPECT_TRUE(open(28, 3).names.empty());
  EXPECT_TRUE(open(8, 10).names.empty());
}

TEST(Roots, DataSetsBelowAreFoundOrNamed) {
  TempFolder folder;
  put(folder / "MNIST" / "raw" / "train-images-idx3-ubyte", kImages);
  const auto data = open_dataset(folder.path(), Split::kTrain);
  ASSERT_TRUE(succeeds(data));
  EXPECT_EQ(data->facts.from, folder / "MNIST" / "raw");
  put(folder / "KMNIST" / "raw" / "train-images-idx3-ubyte", kImages);
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kInvalidArgument,
                    "KMNIST/raw", "MNIST/raw", "several data sets"));
}

TEST(Roots, APictureBesideADataSetIsNotTakenForIt) {
  TempFolder folder;
  put(folder / "MNIST" / "raw" / "train-images-idx3-ubyte", kImages);
  ASSERT_TRUE(write_png(folder / "preview.png", {.h = 1, .w = 1, .c = 1, .pixels = {0}}).ok());
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kInvalidArgument,
                    "holds pictures", "MNIST/raw"));
}

TEST(Roots, CifarInItsOwnFolderIsFound) {
  TempFolder folder;
  std::string record(3073, '\0');
  record[0] = 3;
  for (int i = 1; i <= 5; ++i)
    put(folder / "cifar-10-batches-bin" / fmt::format("data_batch_{}.bin", i), record);
  const auto data = open_dataset(folder.path(), Split::kTrain);
  ASSERT_TRUE(succeeds(data));
  EXPECT_EQ(data->count, 5);
  EXPECT_EQ(data->facts.format, "CIFAR-10");
  EXPECT_FALSE(open_test_images(folder.path())->has_value());
}

TEST(Cifar100, FineLabelsAndTheirNames) {
  TempFolder folder;
  std::string record(3074, '\0');
  record[0] = 4;
  record[1] = 17;
  put(folder / "train.bin", record + record);
  std::string names;
  for (int k = 0; k < 100; ++k) names += fmt::format("name{}\n", k);
  put(folder / "fine_label_names.txt", names);
  const ImageDataset data = *open_dataset(folder.path(), Split::kTrain);
  EXPECT_EQ(data.class_name((*data.labels)[0]), "name17");
  EXPECT_EQ(data.num_classes(), 100);
}

// A literal with zeros in it.
template <size_t N>
std::string bytes(const char (&text)[N]) {
  return {text, N - 1};
}

// A batch as Python 3's pickle.dumps({b"data": array of [2,3072], b"labels": [3, 9]}, 2) writes it,
// but for the array's content, which is as Python 2 wrote it; from pickletools.dis.
std::string cifar_pickle(const std::string& module = "numpy.core.multiarray",
                         const std::string& name = "_reconstruct") {
  std::string raw(2 * 3072, '\7');
  raw[0] = 10;     // red of the first pixel
  raw[1024] = 20;  // green
  std::string p = bytes(
      "\x80\x02}q\x00(U\x04"
      "dataq\x01");
  p += "c" + module + "\n" + name + "\n";
  p += bytes(
      "cnumpy\nndarray\nK\x00\x85U\x01"
      "b\x87R(K\x01M\x02\x00M\x00\x0c\x86");
  p += bytes(
      "cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|"
      "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb");
  p += bytes("\x89T\x00\x18\x00\x00") + raw + "tb";
  p += bytes(
      "U\x06labels](K\x03K\x09"
      "eu.");
  return p;
}

TEST(CifarPickle, ArraysAreReadWithoutRunningAnything) {
  TempFolder folder;
  for (int i = 1; i <= 5; ++i) put(folder / "py" / fmt::format("data_batch_{}", i), cifar_pickle());
  const auto data = open_dataset(folder.path(), Split::kTrain);
  ASSERT_TRUE(succeeds(data));
  EXPECT_EQ(data->count, 10);
  EXPECT_EQ(data->pixels[0], 10);
  EXPECT_EQ(data->pixels[1], 20);
  EXPECT_EQ(data->pixels[2], 7);
  EXPECT_EQ((*data->labels)[1], 9);
  put(folder / "py" / "data_batch_3", cifar_pickle("posix", "system"));
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kUnsupported,
                    "data_batch_3", "posix.system"));
}

// Two pictures as NumPy 1.24 and Python 3 pickle them (tests/data/numpy/make.py).
TEST(CifarPickle, EveryProtocolOfPython3IsRead) {
  const Path written = Path(test::source_folder()) / "tests/data/numpy";
  for (const int protocol : {2, 3, 4, 5}) {
    const std::string batch = bytes_of(written / fmt::format("batch-{}.pkl", protocol));
    std::vector<std::string> batches = {batch};
    if (protocol < 4) {  // NumPy 2 has moved what it calls
      std::string moved = batch;
      for (size_t at; (at = moved.find("numpy.core")) != std::string::npos;)
        moved.replace(at, 10, "numpy._core");
      batches.push_back(moved);
    }
    for (const std::string& bytes : batches) {
      TempFolder folder;
      for (int i = 1; i <= 5; ++i) put(folder / fmt::format("data_batch_{}", i), bytes);
      const auto data = open_dataset(folder.path(), Split::kTrain);
      ASSERT_TRUE(succeeds(data)) << protocol;
      ASSERT_EQ(data->count, 10);
      for (int64_t n = 0; n < 10; ++n)
        for (size_t p = 0; p < 1024; ++p)
          for (size_t c = 0; c < 3; ++c) {
            const size_t k = c * 1024 + p;
            ASSERT_EQ(data->bytes_of(n)[p * 3 + c],
                      (7 * (static_cast<size_t>(n) % 2) + k * k) % 256)
                << protocol << " " << n << " " << k;
          }
      EXPECT_THAT(*data->labels, ElementsAre(3, 9, 3, 9, 3, 9, 3, 9, 3, 9)) << protocol;
      // Any damage is an error, or changes nothing that is read.
      for (size_t length = 0; length + 1 < bytes.size(); length += 97) {
        put(folder / "data_batch_2", bytes.substr(0, length));
        EXPECT_FALSE(open_dataset(folder.path(), Split::kTrain).ok()) << length;
      }
    }
  }
}

TEST(Pickle, NamesThatAreNotAllowedAreErrorsBeforeAnythingElse) {
  const auto parse = [](const std::string& bytes) {
    return parse_pickle(
        bytes, "x.pkl", [](std::string_view name) { return name == "collections.OrderedDict"; },
        1 << 26);
  };
  for (const std::string& bytes :
       {std::string("cos\nsystem\n(S'echo'\ntR."), std::string("(S'echo'\nios\nsystem\n."),
        bytes("\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04"
              "echo\x85R.")})
    EXPECT_TRUE(fails(parse(bytes), ErrorKind::kUnsupported, "x.pkl", "os.system"));
  EXPECT_TRUE(fails(parse("\x82\x01."), ErrorKind::kUnsupported, "0x82"));
  for (const char* bytes : {"", "(", "](", "a.", "0.", "g5\n.", "S'x", "I1"})
    EXPECT_FALSE(parse(bytes).ok()) << bytes;
  // Deep and circular values are freed without a stack.
  std::string deep;
  for (int i = 0; i < 300'000; ++i) deep += "]";
  for (int i = 1; i < 300'000; ++i) deep += "a";
  EXPECT_TRUE(parse(deep + ".").ok());
  const auto circle =
      parse(bytes("]q\x00h\x00"
                  "a."));
  ASSERT_TRUE(circle.ok());
  EXPECT_EQ(circle->root().items[0], circle->root_index());
}

std::string little_endian(uint64_t value, int bytes) {
  std::string text;
  for (int k = 0; k < bytes; ++k) text += static_cast<char>(value >> (8 * k));
  return text;
}

// As TensorFlow frames records: length, checksum, data, checksum.
std::string record_of(const std::string& data) {
  const std::string length = little_endian(data.size(), 8);
  return length + little_endian(masked_crc32c(length), 4) + data +
         little_endian(masked_crc32c(data), 4);
}

// One block that is stored as it is (RFC 1951, 3.2.4).
std::string gzip_of(const std::string& data) {
  return unhex("1f8b080000000000000301") + little_endian(data.size(), 2) +
         little_endian(~data.size(), 2) + data + little_endian(crc32_of(data), 4) +
         little_endian(data.size(), 4);
}

TEST(Files, WhatIsNoDataSetIsNamed) {
  TempFolder folder;
  const auto refused = [&](const char* name, const std::string& bytes, auto... parts) {
    put(folder / name, bytes);
    return fails(open_dataset(folder / name, Split::kTrain), ErrorKind::kInvalidArgument, name,
                 parts...);
  };
  EXPECT_TRUE(refused("edm.zip", std::string("PK\x03\x04", 4) + std::string(60, 'a'), "zip archive",
                      "ito train takes"));
  put(folder / "a.tar", std::string(257, 'a') + "ustar" + std::string(300, '\0'));
  EXPECT_TRUE(fails(open_dataset(folder / "a.tar", Split::kTrain), ErrorKind::kCorrupt, "a.tar",
                    "tar header 1 is damaged"));
  EXPECT_TRUE(fails(open_dataset(folder / "owner/name", Split::kTrain), ErrorKind::kNotFound,
                    "downloaded first"));
  EXPECT_TRUE(refused("p.png", encode_png({1, 1, 1, {0}}), "single picture"));
  EXPECT_TRUE(refused("x.safetensors", "version https://git-lfs.github.com/spec/v1\n", "Git LFS"));
  EXPECT_TRUE(refused("x.npz", "\n<!DOCTYPE html><html>", "HTML page"));
  EXPECT_TRUE(refused("x.parquet", "PAR1....", "Parquet"));
  // A tar archive of one empty file, packed by gzip.
  EXPECT_TRUE(refused(
      "x.tar.gz",
      unhex("1f8b0800000000000203edceb10d80301003c01f85115244cf3c5921c0febc28112d4848778dddd9"
            "23ded74af67e65b9e743cfb6662ced836f716cfb983519000000000000000000f01f271a577b3400"
            "280000"),
      "is a tar archive packed by gzip, unpack it first"));
  EXPECT_TRUE(refused("x.dat", "some text that is nothing", "no kind of file that Ito reads",
                      "ito train takes"));
  // A record of four bytes as TensorFlow frames it, and the first page of an LMDB.
  EXPECT_TRUE(refused("x.tfrecord", record_of("data"), "TFRecord"));
  EXPECT_TRUE(refused("data.mdb",
                      std::string(16, '\0') + unhex("dec0efbe01000000") + std::string(488, '\0'),
                      "an LMDB database"));
  EXPECT_TRUE(refused("empty.tar", tar_end(), "zeros", "empty tar archive"));
  // The start of an array, packed by gzip as one block that is stored plainly.
  EXPECT_TRUE(
      refused("x.npy.gz", gzip_of("\x93NUMPY\x01"), "a NumPy array packed by gzip, unpack"));
}

TEST(ClassNames, AreCalledByNameOrNumber) {
  const std::optional<ClassNames> names =
      ClassNames{{"T-shirt", "sneaker", "bag, large", "7"}, {5, 0, 2, 1}};
  const auto called = [&](const char* text) {
    return classes_called(text, names, 4, "--class", "model");
  };
  EXPECT_EQ(*called("t-shirt"), (std::vector<uint32_t>{0}));
  EXPECT_EQ(*called("bag, large"), (std::vector<uint32_t>{2}));
  EXPECT_EQ(*called("2-3,0,T-SHIRT"), (std::vector<uint32_t>{2, 3, 0, 0}));
  EXPECT_EQ(*called("7"), (std::vector<uint32_t>{3}));  // there is no class number 7
  EXPECT_TRUE(fails(called("1"), ErrorKind::kInvalidArgument, "without any image"));
  EXPECT_TRUE(fails(called("boot"), ErrorKind::kInvalidArgument, "class boot does not exist",
                    "T-shirt, sneaker"));
  EXPECT_TRUE(fails(called("4"), ErrorKind::kInvalidArgument, "class 4 does not exist"));
  EXPECT_EQ(names->trained(), (std::vector<uint32_t>{0, 2, 3}));
  const std::optional<ClassNames> shifted = ClassNames{{"1", "2"}, {1, 1}};
  EXPECT_TRUE(fails(classes_called("1", shifted, 2, "--class", "m"), ErrorKind::kInvalidArgument,
                    "name=1 or number=1"));
  EXPECT_EQ(*classes_called("name=1", shifted, 2, "--class", "m"), (std::vector<uint32_t>{0}));
  EXPECT_EQ(*classes_called("number=1", shifted, 2, "--class", "m"), (std::vector<uint32_t>{1}));
  EXPECT_TRUE(fails(classes_called("3", std::nullopt, 3, "--class", "m"),
                    ErrorKind::kInvalidArgument, "class 3 does not exist", "classes 0 to 2"));
}

TEST(ClassNames, SurviveAFileAndMatchOtherData) {
  TempFolder folder;
  EXPECT_FALSE(read_class_names(folder.path())->has_value());
  const ClassNames names{{"b", "a"}, {1, 2}};
  ASSERT_TRUE(succeeds(write_class_names(folder.path(), names)));
  EXPECT_EQ(**read_class_names(folder.path()), names);
  ImageDataset data;
  data.count = 2;
  data.h = data.w = data.c = 1;
  data.pixels = {0, 0};
  data.labels = std::vector<int32_t>{0, 1};
  data.names = {"a", "b"};
  ASSERT_TRUE(succeeds(match_classes(data, names)));
  EXPECT_EQ(*data.labels, (std::vector<int32_t>{1, 0}));
  data.names = {"a", "c"};
  data.labels = std::vector<int32_t>{0, 1};
  EXPECT_TRUE(fails(match_classes(data, names), ErrorKind::kInvalidArgument, "class c"));
  put(folder / "classes.json", R"({"names": ["a"], "images": [1, 2]})");
  EXPECT_TRUE(fails(read_class_names(folder.path()), ErrorKind::kCorrupt, "classes.json"));
}

}  // namespace
}  // namespace ito
