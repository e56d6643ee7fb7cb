// Which files of a folder are pictures of a data set, and of which class each is. Not for decoding.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "io/datasets/part_names.h"
#include "io/datasets/readers.h"

namespace ito {

struct PictureList {
  struct Entry {
    Path path;
    int32_t label = 0;
    // Of a picture in an archive, which `path` then is.
    std::string inside = {};
    uint64_t offset = 0, size = 0;

    // How messages call it.
    std::string name() const {
      return inside.empty() ? path.string() : path.string() + ": " + inside;
    }
  };
  Path folder;
  std::vector<Entry> entries;
  DataPart part = DataPart::kAll;  // which, where a table beside the pictures tells parts
  bool labelled = false;
  std::vector<std::string> classes;         // by label; some may have no picture
  std::map<std::string, int64_t> left_out;  // why → files
  std::vector<std::string> notes;
};

// Whose pictures are listed.
struct PicturesWanted {
  LabelSource source = LabelSource::kAuto;
  Split split = Split::kTrain;  // of the parts that a table beside the pictures tells, if it does
  const PictureList* of_training = nullptr;  // whose classes the labels then are
  Path root = {};  // the folder around a part (train, test), whose table may name its pictures, too
};
// Errors: kNotFound without pictures; kInvalidArgument for a class that the training images do not
// have; kCorrupt for a table that is damaged or names files that are not there.
Result<PictureList> list_pictures(const Path& folder, const PicturesWanted& wanted);

// Whether classes are wanted at all, and whether they have to come from where the source says.
bool wants_classes(LabelSource source);
bool insists(LabelSource source);
// Whether that is folders.
bool insists_on_folders(LabelSource source);

// Whether a file is a picture that can be read, by its ending, or else by how it begins.
bool is_picture_file(const Path& path);

// Names in order; with `numbered`, and where all are numbers, the numbers themselves are the
// labels.
std::vector<std::string> class_list(const std::set<std::string>& names, bool numbered);
// Folders of names that are parts of other tasks' data, or of any, more often than classes: a note
// for each.
void note_odd_classes(PictureList& list, const std::vector<std::string>& names);
// Gives the entries labels by the names of their classes, one each; `more` classes may have none,
// and `of_training` are the classes of the training images, if those are others.
Status label_by_names(PictureList& list, const std::vector<std::string>& names, bool numbered,
                      const std::set<std::string>& more = {},
                      const PictureList* of_training = nullptr);

// Pictures of `ito sample` carry their class in their settings: takes it from there, where all do.
void label_samples(PictureList& list);
// What the class is called in settings as an archive of `ito sample` has them; empty in others.
std::string class_name_of_sample(std::string_view settings);

}  // namespace ito
