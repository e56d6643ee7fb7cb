// The library without a compiler (ITO_COMPILER=OFF): kernels come from packs, and an error says so.
#include "base/error.h"
#include "runtime/vk/glsl_compiler.h"
#include "runtime/vk/shader_compiler.h"

namespace ito::vk {

bool can_compile() { return false; }

void start_glsl_compiler() {}
void stop_glsl_compiler() {}

std::string toolchain_version() { return "no compiler"; }

Result<Spirv> compile_glsl(std::string_view name, std::string_view) {
  return unsupported(
      "kernel '{}' is in no pack that was given, and this library has no compiler (it was built "
      "with "
      "-DITO_COMPILER=OFF)",
      name);
}

Result<Spirv> optimise_spirv(std::string_view, Spirv spirv, SpirvRecipe) { return spirv; }

}  // namespace ito::vk
