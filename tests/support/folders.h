// Where the source tree and the build tree lie, for tests that read shipped files or start the
// program. The only file that knows; so all others compile the same in every checkout.
#pragma once

#include <string>

namespace ito::test {

std::string source_folder();
std::string binary_folder();

}  // namespace ito::test
