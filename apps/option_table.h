// Options of a command from a table of fields: visit_fields of api/training_options.h,
// visit_sampler_fields of api/sampling_loop.h. One option a field, --KEY with - for _, a flag also
// as --no-KEY, a list with commas. Not what the fields mean, and not options that no table has.
#pragma once

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "apps/rows.h"

namespace ito::apps {

// Of fields without a sign: CLI11 would take -1 for the largest number.
inline CLI::Validator whole_number() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        uint64_t value = 0;
        const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
        if (read.ec == std::errc() && read.ptr == text.data() + text.size()) return {};
        return "expected a whole number from 0 to 18446744073709551615, found " + text;
      },
      "");
}

// Another spelling of an option.
struct OptionAlias {
  std::string_view key, also;
};

// What visits the table's fields.
struct AddOption {
  CLI::App& app;
  std::string_view command;                                 // "train", for apps/rows.h
  CLI::Validator (*range)(std::string_view key) = nullptr;  // of the fields that are numbers
  std::span<const OptionAlias> aliases = {};
  std::string_view choices = {};  // command whose choices by name these are; empty: `command`

  template <typename T>
  void operator()(const char* key, T& field, const char* help) const {
    std::string name = option_name(key), text = with_takers(command, key, help);
    if constexpr (std::is_same_v<T, bool>) {
      name += ",!--no-" + name.substr(2);
      app.add_flag(name, field, text)->capture_default_str();
      return;
    } else {
      for (const OptionAlias& alias : aliases)
        if (alias.key == key) name += "," + option_name(alias.also);
      if constexpr (std::is_same_v<T, std::string>)
        text =
            with_choices(std::string(choices.empty() ? command : choices) + " " + option_name(key),
                         std::move(text));
      CLI::Option* option = app.add_option(name, field, text);
      if constexpr (std::is_arithmetic_v<T>) {
        if (range != nullptr) option->check(range(key));
        if constexpr (std::is_same_v<T, uint64_t>) option->check(whole_number());
        option->capture_default_str();
      } else {
        if constexpr (!std::is_same_v<T, std::string>) option->delimiter(',');
        if (!field.empty()) option->capture_default_str();
      }
    }
  }
};

}  // namespace ito::apps
