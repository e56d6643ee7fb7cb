// The options of guidance, for the commands that sample. Not what they come to for a model
// (api/guidance_choice.h).
#pragma once

#include <CLI/CLI.hpp>

#include "api/guidance_choice.h"
#include "base/result.h"

namespace ito::apps {

void add_guidance_options(CLI::App& app, GuidanceChoice& choice);

// What the parser cannot check: options that need or exclude each other.
Status check_guidance_options(const GuidanceChoice& choice);

}  // namespace ito::apps
