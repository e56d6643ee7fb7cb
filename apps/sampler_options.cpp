#include "apps/sampler_options.h"

#include <fmt/format.h>

#include "apps/command.h"
#include "apps/guidance_options.h"
#include "apps/option_table.h"
#include "base/error.h"
#include "base/name_list.h"
#include "base/name_pattern.h"

namespace ito::apps {
namespace {

// A text of every sampler: its name and what it is.
std::string sampler_help() {
  std::string text = "the method; left out: the one that the model's scheduler asks for.";
  for (const Name& row : sampler_rows())
    text += "\n" + std::string(row.name) + ": " + std::string(row.help);
  return text;
}

// Names and aliases are understood; what is kept is the row's name.
std::string known_sampler(std::string& text) {
  for (const Name& row : sampler_rows()) {
    if (!is_called(row, text)) continue;
    text = row.name;
    return "";
  }
  const std::string near = near_name(text, sampler_names());
  return fmt::format("there is no sampler \"{}\", expected one of {}{}", text,
                     joined(sampler_names()),
                     near.empty() ? "" : fmt::format("; the nearest is {}", near));
}

// Ranges of the options that are numbers.
CLI::Validator range_of(std::string_view key) {
  if (key == "steps" || key == "order") return at_least(1);
  if (key == "corrector_steps") return at_least(0);
  if (key == "eta" || key == "eps") return CLI::Range(0.0, 1.0);
  if (key == "rho" || key == "rtol" || key == "atol") return positive_number();
  if (key == "s_noise") return CLI::Range(0.0, 10.0);
  return CLI::Range(0.0, 1e6);
}

}  // namespace

void add_sampler_options(CLI::App& app, SampleOptions& options) {
  app.add_option("--sampler", options.sampler, sampler_help())
      ->transform(CLI::Validator(known_sampler, "NAME"));
  visit_sampler_fields(options, AddOption{.app = app, .command = "sample", .range = range_of});
}

Status check_sampler_options(const CLI::App& app, SampleOptions& options) {
  ITO_TRY(check_ode_options({options.rtol, options.atol}));
  ITO_TRY(check_sampler_choices(options));
  // An option that the sampler does not look at was meant for another one.
  Status status;
  visit_sampler_fields(options, [&](const char* key, const auto&, const char*) {
    if (!status.ok() || options.sampler.empty() || app.count(option_name(key)) == 0) return;
    if (!sampler_uses(options, key))
      status = invalid_argument("{} has no meaning for --sampler {}", option_name(key),
                                sampler_without(options, key));
  });
  ITO_TRY(std::move(status));
  if (options.snr > 0 && options.epsilon > 0)
    return invalid_argument("give --snr or --epsilon, not both");
  return {};
}

Result<SamplerText> parse_sampler(const std::string& text) {
  CLI::App app;
  SamplerText sampler;
  add_sampler_options(app, sampler.options);
  add_guidance_options(app, sampler.guidance);
  try {
    app.parse("--sampler " + text);
  } catch (const CLI::ParseError& error) {
    return invalid_argument("--sampler \"{}\": {}", text, error.what());
  }
  const Status chosen = check_choices(app, {"sample"});
  if (!chosen.ok()) return invalid_argument("--sampler \"{}\": {}", text, chosen.error().message);
  ITO_TRY(check_sampler_options(app, sampler.options));
  ITO_TRY(check_guidance_options(sampler.guidance));
  return sampler;
}

}  // namespace ito::apps
