// The GLSL functions of shaders/lib, embedded in the binary. Each file holds one function with its
// overloads and stands alone: no function calls another of the library.
#pragma once

#include <span>
#include <string_view>

namespace ito {

struct GlslFile {
  std::string_view name;  // the function's: "ito_erf"
  std::string_view text;
};

// Every function; generated at build time from shaders/lib/*.glsl.
std::span<const GlslFile> glsl_files();

// The complete text of the function of that name; an unknown name is a CHECK.
std::string_view glsl_helper(std::string_view name);

}  // namespace ito
