// classes.json beside a model: what its classes are called and how many training images each had,
// so that `sample --class sneaker` means something and no class is drawn that the model has never
// seen. Not for data sets (io/dataset.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/dataset.h"

namespace ito {

inline constexpr const char* kClassesFile = "classes.json";
// What a file of samples calls its list of them, by number.
inline constexpr const char* kClassNames = "class_names";

struct ClassNames {
  std::vector<std::string> names;  // by number; all different
  std::vector<int64_t> images;     // of training, as many; 0: the model does not know the class

  bool operator==(const ClassNames&) const = default;
  // Numbers of the classes that have images.
  std::vector<uint32_t> trained() const;
};

// Classes that are called as they are numbered have no names.
bool has_names(const std::optional<ClassNames>& classes);

// The classes that images are drawn of: of a model with `classes` rows in its class table, which
// may have one more, for images of no class, those that had images; empty: nothing is known of
// them.
std::vector<uint32_t> drawn_classes(const std::optional<ClassNames>& names, int classes);

ClassNames class_names(const ImageDataset& data);
// Atomic. Errors: kIo.
Status write_class_names(const Path& folder, const ClassNames& names);
// Of a model's folder, or of the pipeline's where `folder` is its unet. Nothing without the file;
// kCorrupt naming it if it is damaged.
Result<std::optional<ClassNames>> read_class_names(const Path& folder);

// Class numbers of "sneaker", "3", "0-4,bag": names (case does not matter), numbers and ranges,
// with commas between. `classes`: how many the model has; `option` and `model` for messages. Errors
// kInvalidArgument: no such class; one without training images; a text that is the name of one
// class and the number of another ("name=3" and "number=3" say which).
Result<std::vector<uint32_t>> classes_called(const std::string& text,
                                             const std::optional<ClassNames>& names,
                                             uint32_t classes, const std::string& option,
                                             const std::string& model);

// Which of a classifier's classes are a model's: by name where both have names, else by number.
struct JudgedClasses {
  std::vector<uint32_t> numbers;  // the classifier's number of each class of the model
  bool by_name = false;           // found by their names
  bool moved = false;             // whether any of them is not the model's own
  std::string note;               // where numbers were taken because one has no names; or empty
};
// `classes` and `judged`: how many the model and the classifier have, `judge` the classifier's
// folder. A class that the model was not trained on may be missing. Error kInvalidArgument naming a
// class that the classifier does not have.
Result<JudgedClasses> judged_classes(const std::optional<ClassNames>& names, uint32_t classes,
                                     const std::optional<ClassNames>& judge_names, uint32_t judged,
                                     const std::string& judge);

// Which rows of a model's class table another table begins with.
struct ClassRows {
  std::vector<std::optional<uint32_t>> from;  // of each row the model's; nothing: none is of it
  std::string
      note;  // how they were found, as the end of a sentence; empty: all are where they were
};
// `names`: of the model's classes, in a table of `had` rows, and `classes` those of the images that
// a table of `rows` rows is for; a row behind the last class is for none. By name where both have
// names or neither has, else by number, if there are as many. Nothing: they cannot be told.
std::optional<ClassRows> class_rows(const std::optional<ClassNames>& names, uint32_t had,
                                    const ClassNames& classes, uint32_t rows);

// Gives the labels of `data` the model's numbers, by name, where both have names that differ. Error
// kInvalidArgument: a class of the data that the model does not have.
Status match_classes(ImageDataset& data, const std::optional<ClassNames>& names);

}  // namespace ito
