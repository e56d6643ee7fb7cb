// Folders that are taken for classes, or for the folder of pictures, and may be something else:
// parts of a data set, a model, a name that is no text.
#include <gtest/gtest.h>

#include "io/dataset.h"
#include "io/png.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::fails;
using test::put;
using test::succeeds;
using test::TempFolder;

std::string picture(uint8_t value) { return encode_png({2, 2, 1, std::vector<uint8_t>(4, value)}); }

// "the folder train is taken …" → "train"
std::vector<std::string> parts_taken_for_classes(const ImageDataset& data) {
  const std::string before = "the folder ", behind = " is taken for a class, not for a part";
  std::vector<std::string> names;
  for (const std::string& note : data.facts.notes)
    if (const size_t at = note.find(behind); note.starts_with(before) && at != std::string::npos)
      names.push_back(note.substr(before.size(), at - before.size()));
  return names;
}

TEST(ClassFolders, ClassesThatAreCalledAsPartsAreSaid) {
  using Names = std::vector<std::string>;
  for (const auto& [folders, said] :
       {std::pair<Names, Names>{{"query", "train"}, {"query", "train"}},
        {{"extra", "train"}, {"extra", "train"}},
        {{"train", "unlabeled"}, {"train", "unlabeled"}},
        {{"train", "valid_set"}, {"train", "valid_set"}},
        {{"train", "train2"}, {"train", "train2"}},
        {{"Train", "train"}, {"Train", "train"}},
        {{"te", "tr"}, {"te", "tr"}},
        {{"trn", "tst"}, {"trn", "tst"}},
        {{"test", "val"}, {"test", "val"}},
        {{"a", "b", "train"}, {"train"}},
        {{"bus", "train_station"}, {}}}) {
    TempFolder folder;
    for (const std::string& name : folders) put(folder / name / "1.png", picture(1));
    const auto data = open_dataset(folder.path(), Split::kTrain);
    ASSERT_TRUE(succeeds(data));
    EXPECT_EQ(data->names, folders);
    EXPECT_EQ(parts_taken_for_classes(*data), said);
  }
  for (const char* tested : {"eval", "evaluation", "holdout"}) {
    TempFolder folder;
    put(folder / "train" / "1.png", picture(1));
    put(folder / tested / "1.png", picture(9));
    EXPECT_EQ(open_dataset(folder.path(), Split::kTrain)->pixels[0], 1);
    EXPECT_EQ(open_dataset(folder.path(), Split::kTrain)->count, 1);
    EXPECT_EQ((*open_test_images(folder.path()))->facts.part, "val");
  }
}

TEST(ClassFolders, AModelIsNoneAndLatin1IsNoName) {
  TempFolder folder;
  put(folder / "loss_curve.png", picture(1));
  put(folder / "scheduler" / "scheduler_config.json", "{}");
  EXPECT_TRUE(fails(open_dataset(folder.path(), Split::kTrain), ErrorKind::kInvalidArgument,
                    "is a model's folder, it holds scheduler/scheduler_config.json", "--init"));
  TempFolder around;
  put(around / "a" / "1.png", picture(1));
  put(around / "m" / "loss_curve.png", picture(1));
  put(around / "m" / "model_index.json", "{}");
  EXPECT_TRUE(fails(open_dataset(around.path(), Split::kTrain), ErrorKind::kInvalidArgument,
                    "m is a model's folder"));
  TempFolder run;
  for (const char* name : {"run.json", "metrics.jsonl", "loss_curve.png"})
    put(run / name, name[0] == 'l' ? picture(1) : "{}");
  EXPECT_TRUE(fails(open_dataset(run.path(), Split::kTrain), ErrorKind::kInvalidArgument,
                    "is the folder of a run", "--init"));
  TempFolder latin;
  put(latin / "caf\xe9" / "1.png", picture(1));
  put(latin / "tea" / "1.png", picture(2));
  EXPECT_TRUE(fails(open_dataset(latin.path(), Split::kTrain), ErrorKind::kInvalidArgument,
                    "the class caf\\xe9 has a name that is not UTF-8", "--labels none"));
  EXPECT_EQ(open_dataset(latin.path(), Split::kTrain, {.labels = LabelSource::kNone})->count, 2);
}

}  // namespace
}  // namespace ito
