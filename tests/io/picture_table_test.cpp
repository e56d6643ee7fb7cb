// Tables beside pictures: how they name files, the parts that they tell, and what they name that is
// not there or is not read.
#include <gmock/gmock.h>

#include "io/dataset.h"
#include "io/png.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::fails;
using test::put;
using test::succeeds;
using test::TempFolder;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

std::string picture(uint8_t value) { return encode_png({2, 2, 1, std::vector<uint8_t>(4, value)}); }

// The value of every image, and its class.
std::vector<std::string> shown(const Result<ImageDataset>& data) {
  if (!data.ok()) return {data.error().message};
  std::vector<std::string> list;
  for (size_t i = 0; i < static_cast<size_t>(data->count); ++i)
    list.push_back(std::to_string(data->pixels[4 * i]) +
                   (data->labels ? " " + data->class_name((*data->labels)[i]) : ""));
  return list;
}

class PictureTables : public testing::Test {
 protected:
  void table(const std::string& rows, const std::string& columns = "file_name,label") {
    put(folder_ / "metadata.csv", columns + "\n" + rows);
  }
  Result<ImageDataset> open(Split split = Split::kTrain, const DatasetOptions& options = {}) {
    return open_dataset(folder_.path(), split, options);
  }
  TempFolder folder_;
};

TEST_F(PictureTables, AroundPartsNameFilesFromTheirFolderOnAndAsWindowsDoes) {
  put(folder_ / "train" / "1.png", picture(1));
  put(folder_ / "train" / "2.png", picture(2));
  put(folder_ / "test" / "1.png", picture(3));
  table("train\\1.png,dog\n.\\train\\2.png,cat\ntest\\1.png,dog\n");
  EXPECT_THAT(shown(open()), ElementsAre("1 dog", "2 cat"));
  EXPECT_THAT(shown(open(Split::kTest)), ElementsAre("3 dog"));
  table("1.png,dog\n2.png,cat\n");
  EXPECT_TRUE(fails(open(), ErrorKind::kCorrupt,
                    "metadata.csv: 1.png is not there; names begin in the table's folder, as "
                    "train/1.png"));
  EXPECT_THAT(shown(open(Split::kTrain, {.labels = LabelSource::kNone})), ElementsAre("1", "2"));
  table("test/1.png,dog\n");
  const auto train = open();
  ASSERT_TRUE(succeeds(train));
  EXPECT_FALSE(train->labels.has_value());
  EXPECT_THAT(train->facts.notes, Contains(HasSubstr("metadata.csv names no picture in")));
}

TEST_F(PictureTables, OnePictureIsOneRowHoweverItIsWritten) {
  put(folder_ / "a" / "1.png", picture(1));
  put(folder_ / "a" / "2.png", picture(2));
  table("a/1.png,x\n./a/1.png,x\na\\1.png,x\na/2.png,y\n");
  EXPECT_THAT(shown(open()), ElementsAre("1 x", "2 y"));
  for (const char* again : {"./a/1.png", "a\\1.png", "a//1.png"}) {
    table(std::string("a/1.png,x\na/2.png,y\n") + again + ",y\n");
    EXPECT_TRUE(fails(open(), ErrorKind::kCorrupt, "a/1.png has the labels \"x\" and \"y\""))
        << again;
  }
}

TEST_F(PictureTables, AreReadAsProgramsWriteThemAndRefusedWhereTheyCouldBeMisread) {
  put(folder_ / "1.png", picture(1));
  put(folder_ / "2.png", picture(2));
  const auto refused = [&](auto... parts) {
    return fails(open(), ErrorKind::kCorrupt, "metadata.csv", parts...);
  };
  // Blanks around fields, and line ends of a carriage return alone.
  table("1.png, cat\n2.png , \"dog, black\" \n", "file_name, label");
  EXPECT_THAT(shown(open()), ElementsAre("1 cat", "2 dog, black"));
  put(folder_ / "metadata.csv", "file_name,label\r1.png,cat\r2.png,dog\r");
  EXPECT_THAT(shown(open()), ElementsAre("1 cat", "2 dog"));
  table("1.png,cat, black\n2.png,dog\n");
  EXPECT_TRUE(refused("row 2 has 3 fields, the first line 2", "quotes"));
  table("1.png\n", "file_name,label,split");
  EXPECT_TRUE(refused("row 2 has 1 fields"));
  table("1.png,\"cat\n2.png,dog\n");
  EXPECT_TRUE(refused("row 2 has a quote (\") that nothing closes"));
  table("1.png,a,b\n2.png,a,b\n", "file_name,label,label");
  EXPECT_TRUE(refused("columns 2 and 3 are both called label"));
  table("1.png,a,b\n2.png,a,b\n", "file_name,label,class");
  EXPECT_TRUE(refused("columns 2 and 3 are both label or class"));
  table("1.png,caf\xe9\n2.png,tea\n");
  EXPECT_TRUE(refused("not UTF-8", "iconv"));
  table("1.png,caf\xc3\xa9\n2.png,tea\n");
  EXPECT_THAT(shown(open()), ElementsAre("1 caf\xc3\xa9", "2 tea"));
  for (const std::string& path : {(folder_ / "1.png").string(), std::string("../x/1.png")}) {
    table(path + ",a\n");
    EXPECT_TRUE(refused(path, "outside the folder"));
  }
}

TEST_F(PictureTables, NamePicturesOfFormatsThatAreNotReadAndAreSaidTo) {
  put(folder_ / "1.png", picture(1));
  put(folder_ / "2.heic", "....");
  put(folder_ / "notes.txt", "words");
  table("1.png,a\n2.heic,b\n");
  const auto data = open();
  ASSERT_TRUE(succeeds(data));
  EXPECT_THAT(shown(data), ElementsAre("1 a"));
  EXPECT_EQ(data->num_classes(), 2);
  EXPECT_THAT(data->facts.left_out, Contains(DatasetFacts::LeftOut{"heic, which is not read", 1}));
  table("1.png,a\nnotes.txt,b\n");
  EXPECT_TRUE(fails(open(), ErrorKind::kCorrupt, "notes.txt is no picture"));
  table("1.png,a\n3.heic,b\n");
  EXPECT_TRUE(fails(open(), ErrorKind::kCorrupt, "3.heic is not there"));
}

TEST_F(PictureTables, TellPartsByAColumn) {
  for (int i = 0; i < 4; ++i)
    put(folder_ / (std::to_string(i) + ".png"), picture(static_cast<uint8_t>(10 + i)));
  const std::string rows = "0.png,a,train\n1.png,b,train\n2.png,b,test\n";
  table(rows, "file_name,label,split");
  auto data = open();
  EXPECT_THAT(shown(data), ElementsAre("10 a", "11 b"));
  EXPECT_EQ(data->facts.part, "train");
  EXPECT_THAT(data->facts.left_out, ElementsAre(DatasetFacts::LeftOut{"not in metadata.csv", 1}));
  data = open(Split::kTest);
  EXPECT_THAT(shown(data), ElementsAre("12 b"));
  EXPECT_EQ(data->facts.part, "test");
  // Whether its classes are wanted or not, and where there are none.
  EXPECT_THAT(shown(open(Split::kTrain, {.labels = LabelSource::kNone})), ElementsAre("10", "11"));
  EXPECT_THAT(shown(open(Split::kTest, {.labels = LabelSource::kNone})), ElementsAre("12"));
  table("0.png,train\n1.png,validation\n", "file_name,split");
  EXPECT_THAT(shown(open()), ElementsAre("10"));
  EXPECT_EQ(open(Split::kTest)->facts.part, "val");
  // What is none of the parts is not guessed at.
  table("0.png,a,train\n1.png,b,fold1\n", "file_name,label,split");
  data = open();
  EXPECT_THAT(shown(data), ElementsAre("10 a", "11 b"));
  EXPECT_EQ(data->facts.part, "all");
  EXPECT_THAT(data->facts.notes, Contains(HasSubstr("split of metadata.csv is not used")));
  table("0.png,a,train\n./0.png,a,test\n", "file_name,label,split");
  EXPECT_TRUE(fails(open(), ErrorKind::kCorrupt, "0.png has the parts \"train\" and \"test\""));
}

TEST_F(PictureTables, TellPartsInTheOneFolderThatHoldsEverything) {
  for (int i = 0; i < 2; ++i)
    put(folder_ / "all" / (std::to_string(i) + ".png"), picture(static_cast<uint8_t>(10 + i)));
  put(folder_ / "all" / "metadata.csv", "file_name,split\n0.png,train\n1.png,test\n");
  EXPECT_THAT(shown(open()), ElementsAre("10"));
  EXPECT_THAT(shown(open(Split::kTest)), ElementsAre("11"));
  EXPECT_THAT(open()->facts.left_out, ElementsAre());
  std::filesystem::remove(folder_ / "all" / "metadata.csv");
  table("all/0.png,train\nall/1.png,test\n", "file_name,split");
  EXPECT_THAT(shown(open()), ElementsAre("10"));
  EXPECT_THAT(shown(open(Split::kTest)), ElementsAre("11"));
}

TEST_F(PictureTables, InFoldersOfClassesAreNamedAsNotUsed) {
  for (const char* name : {"a", "b"}) {
    put(folder_ / name / "1.png", picture(7));
    put(folder_ / name / "metadata.jsonl", "{\"file_name\": \"1.png\", \"label\": \"x\"}\n");
  }
  const auto data = open();
  EXPECT_THAT(shown(data), ElementsAre("7 a", "7 b"));
  EXPECT_THAT(data->facts.left_out, ElementsAre(DatasetFacts::LeftOut{
                                        "metadata.jsonl in a folder below, which is not used", 2}));
}

}  // namespace
}  // namespace ito
