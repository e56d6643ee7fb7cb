// Training onto a disk that is full or read-only. Needs the right to mount a small file system.
#include <sys/mount.h>

#include <fstream>

#include "io/checkpoint.h"
#include "tests/apps/run_ito.h"

namespace ito::test {
namespace {

// A file system of two megabytes in a folder of its own.
class SmallDisk {
 public:
  SmallDisk() {
    std::filesystem::create_directory(path());
    mounted_ = mount("tmpfs", path().c_str(), "tmpfs", 0, "size=2m") == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount(path().c_str());
  }
  bool mounted() const { return mounted_; }
  Path path() const { return scratch_ / "disk"; }
  bool make_read_only() {
    return mount("tmpfs", path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=2m") == 0;
  }

 private:
  Scratch scratch_;
  bool mounted_ = false;
};

TEST(Disk, FullOrReadOnlyIsSaidAndLeavesTheLastCheckpointWhole) {
  SmallDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "mounting a file system is not allowed here";
  const Scratch scratch;
  write_tiny_data(scratch / "data.npz");
  const Path run = disk.path() / "run";
  // A checkpoint takes about 0.6 MB, so keeping fifty of them fills the disk.
  const auto arguments = [&](int steps) {
    return std::vector<std::string>{"train",
                                    "--data",
                                    (scratch / "data.npz").string(),
                                    "--out",
                                    run.string(),
                                    "--steps",
                                    std::to_string(steps),
                                    "--batch",
                                    "4",
                                    "--channels",
                                    "8,16",
                                    "--checkpoint-every",
                                    "2",
                                    "--keep",
                                    "50"};
  };
  const Outcome full = run_ito(arguments(100));
  EXPECT_EQ(full.code, 1) << full.err;
  EXPECT_NE(full.err.find("No space left"), std::string::npos) << full.err;
  const auto latest = load_latest_checkpoint(run, nullptr);
  ASSERT_TRUE(latest.ok()) << latest.error().message;
  ASSERT_TRUE(*latest);
  // Not a byte is left for pictures either.
  std::ofstream filler(disk.path() / "filler", std::ios::binary);
  while (filler.write("0123456789abcdef", 16)) continue;
  filler.close();
  const Path picture = disk.path() / "x.png";
  const Outcome sampled = run_ito(
      {"sample", "--model", run.string(), "--steps", "2", "--num", "1", "--out", picture.string()});
  EXPECT_EQ(sampled.code, 1) << sampled.err;
  EXPECT_NE(sampled.err.find("No space left"), std::string::npos) << sampled.err;
  EXPECT_NE(sampled.err.find("x.png"), std::string::npos) << sampled.err;
  EXPECT_FALSE(file_exists(picture));
  ASSERT_TRUE(disk.make_read_only());
  const Outcome read_only = run_ito(arguments(100));
  EXPECT_EQ(read_only.code, 1);
  EXPECT_NE(read_only.err.find("Read-only"), std::string::npos) << read_only.err;
}

}  // namespace
}  // namespace ito::test
