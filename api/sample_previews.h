// SamplePreviews: grids of the batch under way, its estimates of x_0 after every so many steps,
// beside a grid's file or in the folder. Not for the finished images (api/sample_files.h).
#pragma once

#include <set>

#include "api/sample_files.h"
#include "api/sampling.h"
#include "base/result.h"
#include "io/file.h"

namespace ito {

class SamplePreviews {
 public:
  // every: steps between previews; 0: none. columns: of a grid; 0: about square.
  SamplePreviews(int every, int columns) : every_(every), columns_(columns) {}

  // Asks the session for them; it, `files` and this object must outlive its sampling.
  Status prepare(SamplingSession& session, const SampleFiles& files);
  // The first error of a preview: one that cannot be written, or a file in its place that is none.
  const Status& status() const { return status_; }

 private:
  Status write(const Path& path, int step, const std::vector<float>& images, const Shape& shape);

  int every_, columns_;
  Status status_;
  std::set<Path> written_;  // by this call
};

}  // namespace ito
