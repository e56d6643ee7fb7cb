// Metrics as JSON lines: one object per line, appended while training, and made consistent when a
// run resumes. Not a log (base/log.h).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "io/file.h"
#include "io/json.h"

namespace ito {

class JsonlWriter {
 public:
  // Opens for appending, creating the file if needed. With a resumed step, what an interrupted run
  // left behind goes first, atomically: a torn last line, lines that are no JSON objects, and rows
  // whose integer "step" is greater than it. Without one, the file starts empty. Errors: kIo.
  static Result<JsonlWriter> open(const Path& path, std::optional<int64_t> resumed_step);
  JsonlWriter(JsonlWriter&& other) noexcept;
  JsonlWriter& operator=(JsonlWriter&& other) noexcept;
  ~JsonlWriter();

  // One line, in the file when this returns (a killed process loses none; only a power cut may).
  Status append(const Json& row);

 private:
  JsonlWriter(Path path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  Path path_;
  int descriptor_ = -1;
};

// All rows that are whole; a torn last line is left out. Errors: kNotFound, kIo; kCorrupt naming
// the first other line that is no JSON object.
Result<std::vector<Json>> read_jsonl(const Path& path);

}  // namespace ito
