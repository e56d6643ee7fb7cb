#include "tests/support/folders.h"

namespace ito::test {

// Defined for this file by tests/CMakeLists.txt.
std::string source_folder() { return ITO_SOURCE_DIR; }
std::string binary_folder() { return ITO_BINARY_DIR; }

}  // namespace ito::test
