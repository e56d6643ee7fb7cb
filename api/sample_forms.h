// Sample forms: how one call keeps its images, by the ending of --out. A row of the table says what
// a form is asked for and writes its file. Not for which images are there already
// (api/sample_files.h), nor for archives of a job (api/sample_stores.h).
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/shape.h"
#include "io/file.h"
#include "io/json.h"

namespace ito {

// All images of a call, for a form that keeps them in one file.
struct SampleCollection {
  const Path& out;
  const std::vector<float>& images;  // [n, h, w, c] in [-1, 1], numbers beyond it included
  Shape shape;
  const Json& settings;  // SampleIdentity::common_settings
  bool labelled;         // settings have "classes"
  int columns;           // of a grid; 0: about square
  const char* name;      // of the numbers in a file
};

struct SampleForm {
  std::string_view ending;   // of --out; empty: a folder
  std::string_view written;  // as messages say what is expected
  bool numbers;              // images are kept as numbers, which may lie beyond a picture's range
  // One file of all; null: a file an image. Whether a file there is one that write() wrote.
  Status (*write)(const SampleCollection& all);
  bool (*is_own)(const Path& path);

  bool is_folder() const { return write == nullptr; }
};

// By the ending of `out`: .png a grid, .npz, .safetensors, else a folder. Error kInvalidArgument
// for another ending of letters, unless a folder of that name is there or it ends with a slash, and
// for a folder that is a model's or a run's.
Result<const SampleForm*> sample_form(const Path& out);

}  // namespace ito
