// ShaderCompiler: GLSL text to SPIR-V 1.5 for Vulkan 1.2: from the device's packs, else, where
// the library has a compiler, from a disk cache or compiled in this process.
// Optimised and validated by SPIRV-Tools, except modules newer than the tools know (cooperative
// matrices), which pass through as glslang wrote them. Safe from any thread.
// Not for pipelines (pipeline.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/kernel_pack.h"
#include "base/result.h"
#include "runtime/vk/context.h"
#include "runtime/vk/disk_cache.h"

namespace ito::vk {

using Spirv = std::vector<uint32_t>;

// How hard SPIRV-Tools works on a module. Measured on lavapipe
// (docs/decisions/0004-spirv-recipe.md): no recipe changes a kernel's speed, and each costs several
// times what glslang does; so CPU drivers get kNone.
enum class SpirvRecipe : uint8_t {
  kNone,   // glslang's output
  kCheap,  // what later compilers cannot undo cheaply: inlining, local variables to registers
};

// What a device of these capabilities gets.
SpirvRecipe recipe_for(const DeviceCaps& caps);

// Whether this library has a compiler (ITO_COMPILER); without one, kernels come from packs only.
bool can_compile();

// glslang alone. Errors name the kernel and give the first message of glslang with its line of
// text.
Result<Spirv> compile_glsl(std::string_view name, std::string_view glsl);

// Optimises, then validates. A module the tools reject is our bug or glslang's: the error says so.
Result<Spirv> optimise_spirv(std::string_view name, Spirv spirv, SpirvRecipe recipe);

// "glslang 15.1.0, SPIRV-Tools v2023.1 ...": part of each cache key.
std::string toolchain_version();

class ShaderCompiler {
 public:
  // Entries go to `cache_dir`/shaders; empty: no disk cache.
  ShaderCompiler(const Context& context, const std::string& cache_dir, Packs packs);
  ~ShaderCompiler();
  ShaderCompiler(const ShaderCompiler&) = delete;
  ShaderCompiler& operator=(const ShaderCompiler&) = delete;

  Result<Spirv> compile(std::string_view name, std::string_view glsl) const;
  // Whether one of the packs has it.
  bool is_packed(std::string_view glsl) const;
  // Whether a pack or the folder has it, so that compile() need not.
  bool is_kept(std::string_view glsl) const;
  // The cache file a text is kept in.
  std::string cache_path(std::string_view glsl) const;

 private:
  CacheKey key(std::string_view glsl) const;

  const Context& context_;
  Packs packs_;
  DiskCache cache_;
  SpirvRecipe recipe_;
  std::string version_;
};

}  // namespace ito::vk
