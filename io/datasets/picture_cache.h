// Decoded pictures in a file: each is decoded once, in several threads, and the file is mapped, so
// that a data set may be larger than memory. Not for which files are pictures (picture_list.h).
#pragma once

#include <functional>
#include <memory>

#include "io/datasets/picture_list.h"

namespace ito {

// What all pictures of a list have in common, once decoded.
struct PicturesSeen {
  int h = 0, w = 0, c = 0;
  bool deep = false;  // more than 8 bits in some
  double least = 0, most = 0;
  int64_t transparent = 0;
};

struct DecodedPicture {
  Picture picture;  // fitted, without alpha
  bool transparent = false;
};
// Picture i as the options want it.
Result<DecodedPicture> decode_picture(const PictureList& list, const DatasetOptions& options,
                                      int64_t i);
// Error kCorrupt: it is of another size than the first.
Status check_same_size(const PictureList& list, int64_t i, const Picture& picture, int h, int w);

// Decodes all pictures, `take` getting them in order; options.reading.progress hears of it.
Status decode_all(const PictureList& list, const DatasetOptions& options,
                  const std::function<Status(int64_t, DecodedPicture)>& take);

// The list's pictures from options.reading.cache, where they are put first if they are not there
// yet: one safetensors file, "images" [count,h,w,c], for bytes, and another for floats where some
// pictures are deep, named by a hash of the options and of every file's name, size and time of
// change. Errors: as of decoding; kIo.
struct CachedPictures {
  std::shared_ptr<const PixelStore> store;
  PicturesSeen seen;
};
Result<CachedPictures> cached_pictures(const PictureList& list, const DatasetOptions& options);

}  // namespace ito
