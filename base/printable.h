// Text from files as a terminal may show it: what moves its cursor, hides text or renames its
// window comes as an escape that can be read. Not for what goes back into files.
#pragma once

#include <string>
#include <string_view>

namespace ito {

// Control characters but for line ends and tabs, those of C1 in UTF-8 (U+0080 to U+009F) among
// them, as \xNN, their bytes.
std::string printable(std::string_view text);

}  // namespace ito
