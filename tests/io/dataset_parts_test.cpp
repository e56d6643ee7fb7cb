// Which files belong together: images, labels and parts of arrays and of tar archives, by the names
// that people give them.
#include <gmock/gmock.h>

#include <filesystem>

#include "io/dataset.h"
#include "io/npy.h"
#include "io/png.h"
#include "io/tar.h"
#include "tests/io/temp_folder.h"
#include "tests/support/numpy_files.h"

namespace ito {
namespace {

using test::fails;
using test::put;
using test::put_npz;
using test::succeeds;
using test::TempFolder;
using test::write_npy;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

// Images [n,5,6] whose first value is `first`, first + 1, …
HostTensor numbered(int64_t n, uint8_t first) {
  std::vector<uint8_t> pixels;
  for (int64_t i = 0; i < n; ++i) pixels.insert(pixels.end(), 30, static_cast<uint8_t>(first + i));
  return tensor_from_bytes({n, 5, 6}, pixels);
}

HostTensor classes(const std::vector<uint8_t>& values) {
  return tensor_from_bytes({static_cast<int64_t>(values.size())}, values);
}

void npy(const Path& path, const HostTensor& tensor) {
  std::filesystem::create_directories(path.parent_path());
  ASSERT_TRUE(succeeds(write_npy(path, tensor)));
}

void npz(const Path& path, const HostTensor& images, const HostTensor& labels) {
  put_npz(path, {{"x", images}, {"y", labels}});
}

// Three images to train on, from 10 on, and two to test on, from 50 on, with their classes.
void expect_both_parts(const Path& path) {
  const auto train = open_dataset(path, Split::kTrain), test = open_dataset(path, Split::kTest);
  ASSERT_TRUE(succeeds(train)) << path;
  ASSERT_TRUE(succeeds(test)) << path;
  EXPECT_EQ(train->count, 3) << path;
  EXPECT_EQ(train->pixels[0], 10) << path;
  EXPECT_EQ(train->facts.part, "train") << path;
  EXPECT_THAT(train->facts.notes, ElementsAre()) << path;
  ASSERT_TRUE(train->labels.has_value()) << path;
  EXPECT_THAT(*train->labels, ElementsAre(0, 1, 2)) << path;
  EXPECT_EQ(test->count, 2) << path;
  EXPECT_EQ(test->pixels[0], 50) << path;
  EXPECT_EQ(test->facts.part, "test") << path;
  ASSERT_TRUE(test->labels.has_value()) << path;
  EXPECT_THAT(*test->labels, ElementsAre(2, 0)) << path;
}

TEST(ArrayParts, AreFoundByTheNamesThatPeopleGiveThem) {
  for (const auto& [x, y] : {std::pair{"X_{}", "y_{}"},
                             {"x_{}", "y_{}"},
                             {"X_{}", "Y_{}"},
                             {"{}X", "{}Y"},
                             {"X{}", "y{}"},
                             {"{}_images", "{}_labels"},
                             {"{}-imgs", "{}-labels"},
                             {"images_{}", "labels_{}"},
                             {"{}_data", "{}_targets"},
                             {"{}/images", "{}/labels"},
                             {"{}/X", "{}/y"}}) {
    TempFolder folder;
    const auto file = [&](const char* name, const char* part) {
      return folder / (fmt::format(fmt::runtime(name), part) + ".npy");
    };
    npy(file(x, "train"), numbered(3, 10));
    npy(file(y, "train"), classes({0, 1, 2}));
    npy(file(x, "test"), numbered(2, 50));
    npy(file(y, "test"), classes({2, 0}));
    expect_both_parts(folder.path());
    // The file of the training images stands for what belongs to it.
    if (std::string_view(x).find('/') == std::string_view::npos)
      expect_both_parts(file(x, "train"));
  }
}

TEST(ArrayParts, MayBeAFileEach) {
  for (const char* name : {"{}.npz", "mnist_{}.npz", "{}_data.npz", "{}/arrays.npz"}) {
    TempFolder folder;
    const auto file = [&](const char* part) {
      return folder / fmt::format(fmt::runtime(name), part);
    };
    npz(file("train"), numbered(3, 10), classes({0, 1, 2}));
    npz(file("test"), numbered(2, 50), classes({2, 0}));
    expect_both_parts(folder.path());
    if (std::string_view(name).find('/') == std::string_view::npos) {
      expect_both_parts(file("train"));
      EXPECT_EQ(open_dataset(file("test"), Split::kTrain)->facts.part, "all");
    }
  }
}

TEST(ArrayParts, LabelsBesideImagesAreTheirs) {
  for (const auto& [x, y] : {std::pair{"images.npy", "labels.npy"},
                             {"X.npy", "y.npy"},
                             {"faces.npy", "labels.npy"},
                             {"cats_images.npy", "cats_labels.npy"},
                             {"data.npy", "targets.npy"},
                             {"xylophone2_x.npy", "xylophone2_y.npy"}}) {
    TempFolder folder;
    npy(folder / x, numbered(5, 10));
    npy(folder / y, classes({0, 1, 2, 0, 1}));
    for (const Path& path : {folder.path(), folder / x}) {
      const auto data = open_dataset(path, Split::kTrain);
      ASSERT_TRUE(succeeds(data)) << path;
      ASSERT_TRUE(data->labels.has_value()) << path;
      EXPECT_THAT(*data->labels, ElementsAre(0, 1, 2, 0, 1));
      EXPECT_EQ(data->facts.part, "all");
      EXPECT_THAT(data->facts.notes, ElementsAre());
      EXPECT_FALSE(
          open_dataset(path, Split::kTrain, {.labels = LabelSource::kNone})->labels.has_value());
    }
  }
}

TEST(ArrayParts, WhatIsNotUsedOrUnclearIsNamed) {
  TempFolder folder;
  npy(folder / "X_train.npy", numbered(5, 10));
  npy(folder / "X_test.npy", numbered(2, 50));
  npy(folder / "masks.npy", numbered(5, 0));
  const auto data = open_dataset(folder.path(), Split::kTrain);
  ASSERT_TRUE(succeeds(data));
  EXPECT_THAT(data->facts.notes,
              ElementsAre(HasSubstr("not used of the arrays in"), HasSubstr("no labels beside")));
  EXPECT_THAT(data->facts.notes[0], HasSubstr("masks.npy"));
  npy(folder / "y_train.npy", classes({0, 1, 2, 0, 1}));
  npy(folder / "labels_train.npy", classes({0, 1, 2, 0, 1}));
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kInvalidArgument,
                    "labels of X_train.npy could be those in", "y_train.npy"));
  TempFolder several;
  npy(several / "x_a.npy", numbered(5, 10));
  npy(several / "x_b.npy", numbered(5, 10));
  EXPECT_TRUE(fails(open_dataset(several.path(), Split::kTrain), ErrorKind::kInvalidArgument,
                    "several arrays; give one of x_a.npy, x_b.npy"));
  EXPECT_EQ(open_dataset(several / "x_a.npy", Split::kTrain)->count, 5);
  TempFolder tested;
  npy(tested / "x_test.npy", numbered(3, 10));
  npy(tested / "y_test.npy", classes({0, 1, 2}));
  EXPECT_TRUE(fails(open_dataset(tested.path(), Split::kTrain), ErrorKind::kNotFound,
                    "only test images", "give x_test.npy itself"));
  EXPECT_EQ(open_dataset(tested / "x_test.npy", Split::kTrain)->num_classes(), 3);
}

TEST(LabelChoice, IsForPictures) {
  TempFolder folder;
  npz(folder / "a.npz", numbered(3, 10), classes({0, 1, 2}));
  EXPECT_TRUE(
      fails(open_dataset(folder / "a.npz", Split::kTrain, {.labels = LabelSource::kFolders}),
            ErrorKind::kInvalidArgument, "--labels folders is for pictures"));
}

// Which are not told to images of another format, but for what surrounds them.
TEST(ReadingChoice, IsForPictures) {
  TempFolder folder;
  npz(folder / "a.npz", numbered(3, 10), classes({0, 1, 2}));
  const auto open = [&](const DatasetOptions& options) {
    return open_dataset(folder / "a.npz", Split::kTrain, options);
  };
  DatasetOptions cached, kept, dark;
  cached.reading.cache = folder / "cache";
  kept.reading.memory = 1;
  dark.background = Background{{0, 0, 0}};
  EXPECT_TRUE(
      fails(open(cached), ErrorKind::kInvalidArgument, "--cache is for pictures", "arrays"));
  EXPECT_TRUE(fails(open(kept), ErrorKind::kInvalidArgument, "--memory is for pictures"));
  EXPECT_TRUE(fails(open(dark), ErrorKind::kInvalidArgument, "--background is for pictures"));
  dark.width = dark.height = 8;
  dark.pad = true;
  EXPECT_TRUE(succeeds(open(dark)));
}

std::string picture(uint8_t value) { return encode_png({2, 2, 1, std::vector<uint8_t>(4, value)}); }

TEST(TarParts, WhatIsNotReadInAnArchiveOrBesidePicturesIsNamed) {
  TempFolder folder;
  const std::string bytes = tar_entry("./img/1.png", picture(10)) + tar_entry("./2.heic", "....") +
                            tar_entry("./metadata.csv", "file_name,label\nimg/1.png,a\n");
  put(folder / "x.tar", bytes + tar_end());
  auto data = open_dataset(folder / "x.tar", Split::kTrain);
  ASSERT_TRUE(succeeds(data));
  EXPECT_THAT(data->facts.left_out,
              ElementsAre(DatasetFacts::LeftOut{"a table in an archive", 1},
                          DatasetFacts::LeftOut{"heic, which is not read", 1}));
  EXPECT_THAT(data->facts.notes, Contains(HasSubstr("metadata.csv and its like are not read")));
  put(folder / "1.png", picture(20));
  data = open_dataset(folder.path(), Split::kTrain);
  ASSERT_TRUE(succeeds(data));
  EXPECT_EQ(data->count, 1);
  EXPECT_THAT(data->facts.left_out,
              ElementsAre(DatasetFacts::LeftOut{"a tar archive beside pictures", 1}));
  EXPECT_THAT(data->facts.notes, Contains(HasSubstr("left out beside them: x.tar; give one")));
}

// Pictures of these values; with a class each, the value modulo 3, where `labelled`.
std::string tar_of(const std::vector<uint8_t>& values, bool labelled = true,
                   const std::string& folder = "") {
  std::string bytes;
  for (const uint8_t value : values) {
    bytes += tar_entry(fmt::format("{}{}.png", folder, value), picture(value));
    if (labelled)
      bytes += tar_entry(fmt::format("{}{}.cls", folder, value), fmt::format("{}", value % 3));
  }
  return bytes;
}

std::vector<int> first_values(const ImageDataset& data) {
  std::vector<int> values;
  for (int64_t i = 0; i < data.count; ++i)
    values.push_back(data.pixels[static_cast<size_t>(i) * data.image_size()]);
  return values;
}

TEST(TarParts, AreToldByNamesAndByFolders) {
  for (const char* name : {"ds-{}-000{}.tar", "{}/000{}.tar", "{}-{}.tar"})
    for (const char* tested : {"test", "val"}) {
      TempFolder folder;
      const auto file = [&](const char* part, int k) {
        return folder / fmt::format(fmt::runtime(name), part, k);
      };
      put(file("train", 0), tar_of({10, 11}) + tar_end());
      put(file("train", 1), tar_of({12}) + tar_end());
      put(file(tested, 0), tar_of({50, 52}) + tar_end());
      const auto train = open_dataset(folder.path(), Split::kTrain);
      const auto test = open_dataset(folder.path(), Split::kTest);
      ASSERT_TRUE(succeeds(train)) << name;
      ASSERT_TRUE(succeeds(test)) << name;
      EXPECT_THAT(first_values(*train), ElementsAre(10, 11, 12)) << name;
      EXPECT_THAT(first_values(*test), ElementsAre(50, 52)) << name;
      EXPECT_EQ(train->facts.part, "train");
      EXPECT_EQ(test->facts.part, tested);
      EXPECT_THAT(*test->labels, ElementsAre(2, 1));
      EXPECT_THAT(train->facts.notes, ElementsAre());
    }
  TempFolder folder;
  put(folder / "ds-train-0.tar", tar_of({10}) + tar_end());
  put(folder / "ds-val-0.tar", tar_of({50}) + tar_end());
  put(folder / "ds-test-0.tar", tar_of({60}) + tar_end());
  put(folder / "ds-extra-0.tar", tar_of({70}) + tar_end());
  EXPECT_THAT(
      open_dataset(folder.path(), Split::kTrain)->facts.notes,
      Contains(HasSubstr("left out, as beside parts to train and test on: ds-extra-0.tar")));
  EXPECT_THAT(open_dataset(folder.path(), Split::kTest)->facts.notes,
              Contains(HasSubstr("to validate on are left out")));
  TempFolder one;
  put(one / "train-0.tar", tar_of({10}) + tar_end());
  put(one / "train-1.tar", tar_of({11}) + tar_end());
  EXPECT_EQ(open_dataset(one.path(), Split::kTrain)->count, 2);
  EXPECT_FALSE(open_test_images(one.path())->has_value());
}

TEST(TarParts, LinksAreLeftOutAndClassesMayLieInJson) {
  TempFolder folder;
  put(folder / "in" / "1.png", picture(10));
  put(folder / "in" / "1.json", R"({"label": "cat", "width": 5})");
  put(folder / "in" / "2.png", picture(11));
  put(folder / "in" / "2.json", R"({"cls": 3})");
  std::filesystem::create_symlink("1.png", folder / "in" / "3.png");
  const auto pack = [&] {
    const std::string in = (folder / "in").string(), out = (folder / "x.tar").string();
    return std::system(("tar -C '" + in + "' -cf '" + out + "' .").c_str());
  };
  const auto open = [&] { return open_dataset(folder / "x.tar", Split::kTrain); };
  ASSERT_EQ(pack(), 0);
  auto data = open();
  ASSERT_TRUE(succeeds(data));
  EXPECT_THAT(first_values(*data), ElementsAre(10, 11));
  EXPECT_THAT(data->names, ElementsAre("3", "cat"));
  EXPECT_THAT(data->facts.left_out,
              ElementsAre(DatasetFacts::LeftOut{"no plain file, but a link or a device", 1}));
  EXPECT_THAT(data->facts.notes, Contains(HasSubstr("NAME.json")));
  put(folder / "in" / "1.cls", " \n");
  ASSERT_EQ(pack(), 0);
  EXPECT_TRUE(fails(open(), ErrorKind::kCorrupt, "1.cls is empty, expected a class"));
}

TEST(ArchiveParts, ThatAManifestListsAndThatAreMissingAreSaid) {
  TempFolder folder;
  for (const char* name : {"00000.npz", "00002.npz"})
    npz(folder / name, numbered(3, 10), classes({0, 1, 2}));
  put(folder / "manifest-0-of-1.jsonl",
      "{\"version\":1}\n{\"block\":0,\"file\":\"00000.npz\"}\n"
      "{\"block\":1,\"file\":\"00001.npz\"}\n{\"block\":2,\"file\":\"00002.npz\"}\n");
  const auto data = open_dataset(folder.path(), Split::kTrain);
  ASSERT_TRUE(succeeds(data));
  EXPECT_EQ(data->count, 6);
  EXPECT_THAT(data->facts.notes, ElementsAre(HasSubstr("are not there: 00001.npz")));
}

TEST(ArrayParts, LabelsThatAreTextAreNamed) {
  TempFolder folder;
  npy(folder / "images.npy", numbered(5, 10));
  put(folder / "labels.txt", "0\n1\n2\n");
  put(folder / "README.txt", "about");
  const auto data = open_dataset(folder.path(), Split::kTrain);
  ASSERT_TRUE(succeeds(data));
  EXPECT_THAT(data->facts.notes, ElementsAre(HasSubstr("not read beside arrays: labels.txt;")));
}

TEST(TarParts, ClassesMayBeTheFoldersInAnArchive) {
  TempFolder folder;
  const std::string inside = tar_of({10, 11}, false, "all/a/") + tar_of({12}, false, "all/b/");
  put(folder / "x.tar", inside + tar_end());
  for (const Path& path : {folder.path(), folder / "x.tar"}) {
    const auto data = open_dataset(path, Split::kTrain);
    ASSERT_TRUE(succeeds(data));
    EXPECT_THAT(data->names, ElementsAre("a", "b"));
    EXPECT_THAT(*data->labels, ElementsAre(0, 0, 1));
    EXPECT_THAT(data->facts.notes, ElementsAre(HasSubstr("classes are the folders")));
    EXPECT_FALSE(
        open_dataset(path, Split::kTrain, {.labels = LabelSource::kNone})->labels.has_value());
  }
  // One folder around all is none; a picture beside them is an error.
  put(folder / "x.tar", tar_of({10, 11}, false, "all/") + tar_end());
  EXPECT_FALSE(open_dataset(folder.path(), Split::kTrain)->labels.has_value());
  put(folder / "x.tar", inside + tar_of({13}, false) + tar_end());
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kInvalidArgument,
                    "1 of 4 pictures lie in no folder", "--labels none"));
  // Files NAME.cls go before folders, but where these are asked for.
  put(folder / "x.tar", tar_of({10, 11}, true, "a/") + tar_of({12}, true, "b/") + tar_end());
  EXPECT_THAT(*open_dataset(folder.path(), Split::kTrain)->labels, ElementsAre(1, 2, 0));
  EXPECT_THAT(
      *open_dataset(folder.path(), Split::kTrain, {.labels = LabelSource::kFolders})->labels,
      ElementsAre(0, 0, 1));
  // Parts in an archive are those of the folder that was packed.
  put(folder / "x.tar", tar_of({10}, false, "d/train/a/") + tar_of({11}, false, "d/train/b/") +
                            tar_of({50}, false, "d/test/b/") + tar_end());
  EXPECT_EQ(open_dataset(folder.path(), Split::kTrain)->count, 2);
  const auto test = open_dataset(folder.path(), Split::kTest);
  ASSERT_TRUE(succeeds(test));
  ASSERT_TRUE(test->labels.has_value());
  EXPECT_THAT(*test->labels, ElementsAre(1));
}

}  // namespace
}  // namespace ito
