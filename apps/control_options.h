// The options of `ito sample` that steer it: guidance, and observations that the
// images have to agree with. Not for reading what they name (api/control_files.h).
#pragma once

#include <CLI/CLI.hpp>

#include "api/control_files.h"
#include "base/result.h"

namespace ito::apps {

void add_control_options(CLI::App& app, ControlFiles& options);

// What the parser cannot check: options that need or exclude each other, and the text of --inverse.
Status check_control_options(const CLI::App& app, const ControlFiles& options);

}  // namespace ito::apps
