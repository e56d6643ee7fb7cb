// Labels in arrays, numbers or names, and which files of a folder belong together: images, labels,
// parts. Not for what the numbers of images mean (array_values.h).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/datasets/array_values.h"

namespace ito {

// What arrays and files of images and of labels are called, in the order in which they are looked
// for, case aside.
inline constexpr std::string_view kImageArrays[] = {"images", "x",    "arr_0",   "data",
                                                    "image",  "imgs", "latents", "latent"};
inline constexpr std::string_view kLabelArrays[] = {"labels",  "y",      "classes", "label",
                                                    "targets", "target", "class"};

// Numbers of classes, or their names.
struct Labels {
  std::optional<HostTensor> numbers;
  NpyTexts names;

  int64_t count() const;  // -1: of no shape that labels have
  // The classes, where they have names.
  std::vector<std::string> classes() const;
};
// What was read as numbers, or else is read as texts (null: there are none).
Result<Labels> labels_of(Result<HostTensor> numbers,
                         const std::function<Result<NpyTexts>()>& read_texts);
// Of a file of nothing but labels.
Result<Labels> read_label_file(const Path& path);
Status take(ImageDataset& data, const Labels& labels, const std::vector<std::string>& known,
            const std::string& where);

// What other files say of one.
struct KnownOfFile {
  std::vector<std::string> classes;  // of the training images, if the labels are names
  std::optional<ArrayScale> scale;   // of the training images, or of all files of the part
  int64_t labels = -1;               // how many there are in a file beside it
};
// One file by itself.
Result<ImageDataset> read_array_file(const Path& path, Split split, const DatasetOptions& options,
                                     const KnownOfFile& known = {});
// The values of those images in a file that the split means.
Result<ArrayValues> array_values_in(const Path& path, Split split);
// The classes that labels of the training images in a file have names for.
Result<std::vector<std::string>> training_classes_in(const Path& path);
// Whether arrays of a .safetensors file are called as images are, and not as weights.
bool holds_images(const Path& path);

}  // namespace ito
