// The decoding of a list of pictures, and what they have in common once decoded. Not for which
// files are pictures (picture_list.h), nor for where they are kept (picture_folder.cpp,
// picture_cache.h).
#pragma once

#include <functional>
#include <vector>

#include "io/datasets/picture_list.h"

namespace ito {

// The values of all pictures of one depth.
struct SamplesSeen {
  int64_t pictures = 0;
  int least = 0, most = 0;
};

struct PicturesSeen {
  int h = 0, w = 0, c = 0;   // what is drawn of each; of those that stay whole the size asked for
  bool deep = false;         // more than 8 bits in some
  SamplesSeen bytes, words;  // of pictures of 8 and of 16 bits
  int64_t transparent = 0;
  int64_t first_of_several = 0;  // whose files have further pages or frames
  uint64_t hash = 0;             // of all bytes, as hash_bytes has it
};

struct DecodedPicture {
  Picture picture;  // fitted, without alpha
  bool transparent = false, first_of_several = false;
};
// Picture i as the options want it.
Result<DecodedPicture> decode_picture(const PictureList& list, const DatasetOptions& options,
                                      int64_t i);
// Error kCorrupt: it is of another size than the first, and does not stay whole.
Status check_same_size(const PictureList& list, const DatasetOptions& options, int64_t i,
                       const Picture& picture, int h, int w);

// Decodes all pictures, `take` getting them in order; options.reading.progress hears of it.
Status decode_all(const PictureList& list, const DatasetOptions& options,
                  const std::function<Status(int64_t, DecodedPicture)>& take);

// The beginning: what the first picture says.
Result<PicturesSeen> first_seen(const PictureList& list, const DatasetOptions& options);
// Notes what a picture adds; false if it needs more channels or bits than those before it, and what
// was made of them does not fit any more.
bool take_note(PicturesSeen& seen, const DecodedPicture& decoded);
// What a data set of `channels` keeps of a picture.
std::string bytes_of_picture(const Picture& picture, int channels);

// All of a list, decoded (twice where the first pictures are grey and others are not) and not kept.
struct PictureSurvey {
  PicturesSeen seen;
  std::vector<WholeImage> whole;  // of those that stay whole
};
Result<PictureSurvey> survey_pictures(const PictureList& list, const DatasetOptions& options);

// The data set of a list: in memory, in a cache or left in its files, as the options say. Errors:
// as of decoding.
Result<ImageDataset> dataset_of_pictures(const PictureList& list, const DatasetOptions& options);

}  // namespace ito
