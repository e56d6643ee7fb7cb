// GLSL to SPIR-V by glslang and SPIRV-Tools: the library with a compiler (ITO_COMPILER).
#include "runtime/vk/glsl_compiler.h"

#include <glslang/Public/ResourceLimits.h>
#include <glslang/Public/ShaderLang.h>
#include <glslang/SPIRV/GlslangToSpv.h>

#include <charconv>
#include <spirv-tools/libspirv.hpp>
#include <spirv-tools/optimizer.hpp>

#include "base/error.h"
#include "runtime/vk/shader_compiler.h"

namespace ito::vk {
namespace {

// Line `number` (from 1) of a text, without leading blanks.
std::string_view line_of(std::string_view text, int number) {
  for (int i = 1; i < number && !text.empty(); ++i) {
    const size_t end = text.find('\n');
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  text = text.substr(0, text.find('\n'));
  const size_t start = text.find_first_not_of(" \t");
  return start == std::string_view::npos ? std::string_view() : text.substr(start);
}

// glslang's log has lines such as "ERROR: 0:12: 'x' : undeclared identifier ".
Error glsl_error(std::string_view name, std::string_view glsl, std::string_view log) {
  std::string_view message = log.substr(0, log.find('\n'));
  int line = 0;
  constexpr std::string_view kPrefix = "ERROR: 0:";
  if (const size_t at = log.find(kPrefix); at != std::string_view::npos) {
    message = log.substr(at + kPrefix.size());
    message = message.substr(0, message.find('\n'));
    const auto [rest, status] =
        std::from_chars(message.data(), message.data() + message.size(), line);
    if (status == std::errc()) message.remove_prefix(static_cast<size_t>(rest - message.data()));
    message.remove_prefix(std::min(message.find_first_not_of(": "), message.size()));
  }
  while (!message.empty() && message.back() == ' ') message.remove_suffix(1);
  if (line == 0) return unsupported("kernel '{}' does not compile: {}", name, message);
  return unsupported("kernel '{}' does not compile: line {}: {}: \"{}\"", name, line, message,
                     line_of(glsl, line));
}

// Whether a module declares an extension that SPIRV-Tools of older systems do not know.
bool newer_than_tools(const Spirv& spirv) {
  constexpr uint32_t kOpExtension = 10;
  constexpr uint32_t kOpMemoryModel = 14;
  for (size_t at = 5; at < spirv.size();) {
    const uint32_t words = spirv[at] >> 16;
    const uint32_t op = spirv[at] & 0xffff;
    if (words == 0 || op == kOpMemoryModel) break;
    if (op == kOpExtension) {
      const std::string_view extension(reinterpret_cast<const char*>(&spirv[at + 1]));
      if (extension.find("cooperative_matrix") != std::string_view::npos ||
          extension.find("bfloat16") != std::string_view::npos ||
          extension.find("tensor_addressing") != std::string_view::npos)
        return true;
    }
    at += words;
  }
  return false;
}

// Where an instruction's memory operands begin, in words; 0: it has none that matter here.
size_t memory_operands(uint32_t op) {
  constexpr uint32_t kLoad = 61, kStore = 62, kMatrixLoad = 4457, kMatrixStore = 4458;
  switch (op) {
    case kLoad:
      return 4;
    case kStore:
      return 3;
    case kMatrixLoad:
      return 6;
    case kMatrixStore:
      return 5;
    default:
      return 0;
  }
}

// Modules with cooperative matrices are in Vulkan's memory model, where glslang makes every access
// of shared memory available to, or visible from, the workgroup by itself: drivers then order each
// against all others, fence by fence. The barriers between writers and readers, which a kernel has
// in any case, say the same once; so the accesses stay shared ("non-private") and say no more.
Spirv without_visibility_of_accesses(const Spirv& spirv) {
  constexpr uint32_t kAligned = 0x2, kMakeAvailable = 0x8, kMakeVisible = 0x10;
  Spirv result(spirv.begin(), spirv.begin() + 5);
  for (size_t at = 5, words = 0; at < spirv.size(); at += words) {
    words = spirv[at] >> 16;
    if (words == 0 || at + words > spirv.size()) return spirv;  // not a module
    const size_t begin = result.size(), mask_at = memory_operands(spirv[at] & 0xffff);
    for (size_t i = 0; i < words; ++i) {
      result.push_back(spirv[at + i]);
      if (mask_at == 0 || i != mask_at) continue;
      const uint32_t mask = spirv[at + i];
      result.back() = mask & ~(kMakeAvailable | kMakeVisible);
      if ((mask & kAligned) != 0) result.push_back(spirv[at + ++i]);
      i += (mask & kMakeAvailable) != 0 ? 1 : 0;
      i += (mask & kMakeVisible) != 0 ? 1 : 0;
    }
    result[begin] = static_cast<uint32_t>(result.size() - begin) << 16 | (spirv[at] & 0xffff);
  }
  return result;
}

void register_cheap_passes(spvtools::Optimizer& optimizer) {
  optimizer.RegisterPass(spvtools::CreateWrapOpKillPass())
      .RegisterPass(spvtools::CreateDeadBranchElimPass())
      .RegisterPass(spvtools::CreateInlineExhaustivePass())
      .RegisterPass(spvtools::CreateEliminateDeadFunctionsPass())
      .RegisterPass(spvtools::CreateScalarReplacementPass(100))
      .RegisterPass(spvtools::CreateLocalMultiStoreElimPass())
      .RegisterPass(spvtools::CreateAggressiveDCEPass());
}

}  // namespace

void start_glsl_compiler() { glslang::InitializeProcess(); }
void stop_glsl_compiler() { glslang::FinalizeProcess(); }

bool can_compile() { return true; }

std::string toolchain_version() {
  const glslang::Version version = glslang::GetVersion();
  return fmt::format("glslang {}.{}.{}, {}", version.major, version.minor, version.patch,
                     spvSoftwareVersionDetailsString());
}

Result<Spirv> compile_glsl(std::string_view name, std::string_view glsl) {
  glslang::TShader shader(EShLangCompute);
  const char* text = glsl.data();
  const int length = static_cast<int>(glsl.size());
  shader.setStringsWithLengths(&text, &length, 1);
  shader.setEnvInput(glslang::EShSourceGlsl, EShLangCompute, glslang::EShClientVulkan, 120);
  shader.setEnvClient(glslang::EShClientVulkan, glslang::EShTargetVulkan_1_2);
  shader.setEnvTarget(glslang::EShTargetSpv, glslang::EShTargetSpv_1_5);
  const auto messages = static_cast<EShMessages>(EShMsgSpvRules | EShMsgVulkanRules);
  if (!shader.parse(GetDefaultResources(), 450, false, messages))
    return glsl_error(name, glsl, shader.getInfoLog());
  glslang::TProgram program;
  program.addShader(&shader);
  if (!program.link(messages)) return glsl_error(name, glsl, program.getInfoLog());
  glslang::SpvOptions options;
  options.disableOptimizer = true;  // SPIRV-Tools are called by optimise_spirv
  Spirv spirv;
  spv::SpvBuildLogger logger;
  glslang::GlslangToSpv(*program.getIntermediate(EShLangCompute), spirv, &logger, &options);
  if (spirv.empty())
    return unsupported("kernel '{}' does not compile: {}", name, logger.getAllMessages());
  return spirv;
}

Result<Spirv> optimise_spirv(std::string_view name, Spirv spirv, SpirvRecipe recipe) {
  if (newer_than_tools(spirv)) return without_visibility_of_accesses(spirv);
  std::string message;
  auto consumer = [&](spv_message_level_t level, const char*, const spv_position_t&,
                      const char* text) {
    if (level <= SPV_MSG_ERROR && message.empty()) message = text;
  };
  if (recipe != SpirvRecipe::kNone) {
    spvtools::Optimizer optimizer(SPV_ENV_VULKAN_1_2);
    optimizer.SetMessageConsumer(consumer);
    register_cheap_passes(optimizer);
    spvtools::OptimizerOptions options;
    options.set_run_validator(false);  // done below, once, on the result
    Spirv optimised;
    if (!optimizer.Run(spirv.data(), spirv.size(), &optimised, options))
      return unsupported("kernel '{}': SPIRV-Tools could not optimise it: {}", name, message);
    spirv = std::move(optimised);
  }
  spvtools::SpirvTools tools(SPV_ENV_VULKAN_1_2);
  tools.SetMessageConsumer(consumer);
  if (!tools.Validate(spirv.data(), spirv.size()))
    return unsupported("kernel '{}' gives invalid SPIR-V: {}", name, message);
  return spirv;
}

}  // namespace ito::vk
