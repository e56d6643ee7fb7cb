// The options that choose a sampler, for the commands that sample. Not what they mean
// (api/sampling_loop.h).
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "api/guidance_choice.h"
#include "api/sampling_loop.h"
#include "base/result.h"

namespace ito::apps {

void add_sampler_options(CLI::App& app, SampleOptions& options);

// After parsing: sets defaults that depend on the sampler, and refuses options that it does not
// use.
Status check_sampler_options(const CLI::App& app, SampleOptions& options);

// A sampler as one text: its name and options as on a command line, those of guidance included,
// "pc --steps 200 --snr 0.2".
struct SamplerText {
  SampleOptions options;
  GuidanceChoice guidance;
};
Result<SamplerText> parse_sampler(const std::string& text);

}  // namespace ito::apps
