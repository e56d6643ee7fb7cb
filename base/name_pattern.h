// Patterns over names with dots, such as tensors have: "down_blocks.*", "conv_in*"; and names that
// are spelled alike. Not for paths.
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

// The one of `names` that `text` is probably meant to be: the only one that begins as it does, or
// that it is the beginning of, or else the only one that is spelled most like it, with up to a
// third of its characters changed; case aside. Empty if there is none.
std::string near_name(std::string_view text, const std::vector<std::string>& names);

}  // namespace ito
