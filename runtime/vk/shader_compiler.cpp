#include "runtime/vk/shader_compiler.h"

#include <array>
#include <cstring>

#include "runtime/vk/glsl_compiler.h"

namespace ito::vk {
namespace {

// Part of each cache key: change it when a recipe's passes change.
std::string_view recipe_name(SpirvRecipe recipe) {
  switch (recipe) {
    case SpirvRecipe::kNone:
      return "recipe none";
    case SpirvRecipe::kCheap:
      return "recipe cheap 1";
  }
  return "";
}

}  // namespace

SpirvRecipe recipe_for(const DeviceCaps& caps) {
  return caps.is_cpu ? SpirvRecipe::kNone : SpirvRecipe::kCheap;
}

ShaderCompiler::ShaderCompiler(const Context& context, const std::string& cache_dir, Packs packs)
    : context_(context),
      packs_(std::move(packs)),
      cache_(cache_dir.empty() || !can_compile() ? "" : cache_dir + "/shaders"),
      recipe_(recipe_for(context.caps)) {
  start_glsl_compiler();
  version_ = toolchain_version();
}

ShaderCompiler::~ShaderCompiler() { stop_glsl_compiler(); }

CacheKey ShaderCompiler::key(std::string_view glsl) const {
  const std::array<std::string_view, 3> parts = {glsl, version_, recipe_name(recipe_)};
  return cache_key(parts);
}

std::string ShaderCompiler::cache_path(std::string_view glsl) const {
  return cache_.path(key(glsl));
}

bool ShaderCompiler::is_packed(std::string_view glsl) const {
  return find_kernel(packs_, kernel_key(glsl)) != nullptr;
}

bool ShaderCompiler::is_kept(std::string_view glsl) const {
  return is_packed(glsl) || cache_.has(key(glsl));
}

Result<Spirv> ShaderCompiler::compile(std::string_view name, std::string_view glsl) const {
  constexpr uint32_t kSpirvMagic = 0x07230203;
  if (!packs_.empty()) {
    if (const PackedKernel* kernel = find_kernel(packs_, kernel_key(glsl))) {
      ++context_.counters.packed_kernels;
      return kernel->spirv;
    }
  }
  if (!can_compile()) return compile_glsl(name, glsl);  // whose error says so
  const CacheKey cache_key = key(glsl);
  if (auto data = cache_.load(cache_key); data && data->size() % sizeof(uint32_t) == 0) {
    Spirv spirv(data->size() / sizeof(uint32_t));
    std::memcpy(spirv.data(), data->data(), data->size());
    if (!spirv.empty() && spirv[0] == kSpirvMagic) {
      ++context_.counters.shader_cache_hits;
      return spirv;
    }
  }
  ++context_.counters.glsl_compilations;
  ITO_ASSIGN(Spirv spirv, compile_glsl(name, glsl));
  ITO_ASSIGN(spirv, optimise_spirv(name, std::move(spirv), recipe_));
  cache_.store(cache_key, std::as_bytes(std::span(spirv)));
  return spirv;
}

}  // namespace ito::vk
