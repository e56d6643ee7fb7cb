// Registry rows: how a kind of value (sampler, process, objective, network, schedule) is known by
// name. A kind is one constant table of rows; a row begins with a Name and goes on with what makes
// the value. Options, help texts, error messages and the tables of the documentation come from the
// rows, so that a name stands in one place. Not for what a value computes.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace ito {

// How people call a row and what they should know before they choose it.
struct Name {
  std::string_view name;     // as options and files spell it
  std::string_view help;     // one line, no full stop
  std::string_view source;   // paper and equation, or the code whose numbers it reproduces
  std::string_view aliases;  // other spellings that are understood, separated by spaces
};

// Whether `text` is the row's name or one of its aliases.
inline bool is_called(const Name& name, std::string_view text) {
  if (text == name.name) return true;
  std::string_view rest = name.aliases;
  while (!rest.empty()) {
    const size_t space = rest.find(' ');
    if (rest.substr(0, space) == text) return true;
    rest = space == std::string_view::npos ? std::string_view() : rest.substr(space + 1);
  }
  return false;
}

// The row called `text`, or null. Row has a member `Name name`.
template <typename Row>
const Row* find_row(std::span<const Row> rows, std::string_view text) {
  for (const Row& row : rows)
    if (is_called(row.name, text)) return &row;
  return nullptr;
}

// "a, b or c": the names that would have been understood.
template <typename Row>
std::string expected_names(std::span<const Row> rows) {
  std::string text;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i > 0) text += i + 1 < rows.size() ? ", " : " or ";
    text += rows[i].name.name;
  }
  return text;
}

// The rows without what they make: what help texts and tables show of a kind.
template <typename Rows>
std::vector<Name> names_of(const Rows& rows) {
  std::vector<Name> names;
  for (const auto& row : rows) names.push_back(row.name);
  return names;
}

// The row called `text`. Error kInvalidArgument: `what` is "--sampler", "key 'beta_schedule'" ...
template <typename Row>
Result<const Row*> row_called(std::span<const Row> rows, std::string_view text,
                              std::string_view what) {
  if (const Row* row = find_row(rows, text)) return row;
  return invalid_argument("{} is \"{}\", expected {}", what, text, expected_names(rows));
}

}  // namespace ito
