// SampleFiles: where sampled images go. A folder of PNGs, one an image, which a later call
// completes; or one file of all (api/sample_forms.h). An image that is there whole is known by
// its key, so that a model that was trained further is drawn anew. Not for jobs that are shared
// among processes or kept in archives (api/sample_farm.h), nor for what images are called and say
// (api/sample_identity.h).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "api/sample_forms.h"
#include "api/sample_identity.h"
#include "base/result.h"
#include "io/file.h"

namespace ito {

struct SampleFilesOptions {
  Path out;
  SampleIdentity images = {};
  int columns = 0;                       // of a grid; 0: about square
  const char* name = "images";           // of the numbers in a file
  bool all = false;                      // make images that are there already, too
  std::vector<std::string> inputs = {};  // files that are read; may be empty names
};

class SampleFiles {
 public:
  // Makes the folder, and takes out of `requests` the images that are there already. Errors: a file
  // of an image's name that `ito sample` did not write, which stays; one file of all that is an
  // input; one image asked for twice.
  static Result<SampleFiles> open(SampleFilesOptions options, std::vector<SampleRequest>& requests);

  bool is_folder() const { return form_->is_folder(); }
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
  Path path_of(const SampleRequest& request) const;
  void keep_other_classes(std::span<const SampleRequest> requests);
  Status remove_leftovers(std::span<const SampleRequest> requests) const;
  Status find_finished(std::vector<SampleRequest>& requests);

  SampleFilesOptions options_;
  const SampleForm* form_ = nullptr;
  std::vector<SampleRequest> requests_;  // of the images so far
  std::vector<float> images_;
  size_t skipped_ = 0, replaced_ = 0;
};

}  // namespace ito
