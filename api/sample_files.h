// SampleFiles: where sampled images go. A folder of PNGs, one an image, which a later call
// completes; or one file of all: a grid, NPZ, safetensors. An image that is there is known by a
// key, a hash of all that it depends on, so that a model that was trained further is drawn anew.
// Not for what images depend on (api/sampling.h).
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "api/model.h"
#include "api/sampling.h"
#include "base/result.h"
#include "io/file.h"
#include "io/json.h"

namespace ito {

enum class SampleForm { kFolder, kGrid, kNpz, kSafetensors };

// By the ending of `out`: .png a grid, .npz, .safetensors, else a folder. Error kInvalidArgument
// for another ending of letters, unless a folder of that name is there or it ends with a slash.
Result<SampleForm> sample_form(const Path& out);

// Whether images are kept as numbers, which may lie beyond a picture's range.
bool holds_numbers(SampleForm form);

// A hash of the networks with their weights and the scheduler.
std::string model_key(const Model& model);

struct SampleFilesOptions {
  Path out;
  int columns = 0;                 // of a grid; 0: about square
  Json settings = Json::object();  // what the images have in common, and their key depends on
  Json remarks = Json::object();   // what is kept beside it, and their key does not depend on
  std::string model;               // model_key
  bool labelled = false;           // requests have classes
  bool with_context = false;       // requests have rows of a context
  const char* name = "images";     // of the numbers in a file
  bool all = false;                // make images that are there already, too
};

class SampleFiles {
 public:
  // Makes the folder, and takes out of `requests` the images that are there already. Errors: a file
  // of an image's name that `ito sample` did not write, which stays; one image asked for twice.
  static Result<SampleFiles> open(SampleFilesOptions options, std::vector<SampleRequest>& requests);

  size_t skipped() const { return skipped_; }    // there already
  size_t replaced() const { return replaced_; }  // there, but with another key

  // images [requests, h, w, c] as a session gives them.
  Status add(std::span<const SampleRequest> requests, const std::vector<float>& images,
             const Shape& shape);
  // Writes what one file holds of all; image: [1, h, w, c].
  Status finish(const Shape& image);
  // Where a preview after so many steps goes.
  Path preview_path(int step) const;

 private:
  Json settings_of(const SampleRequest& request) const;
  Path path_of(const SampleRequest& request) const;
  Status find_finished(std::vector<SampleRequest>& requests);
  Json common_settings() const;

  SampleFilesOptions options_;
  SampleForm form_ = SampleForm::kFolder;
  std::map<uint32_t, size_t> labels_of_seed_;  // how many images a seed has
  std::vector<SampleRequest> requests_;        // of the images so far
  std::vector<float> images_;
  size_t skipped_ = 0, replaced_ = 0;
};

}  // namespace ito
