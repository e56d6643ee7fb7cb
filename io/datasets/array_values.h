// What the numbers of an array mean: which extent is which, what is black and what is white, which
// class a label is. Not for finding arrays in files (arrays.cpp).
#pragma once

#include <string>
#include <vector>

#include "io/datasets/readers.h"
#include "io/npy.h"

namespace ito {

// Images of a tensor of the extents and types that read_array_dataset takes. `ours`: written by
// `ito sample`; `labels`: how many labels there are, or -1, by which one picture is told from many;
// `where` names the file. Errors: kInvalidArgument for what could be meant in two ways; kCorrupt.
Result<ImageDataset> dataset_from_tensor(HostTensor tensor, const DatasetOptions& options,
                                         bool ours, int64_t labels, const std::string& where);

// Whether a range of values is asked for by name, which other data sets do not have.
bool asks_for_range(const DatasetOptions& options);

// Labels [n], [n,1], or [n,k] of which one is 1. Errors: kCorrupt for what is no class.
Status take_labels(ImageDataset& data, const HostTensor& tensor, const std::string& where);

// Labels [n] or [n,1] that are names: the classes are all that are there, in their order, or
// `known`, those of the training images, where there are any. Errors: kCorrupt; kInvalidArgument
// for a name that is none of `known`.
Status take_labels(ImageDataset& data, const NpyTexts& texts, const std::vector<std::string>& known,
                   const std::string& where);
// The classes that labels name.
std::vector<std::string> classes_of(const NpyTexts& texts);

}  // namespace ito
