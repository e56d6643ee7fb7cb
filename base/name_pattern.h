// Patterns over names with dots, such as tensors have: "down_blocks.*", "conv_in*". Not for paths.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ito {

// Whether `pattern` covers the whole name; * stands for any text, dots included, ? for one
// character.
bool matches_pattern(std::string_view pattern, std::string_view name);

// Up to `most` patterns that match a name and are spelled most like `pattern`: whole names, and
// their beginnings up to a dot with ".*" behind. The nearest first.
std::vector<std::string> near_patterns(std::string_view pattern,
                                       const std::vector<std::string>& names, size_t most);

}  // namespace ito
