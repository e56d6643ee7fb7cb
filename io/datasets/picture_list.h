// Which files of a folder are pictures of a data set, and of which class each is. Not for decoding.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/datasets/readers.h"

namespace ito {

struct PictureList {
  struct Entry {
    Path path;
    int32_t label = 0;
  };
  Path folder;
  std::vector<Entry> entries;
  bool labelled = false;
  std::vector<std::string> classes;         // by label; some may have no picture
  std::map<std::string, int64_t> left_out;  // why → files
  std::vector<std::string> notes;
};

// `of_training`: the list of the training images, whose classes the labels then are. Errors:
// kNotFound without pictures; kInvalidArgument for a class that the training images do not have;
// kCorrupt for a metadata file that is damaged or names files that are not there.
Result<PictureList> list_pictures(const Path& folder, LabelSource source,
                                  const PictureList* of_training = nullptr);

// Pictures of `ito sample` carry their class in their settings: takes it from there, where all do.
void label_samples(PictureList& list);

// metadata.csv or metadata.jsonl of a folder: labels by file name, empty where a row has none.
// Nothing without such a file.
struct PictureMetadata {
  Path path;
  bool has_labels = false;
  std::map<std::string, std::string> labels;
};
Result<std::optional<PictureMetadata>> read_metadata(const Path& folder);

}  // namespace ito
