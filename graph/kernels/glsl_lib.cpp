#include "graph/kernels/glsl_lib.h"

#include <string>

#include "base/check.h"

namespace ito {

std::string_view glsl_helper(std::string_view name) {
  for (const GlslFile& file : glsl_files())
    if (file.name == name) return file.text;
  CHECK(false, "no GLSL function " + std::string(name) + " in shaders/lib");
  return {};
}

}  // namespace ito
