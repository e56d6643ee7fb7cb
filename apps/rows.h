// Everything that is chosen by name, as tables made of the registry's rows: what `ito inspect
// --list` prints, what docs/rows.md holds, and what the help of an option says that it may be. Not
// the rows themselves, which stand where their kind is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/registry.h"
#include "base/result.h"
#include "io/json.h"

namespace ito::apps {

// The kinds that have a table.
std::vector<std::string> row_kinds();

// The rows of a kind, or of every kind for "all": Markdown tables, or a JSON object of lists.
// Errors: an unknown kind.
Result<std::string> rows_text(const std::string& kind);
Result<Json> rows_json(const std::string& kind);

// "--a-b" of a key "a_b".
std::string option_name(std::string_view key);

// `help` of a command's option with the names before it of the rows that look at it, "ve, edm:
// ...", of those kinds of which some rows do and others do not.
std::string with_takers(std::string_view command, std::string_view key, std::string help);

// `help` of the option ("train --schedule"), and what it may be: "name: what; name: what". An
// option that is no choice by name keeps its help.
std::string with_choices(std::string_view option, std::string help);

// Whether a value is a name of the kinds that the option ("train --schedule") chooses from; of a
// choice with a number, NAME:NUMBER, the name. An option that is no choice by name takes any. Error
// kInvalidArgument naming the option, the value and what is expected.
Status check_choice(std::string_view option, const std::string& value);

// Whether the option is a choice by name.
bool is_choice(std::string_view option);

}  // namespace ito::apps
