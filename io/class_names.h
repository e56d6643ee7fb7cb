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

struct ClassNames {
  std::vector<std::string> names;  // by number; all different
  std::vector<int64_t> images;     // of training, as many; 0: the model does not know the class

  bool operator==(const ClassNames&) const = default;
  // Numbers of the classes that have images.
  std::vector<uint32_t> trained() const;
};

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

// Gives the labels of `data` the model's numbers, by name, where both have names that differ. Error
// kInvalidArgument: a class of the data that the model does not have.
Status match_classes(ImageDataset& data, const std::optional<ClassNames>& names);

// By the number of each of our classes the number that the class has among `theirs`, those of the
// classifier in `where`; empty where the numbers are the same, or one side has numbers for names.
// Error kInvalidArgument: a class with training images that they do not have.
Result<std::vector<uint32_t>> classes_among(const std::optional<ClassNames>& ours,
                                            const std::optional<ClassNames>& theirs,
                                            const std::string& where);

}  // namespace ito
