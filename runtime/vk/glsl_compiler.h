// What the compilers of kernels need around them in a process. can_compile, compile_glsl,
// optimise_spirv and toolchain_version (shader_compiler.h) are theirs: of glslang and SPIRV-Tools
// in glsl_compiler.cpp, and in a library without them (ITO_COMPILER=OFF) in without_compiler.cpp.
#pragma once

namespace ito::vk {

// Counted: each call is paired with one of stop_glsl_compiler. From any thread.
void start_glsl_compiler();
void stop_glsl_compiler();

}  // namespace ito::vk
