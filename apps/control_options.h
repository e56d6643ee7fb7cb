// The options of `ito sample` that steer it: guidance by a classifier, and observations that the
// images have to agree with. Here they become a SampleControl; what that does is api/control.h.
#pragma once

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "api/control.h"
#include "api/model.h"
#include "base/hash.h"
#include "io/json.h"

namespace ito::apps {

struct ControlOptions {
  std::string classifier;  // --guidance-classifier
  double scale = 1;
  double rescale = 0;
  std::optional<uint32_t> null_class;
  std::string initial;  // --init-image
  double strength = 0.8;
  std::string latents;  // --latents
  std::string inpaint, mask;
  std::string colorize;
  std::string inverse, observation;
  std::optional<double> noise_std;

  bool observes() const { return !inpaint.empty() || !colorize.empty() || !inverse.empty(); }
  bool any() const { return !classifier.empty() || observes(); }
};

void add_control_options(CLI::App& app, ControlOptions& options);

// What the parser cannot check: options that need or exclude each other, and the text of --inverse.
Status check_control_options(const CLI::App& app, const ControlOptions& options);

// Reads the files. Images are as large as `size` [h,w,c], or smaller for --inpaint and --colorize,
// which pad them with -1 as training does (the border then counts as observed). Errors name option
// and file.
Result<SampleControl> load_control(const ControlOptions& options, const Shape& size);

// --inpaint and --mask as numbers: the picture [h,w,c] in [-1, 1], and where it is known ([h,w]: 1;
// 0 is to be filled), read as load_control reads them. Errors name option and file.
struct MaskedPicture {
  std::vector<float> picture, known;
};
Result<MaskedPicture> load_masked_picture(const ControlOptions& options, const Shape& size);

// For the settings that decide an image and are stored with it: numbers and fingerprints of the
// files' contents. And which files those were, which decides nothing.
Json control_settings(const ControlOptions& options, const SampleControl& control);
Json control_remarks(const ControlOptions& options);

// A picture as a network sees it: [h,w,c] in [-1, 1], padded with -1 from the middle out. Errors
// name `option` and the file: no picture, or one that is larger.
Result<std::vector<float>> read_padded(const std::string& option, const Path& path,
                                       const Shape& size);

template <typename T>
std::string fingerprint(const std::vector<T>& values) {
  return fmt::format("{:016x}", hash_bytes({reinterpret_cast<const char*>(values.data()),
                                            values.size() * sizeof(T)}));
}

}  // namespace ito::apps
