#include "base/platform.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace ito::platform {
namespace {

// A folder of its own, which goes with the test.
class Platform : public testing::Test {
 protected:
  Platform() : folder(std::filesystem::temp_directory_path() / name()) {
    std::filesystem::create_directories(folder);
  }
  ~Platform() override { std::filesystem::remove_all(folder); }
  static std::string name() {
    return "ito-platform-" + std::to_string(process_number()) + "-" +
           testing::UnitTest::GetInstance()->current_test_info()->name();
  }
  std::string content(const Path& path) const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  Path folder;
};

TEST_F(Platform, AppendsBehindWhatIsThereAndCuts) {
  const Path path = folder / "log";
  int file = -1;
  EXPECT_EQ(open_to_append(path, false, &file), ENOENT);
  ASSERT_EQ(open_to_append(path, true, &file), 0);
  ASSERT_EQ(write_all(file, "one\ntwo\n"), 0);
  ASSERT_EQ(cut_file(file, 4), 0);
  ASSERT_EQ(write_all(file, "three\n"), 0);
  ASSERT_EQ(sync_file(file), 0);
  FileState state;
  ASSERT_EQ(state_of(file, &state), 0);
  EXPECT_TRUE(state.is_file);
  EXPECT_EQ(state.size, 10u);
  EXPECT_EQ(close_file(file), 0);
  EXPECT_EQ(content(path), "one\nthree\n");
}

TEST_F(Platform, ReadsInPiecesToTheEnd) {
  const Path path = folder / "file";
  std::ofstream(path, std::ios::binary) << "a\r\nb\x1a"
                                        << "c";
  int file = -1;
  ASSERT_EQ(open_to_read(path, &file), 0);
  std::string all;
  char piece[4];
  for (size_t n = 1; n != 0; all.append(piece, n)) ASSERT_EQ(read_some(file, piece, &n), 0);
  EXPECT_EQ(all,
            "a\r\nb\x1a"
            "c");
  const char* mapped = nullptr;
  ASSERT_EQ(map_file(file, all.size(), &mapped), 0);
  EXPECT_EQ(close_file(file), 0);
  EXPECT_EQ(std::string(mapped, all.size()), all);  // the mapping outlives the descriptor
  unmap_file(mapped, all.size());
}

TEST_F(Platform, OneOfTwoHasTheLockAndTheOtherReadsOn) {
  const Path path = folder / "lock";
  int first = -1, second = -1;
  ASSERT_EQ(open_to_share(path, &first), 0);
  ASSERT_EQ(open_to_share(path, &second), 0);
  bool taken = false;
  ASSERT_EQ(lock_file(first, &taken), 0);
  EXPECT_TRUE(taken);
  ASSERT_EQ(write_all(first, "42"), 0);
  ASSERT_EQ(lock_file(second, &taken), 0);
  EXPECT_FALSE(taken);
  char text[8];
  size_t n = 0;
  ASSERT_EQ(read_beginning(second, text, &n), 0);
  EXPECT_EQ(std::string(text, n), "42");
  EXPECT_EQ(close_file(first), 0);
  ASSERT_EQ(lock_file(second, &taken), 0);
  EXPECT_TRUE(taken);
  EXPECT_EQ(close_file(second), 0);
}

TEST_F(Platform, ExchangesFoldersOrSaysThatItCannot) {
  const Path a = folder / "a", b = folder / "b";
  std::filesystem::create_directory(a);
  std::filesystem::create_directory(b);
  std::ofstream(a / "new") << "x";
  const int error = exchange_names(a, b);
  if (error != 0) {
    EXPECT_TRUE(error == ENOSYS || error == EINVAL) << error;
    EXPECT_TRUE(std::filesystem::exists(a / "new"));
  } else {
    EXPECT_TRUE(std::filesystem::exists(b / "new"));
    EXPECT_FALSE(std::filesystem::exists(a / "new"));
  }
}

TEST_F(Platform, ALibraryThatIsNotThereHasAReason) {
  std::string reason;
  EXPECT_EQ(open_library("libno_such_library.so.7", &reason), nullptr);
  EXPECT_FALSE(reason.empty());
  EXPECT_FALSE(vulkan_loaders().empty());
}

TEST_F(Platform, KnowsTheProcessAndTheMachine) {
  EXPECT_GT(process_number(), 0);
  EXPECT_GT(memory_bytes(), uint64_t{1} << 28);
  const double before = process_seconds();
  volatile double work = 1;
  while (process_seconds() < before + 0.02 && work < 1e9) work = work + 1;
  EXPECT_GT(process_seconds(), before);
  EXPECT_LE(thread_seconds(), process_seconds() + 0.05);  // two clocks, read one after the other
}

}  // namespace
}  // namespace ito::platform
