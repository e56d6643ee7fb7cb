// Pictures whose classes and parts lie elsewhere than in folders of one form: parts without
// classes, samples of Ito's own, links, pictures of other programs.
#include <gmock/gmock.h>

#include <filesystem>

#include "io/dataset.h"
#include "io/json.h"
#include "io/png.h"
#include "io/tar.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::fails;
using test::put;
using test::succeeds;
using test::TempFolder;
using testing::ElementsAre;
using testing::HasSubstr;

size_t folder_count(const Path& folder) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder),
                                           std::filesystem::directory_iterator()));
}

std::string picture(uint8_t value) { return encode_png({2, 2, 1, std::vector<uint8_t>(4, value)}); }

// As competitions have it: classes to train on, and pictures without any to test on.
TEST(PictureParts, ATestPartWithoutClassesIsSaidToHaveNone) {
  TempFolder folder;
  put(folder / "train" / "cat" / "1.png", picture(1));
  put(folder / "train" / "dog" / "2.png", picture(2));
  put(folder / "test" / "3.png", picture(3));
  const auto test = open_dataset(folder.path(), Split::kTest);
  ASSERT_TRUE(succeeds(test));
  EXPECT_THAT(test->facts.notes, ElementsAre(HasSubstr("have no classes")));
  put(folder / "val" / "dog" / "4.png", picture(4));
  const auto validation = open_dataset(folder.path(), Split::kTest);
  ASSERT_TRUE(succeeds(validation));
  EXPECT_EQ(validation->facts.part, "val");
  EXPECT_THAT(*validation->labels, ElementsAre(1));
  EXPECT_THAT(validation->facts.notes[0], HasSubstr("as it has classes"));
}

// What `ito sample` draws of a model whose classes have names.
TEST(PictureParts, SamplesKeepTheNamesOfTheirClasses) {
  TempFolder folder, archive;
  std::string bytes;
  for (const auto& [name, label] : {std::pair{"dog", 1}, {"cat", 0}, {"dog", 1}}) {
    const Json settings = {{"software", "ito"}, {"class", label}, {"class_name", name}};
    const std::string file = fmt::format("{:06}", folder_count(folder.path()));
    const std::string picture = encode_png({2, 2, 1, std::vector<uint8_t>(4, 9)}, &settings);
    put(folder / (file + ".png"), picture);
    bytes += tar_entry(file + ".png", picture) + tar_entry(file + ".cls", std::to_string(label)) +
             tar_entry(file + ".json", dump_json_line(settings));
  }
  put(archive / "00000.tar", bytes + tar_end());
  for (const Path& path : {folder.path(), archive.path()}) {
    const auto data = open_dataset(path, Split::kTrain);
    ASSERT_TRUE(succeeds(data));
    EXPECT_THAT(data->names, ElementsAre("cat", "dog")) << path;
    EXPECT_THAT(*data->labels, ElementsAre(1, 0, 1)) << path;
  }
}

TEST(PictureParts, LinksThatLeadBackAndPicturesOfOtherProgramsAreNamed) {
  TempFolder folder;
  put(folder / "a" / "1.png", picture(1));
  put(folder / "a" / "IMG_1", std::string("\0\0\0\x18"
                                          "ftypheic",
                                          12) +
                                  "0000");
  const auto data = open_dataset(folder.path(), Split::kTrain);
  ASSERT_TRUE(succeeds(data));
  ASSERT_EQ(data->facts.left_out.size(), 1u);
  EXPECT_THAT(data->facts.left_out[0].why, HasSubstr("HEIF picture, which is not read"));
  std::filesystem::create_directory_symlink(folder.path(), folder / "a" / "back");
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kCorrupt, "a/back",
                    "is a link to"));
}

}  // namespace
}  // namespace ito
