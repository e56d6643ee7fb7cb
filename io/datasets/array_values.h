// What the numbers of an array mean: which extent is which, what is black and what is white, which
// class a label is. Not for finding arrays in files (arrays.cpp).
#pragma once

#include <string>
#include <vector>

#include "io/datasets/readers.h"
#include "io/npy.h"

namespace ito {

// The values of images as they are stored: of one tensor, or of several that are one set.
struct ArrayValues {
  HostType type = HostType::kU8;
  double least = 0, most = 0;
  bool ours = false;  // written by `ito sample`, and in [-1,1]
};
// Error kCorrupt: a value is no number.
Result<ArrayValues> values_of(const HostTensor& images, bool ours, const std::string& where);
// Whether one scale may hold for both: floats, words, other integers, or truths.
bool of_one_kind(const ArrayValues& a, const ArrayValues& b);
// CHECK: they are of one kind.
ArrayValues joined_values(const ArrayValues& a, const ArrayValues& b);

// Which numbers are black and white, in all parts of a set.
struct ArrayScale {
  ArrayValues of;  // what it was decided on
  double black = 0, white = 1;
  std::vector<std::string> notes;  // where it was not asked for and could be another
};
// As the options say, else by the values. Error kInvalidArgument naming `where`: a range that such
// numbers do not have.
Result<ArrayScale> scale_of(const ArrayValues& values, const DatasetOptions& options,
                            const std::string& where);

// Images of a tensor of the extents and types that read_array_dataset takes. `ours`: written by
// `ito sample`; `labels`: how many labels there are, or -1, by which one picture is told from many;
// `where` names the file. Errors: kInvalidArgument for what could be meant in two ways; kCorrupt,
// also for values beyond the scale.
Result<ImageDataset> dataset_from_tensor(HostTensor tensor, const ArrayScale& scale, bool ours,
                                         int64_t labels, const std::string& where);

// Whether a range of values is asked for by name, which other data sets do not have.
bool asks_for_range(const DatasetOptions& options);

// Labels [n], [n,1], or [n,k] of which one is 1, of k classes. Errors: kCorrupt for what is no
// class.
Status take_labels(ImageDataset& data, const HostTensor& tensor, const std::string& where);

// Labels [n] or [n,1] that are names: the classes are all that are there, in their order, or
// `known`, those of the training images, where there are any. Errors: kCorrupt; kInvalidArgument
// for a name that is none of `known`.
Status take_labels(ImageDataset& data, const NpyTexts& texts, const std::vector<std::string>& known,
                   const std::string& where);
// The classes that labels name.
std::vector<std::string> classes_of(const NpyTexts& texts);

}  // namespace ito
