// Decoded pictures in a file: each is decoded once, in several threads, and the file is mapped, so
// that a data set may be larger than memory. Not for which files are pictures (picture_list.h).
#pragma once

#include <memory>

#include "io/datasets/picture_survey.h"

namespace ito {

// The list's pictures from options.reading.cache, where they are put first if they are not there
// yet: one safetensors file, "images" [count,h,w,c] (of pictures that stay whole [pixels,c], and
// their heights and widths in another), for bytes, and another for floats where some pictures are
// deep, named by a hash of the options and of every file's name, size and time of change. What does
// not have the checksum that it was written with is made anew, which a note says. Errors: as of
// decoding; kIo.
struct CachedPictures {
  std::shared_ptr<const PixelStore> store;
  PicturesSeen seen;
  std::vector<WholeImage> whole;
  std::vector<std::string> notes = {};
};
Result<CachedPictures> cached_pictures(const PictureList& list, const DatasetOptions& options);

}  // namespace ito
