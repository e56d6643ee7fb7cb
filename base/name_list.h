// Lists of names as rows and messages have them: "a b c" in a row, which is a constant, and "a, b,
// c" in a sentence. Not the rows (base/registry.h).
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace ito {

// The names of "a b c".
inline std::vector<std::string_view> names_in(std::string_view list) {
  std::vector<std::string_view> names;
  while (!list.empty()) {
    const size_t end = std::min(list.find(' '), list.size());
    if (end > 0) names.push_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return names;
}

// Whether "a b c" has the name.
inline bool lists(std::string_view list, std::string_view name) {
  const std::vector<std::string_view> names = names_in(list);
  return std::find(names.begin(), names.end(), name) != names.end();
}

// "a, b, c" of a range of texts.
template <typename Names>
std::string joined(const Names& names, std::string_view between = ", ") {
  std::string text;
  bool first = true;
  for (const auto& name : names) {
    if (!first) text += between;
    text += name;
    first = false;
  }
  return text;
}

}  // namespace ito
