// What names of files and folders say of which part of a data set they hold: to train on, to test
// on, to validate on. Not for what is then read.
#pragma once

#include <array>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/file.h"

namespace ito {

// What words of a name say which part it is, the better first.
inline constexpr std::array<std::string_view, 3> kTrainWords = {"train", "training", "trainset"};
inline constexpr std::array<std::string_view, 3> kTestWords = {"test", "testing", "testset"};
inline constexpr std::array<std::string_view, 7> kValidationWords = {
    "val", "valid", "validation", "dev", "eval", "evaluation", "holdout"};

// "seg_Train2017" → "seg", "train"; "trainA" → "train", "a"
std::vector<std::string> words_of(const std::string& name);
// Whether the whole name is one of the words, case aside, or has one of them.
bool is_called(const std::string& name, std::span<const std::string_view> words);
bool has_word(const std::string& name, std::span<const std::string_view> words);

enum class DataPart { kAll, kTrain, kTest, kValidation };
// As DatasetFacts have it: "all", "train", "test", "val".
std::string name_of(DataPart part);

// kAll for a word that says none of them.
DataPart part_of_word(std::string_view word);
// Of a whole name, case aside: "Train" is one, "train_station" is not.
DataPart part_of_name(const std::string& name);
// Whether all words of a name are such as parts of data sets are called by, here or elsewhere:
// "valid_set", "Train2", "te", "unlabeled", but not "train_station".
bool may_be_part(const std::string& name);
// What a path in a data set, "train/0000.tar" or "ds-val-0000.tar", says: the folder first, else
// the first word of the file's name that says anything; kAll if none does.
DataPart part_of_file(const std::string& relative);

// Visible names in a folder that `wanted` takes; and those in its folders train and test (or val),
// with the folder's name before them, which `wanted` sees too, where it has both.
std::vector<std::string> files_of_parts(const Path& folder,
                                        const std::function<bool(const std::string&)>& wanted);

}  // namespace ito
