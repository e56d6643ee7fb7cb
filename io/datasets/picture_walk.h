// The files in a folder of pictures and below it: which are pictures, and why the others are left
// out. Not for the pictures' classes (picture_list.h).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "io/datasets/readers.h"

namespace ito {

struct FoundPicture {
  Path path;
  std::string relative;  // to the folder, with '/'
};

struct PictureWalk {
  struct Other {
    std::string relative;
    std::string why;  // it is left out: "heic, which is not read", "no picture"
  };
  std::vector<FoundPicture> pictures;
  std::vector<Other> others;
  // Folders of the first level that may be classes all the same, and those that are none, as no
  // picture is in them.
  std::vector<std::string> pictureless, passed_over;

  // why → files, but for those in the folder `below`, if that is not empty.
  std::map<std::string, int64_t> left_out(const std::string& below = {}) const;
};

// Errors: kCorrupt for links that lead back; kIo.
Result<PictureWalk> walk_pictures(const Path& folder);

// Whether a file, by its name, is a table that tells classes: metadata.csv and its like.
bool is_class_table(const std::string& name);
// Why a file of that name, which is no picture that can be read, is left out.
std::string why_left_out(const std::string& name);
// Whether that is because it is a picture of a format that is not read.
bool is_unread_picture(const std::string& why);

}  // namespace ito
