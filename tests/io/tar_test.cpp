#include "io/tar.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "io/append_file.h"
#include "io/file.h"
#include "tests/io/temp_folder.h"

namespace ito::test {
namespace {

const std::string kLong(100, 'n');

std::string archive() {
  return tar_entry("000001.png", "pixels") + tar_entry("empty", "") +
         tar_entry(kLong, std::string(512, 'x')) + tar_entry("odd", std::string(513, 'y')) +
         tar_end();
}

TEST(Tar, HoldsWhatWasPutIn) {
  const std::string bytes = archive();
  const auto entries = parse_tar(bytes, "a.tar");
  ASSERT_TRUE(entries.ok()) << entries.error().message;
  ASSERT_EQ(entries->size(), 4u);
  EXPECT_EQ((*entries)[0].name, "000001.png");
  EXPECT_EQ((*entries)[0].content, "pixels");
  EXPECT_EQ((*entries)[1].content, "");
  EXPECT_EQ((*entries)[2].name, kLong);
  EXPECT_EQ((*entries)[3].content, std::string(513, 'y'));
}

// What the system's tar makes of it: nothing but names, contents and a date of 1970.
TEST(Tar, IsReadByOtherPrograms) {
  const TempFolder folder;
  const Path path = folder.path() / "a.tar";
  ASSERT_TRUE(write_file_atomic(path, archive()).ok());
  const std::string command = "cd '" + folder.path().string() +
                              "' && tar -xf a.tar && TZ=UTC tar --full-time -tvf a.tar > list";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(read_file(folder.path() / "000001.png").value(), "pixels");
  EXPECT_EQ(read_file(folder.path() / "odd").value(), std::string(513, 'y'));
  const std::string list = read_file(folder.path() / "list").value();
  EXPECT_EQ(list.rfind("-rw-r--r-- 0/0 ", 0), 0u) << list;
  EXPECT_NE(list.find(" 6 1970-01-01 00:00:00 000001.png"), std::string::npos) << list;
}

TEST(Tar, DamageIsFound) {
  const std::string bytes = archive();
  EXPECT_FALSE(parse_tar(bytes.substr(0, 700), "a.tar").ok());
  EXPECT_FALSE(parse_tar("", "a.tar").ok());
  EXPECT_FALSE(parse_tar(bytes.substr(0, bytes.size() - 1024), "a.tar").ok());
  for (const size_t at : {size_t{0}, size_t{124}, size_t{150}, size_t{156}}) {
    std::string damaged = bytes;
    damaged[at] ^= 1;
    EXPECT_FALSE(parse_tar(damaged, "a.tar").ok()) << at;
  }
}

TEST(AppendFile, GrowsAndIsCutAndHasOneOwner) {
  const TempFolder folder;
  const Path path = folder.path() / "log";
  {
    auto file = AppendFile::open(path);
    ASSERT_TRUE(file.ok() && *file);
    ASSERT_TRUE((*file)->append("one two").ok());
    ASSERT_TRUE((*file)->cut(3).ok());
    ASSERT_TRUE((*file)->append("!").ok());
    ASSERT_TRUE((*file)->sync().ok());
    const auto second = AppendFile::open(path);
    ASSERT_TRUE(second.ok());
    EXPECT_FALSE(second->has_value());
  }
  auto again = AppendFile::open(path);
  ASSERT_TRUE(again.ok() && *again);
  EXPECT_EQ((*again)->size(), 4u);
  EXPECT_EQ(read_file(path).value(), "one!");
}

// Folders, long names of GNU's tar and of pax: what others write.
TEST(Tar, ArchivesOfOtherProgramsAreRead) {
  const TempFolder folder;
  const std::string deep = std::string(60, 'd') + "/" + std::string(90, 'f') + ".png";
  ASSERT_TRUE(make_folders(folder.path() / "in" / std::string(60, 'd')).ok());
  ASSERT_TRUE(write_file_atomic(folder.path() / "in" / deep, "pixels").ok());
  for (const char* format : {"gnu", "pax", "ustar"}) {
    const Path path = folder.path() / (std::string(format) + ".tar");
    const std::string command = "tar --format=" + std::string(format) + " -C '" +
                                (folder.path() / "in").string() + "' -cf '" + path.string() + "' .";
    ASSERT_EQ(std::system(command.c_str()), 0);
    const std::string bytes = read_file(path).value();
    const auto entries = parse_tar(bytes, format);
    ASSERT_TRUE(entries.ok()) << entries.error().message;
    ASSERT_EQ(entries->size(), 1u) << format;
    EXPECT_EQ((*entries)[0].name, "./" + deep);
    EXPECT_EQ((*entries)[0].content, "pixels");
  }
}

}  // namespace
}  // namespace ito::test
