// What may not be read is not taken for absent: locked folders and files are errors with the
// system's reason, whoever asks for them, and FIFOs are passed over.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "io/class_names.h"
#include "io/dataset.h"
#include "io/diffusers.h"
#include "io/file_kind.h"
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
using testing::ElementsAre;

std::string one_pixel() { return encode_png({1, 1, 1, {7}}); }

// Nothing is locked to root, so root asks as somebody else.
class AsNobody {
 public:
  AsNobody() : root_(::geteuid() == 0) {
    if (root_) {
      EXPECT_EQ(::seteuid(65534), 0);
    }
  }
  AsNobody(const AsNobody&) = delete;
  AsNobody& operator=(const AsNobody&) = delete;
  ~AsNobody() {
    if (root_) {
      EXPECT_EQ(::seteuid(0), 0);
    }
  }

 private:
  bool root_;
};

class Unreadable : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0); }
  void TearDown() override {
    for (const Path& path : locked_) ::chmod(path.c_str(), 0755);
  }
  void lock(const Path& path) {
    ASSERT_EQ(::chmod(path.c_str(), 0), 0);
    locked_.push_back(path);
  }

  TempFolder folder_;
  std::vector<Path> locked_;
};

TEST_F(Unreadable, AFolderIsNotTakenForAbsent) {
  put(folder_ / "m" / "config.json", "{}");
  lock(folder_ / "m");
  const AsNobody nobody;
  EXPECT_TRUE(file_exists(folder_ / "m" / "config.json"));
  EXPECT_TRUE(folder_exists(folder_ / "m"));
  EXPECT_FALSE(file_exists(folder_ / "n" / "config.json"));
  EXPECT_FALSE(folder_exists(folder_ / "n"));
  EXPECT_TRUE(succeeds(check_reachable(folder_ / "n")));
  EXPECT_TRUE(fails(check_reachable(folder_ / "m"), ErrorKind::kIo, "m: Permission denied"));
  EXPECT_TRUE(
      fails(kind_of_file(folder_ / "m" / "config.json"), ErrorKind::kIo, "Permission denied"));
}

TEST_F(Unreadable, PartsOfAModelAreErrors) {
  put(folder_ / "scheduler" / "scheduler_config.json", "{}");
  put(folder_ / "classes.json", "{}");
  lock(folder_ / "scheduler");
  lock(folder_ / "classes.json");
  put(folder_ / "n" / "unet" / "config.json", "{}");
  lock(folder_ / "n" / "unet");
  const AsNobody nobody;
  EXPECT_TRUE(fails(read_scheduler_config(folder_.path()), ErrorKind::kIo,
                    "scheduler/scheduler_config.json: Permission denied"));
  EXPECT_TRUE(
      fails(read_class_names(folder_.path()), ErrorKind::kIo, "classes.json: Permission denied"));
  EXPECT_TRUE(
      fails(read_diffusers(folder_ / "n"), ErrorKind::kIo, "unet/config.json: Permission denied"));
}

TEST_F(Unreadable, PartsOfADataSetAreErrors) {
  for (const char* name : {"Train/a/1.png", "Train/b/1.png", "Test/a/1.png"})
    put(folder_ / "pictures" / name, one_pixel());
  lock(folder_ / "pictures" / "Test");
  for (const char* name : {"train/x.npz", "test/x.npz"}) {
    std::filesystem::create_directories((folder_ / "arrays" / name).parent_path());
    test::put_npz(folder_ / "arrays" / name, {{"x", tensor_from_bytes({2, 1, 1}, {30, 40})}});
  }
  lock(folder_ / "arrays" / "test");
  put(folder_ / "table" / "1.png", one_pixel());
  put(folder_ / "table" / "metadata.csv", "file_name,label\n1.png,a\n");
  lock(folder_ / "table" / "metadata.csv");
  const AsNobody nobody;
  const auto refused = [&](const char* path, const char* locked) {
    return fails(open_dataset(folder_ / path, Split::kTrain), ErrorKind::kIo, locked,
                 "Permission denied");
  };
  EXPECT_TRUE(refused("pictures", "pictures/Test"));
  EXPECT_TRUE(refused("pictures/Test", "pictures/Test"));
  EXPECT_TRUE(refused("pictures/Test/a", "pictures/Test/a"));
  EXPECT_TRUE(refused("arrays", "arrays/test"));
  EXPECT_TRUE(refused("table", "table/metadata.csv"));
}

TEST_F(Unreadable, FifosAreLeftOutWithoutWaiting) {
  put(folder_ / "1.png", one_pixel());
  ASSERT_EQ(::mkfifo((folder_ / "2.png").c_str(), 0644), 0);
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0644), 0);
  const auto data = open_dataset(folder_.path(), Split::kTrain);
  ASSERT_TRUE(succeeds(data));
  EXPECT_EQ(data->count, 1);
  EXPECT_THAT(data->facts.left_out, ElementsAre(DatasetFacts::LeftOut{"no plain file", 2}));
  EXPECT_TRUE(fails(read_file(folder_ / "pipe"), ErrorKind::kIo, "not a regular file"));
}

}  // namespace
}  // namespace ito
