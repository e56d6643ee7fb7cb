// ControlFiles: the files and numbers by which `ito sample` is steered, as a command line names
// them: guidance by a classifier, observations that the images have to agree with, and where they
// begin. Here they are read and become a SampleControl. Not for what that does (api/control.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/control.h"
#include "api/guidance_choice.h"
#include "base/note.h"
#include "io/file.h"
#include "io/json.h"
#include "io/pictures/picture.h"

namespace ito {

struct ControlFiles {
  GuidanceChoice guidance;
  std::string initial;  // --init-image
  double strength = 0.8;
  std::string latents;  // --latents
  std::string inpaint, mask;
  std::string colorize;
  std::string inverse, observation;
  std::optional<double> noise_std;
  Background background;  // behind transparent pictures

  bool observes() const { return !inpaint.empty() || !colorize.empty() || !inverse.empty(); }
};

// Error kInvalidArgument for a text of --inverse that is not NAME:NUMBER of something known.
Status check_inverse(const std::string& text);

// Reads what observes. Images are as large as `size` [h,w,c], or smaller for --inpaint and
// --colorize, which pad them with -1 as training does (the border then counts as observed). Errors
// name option and file.
Result<std::optional<Observation>> load_observation(const ControlFiles& files, const Shape& size,
                                                    const NoteFunction& note = {});

// --inpaint and --mask as numbers: the picture [h,w,c] in [-1, 1], and where it is known ([h,w]: 1;
// 0 is to be filled), read as load_observation reads them. Errors name option and file.
struct MaskedPicture {
  std::vector<float> picture, known;
};
Result<MaskedPicture> load_masked_picture(const ControlFiles& files, const Shape& size,
                                          const NoteFunction& note = {});

// For the settings that decide an image and are stored with it: numbers and fingerprints of the
// files' contents.
Json control_settings(const ControlFiles& files, const SampleControl& control);

// A picture as a network sees it: [h,w,c] in [-1, 1], turned as its EXIF says, on `background`
// where it is transparent, padded with -1 from the middle out. Errors name `option` and the file:
// no picture, or one that is larger.
Result<std::vector<float>> read_padded(const std::string& option, const Path& path,
                                       const Shape& size, const NoteFunction& note = {},
                                       const Background& background = {});

}  // namespace ito
