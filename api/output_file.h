// OutputFile: a file that a command writes where it is told to, and the one rule of what it may
// replace: what Ito itself wrote there, and neither a file of somebody else nor one that the
// command reads. Not for what the files hold, and not for folders (api/sample_files.h,
// api/training_run.h).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "io/file.h"

namespace ito {

struct OutputFile {
  std::string_view ending;  // ".png"
  std::string_view writer;  // "ito toy"
  // Whether what is there was written so; of what cannot be read it is false.
  bool (*is_own)(const Path& path);
};

// Error kInvalidArgument naming `option`: another ending.
Status check_ending(const OutputFile& file, const std::string& option, const Path& out);
// Error kInvalidArgument naming `option`: a file that is one of `inputs`, or one that is there, is
// not empty and was not written by `file.writer`. `inputs` may be empty names or no files at all.
Status check_replaceable(const OutputFile& file, const std::string& option, const Path& out,
                         std::span<const std::string> inputs = {});

// A picture, and a page, that says of itself that Ito made it.
bool is_own_picture(const Path& path);
bool is_own_page(const Path& path);
// Whether a file begins with a text.
bool begins_with(const Path& path, std::string_view text);

// Whether a path that is to become a folder is called as files are: "model.pt", and neither
// "model-1.5" nor "model.pt/". Never of a folder that is there.
bool is_called_as_files_are(const Path& path);

}  // namespace ito
