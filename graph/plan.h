// Plan: a compiled program as plain data. An ordered list of kernel calls with their GLSL text,
// buffer ranges, group counts and barriers. The graph side writes it, the runtime executes it;
// nothing else passes between them. Holds no Vulkan type and no tensor.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"

namespace ito {

// Where a kernel argument lives.
enum class BufferSpace : uint8_t {
  kArena,     // the program's one scratch arena; `buffer` is 0
  kConstant,  // Plan::constants, uploaded once; `buffer` is 0
  kExternal,  // Plan::externals[buffer]
};

struct BufferRange {
  BufferSpace space = BufferSpace::kArena;
  uint32_t buffer = 0;
  uint64_t offset = 0;  // bytes; a multiple of 16, except views into externals (multiple of 4)
  uint64_t size = 0;    // bytes the kernel may touch
  DType dtype = DType::kF32;  // of its elements; only the watchdog asks

  bool operator==(const BufferRange&) const = default;
};

// What an external buffer is to the program.
enum class ExternalRole : uint8_t {
  kInput,   // read only: parameters, batches, tables
  kOutput,  // written only
  kState,   // donated: read, and replaced in place by the program
};

// A buffer that outlives one replay and that the host can read, write or bind.
struct External {
  std::string name;
  ExternalRole role = ExternalRole::kInput;
  DType dtype = DType::kF32;
  Shape shape;
  uint64_t size = 0;  // bytes
};

// One compute shader. Addresses of the arguments arrive in push constants, in order, 8 bytes each:
//   layout(push_constant, std430) uniform Push { uvec2-sized buffer references } ...
// The text is complete GLSL 4.50 for Vulkan 1.2 with GL_EXT_buffer_reference, `main` as the entry,
// local_size given in the text.
struct Kernel {
  std::string name;  // readable: archetype and what was fused, e.g. "map_silu_mul"
  std::string glsl;
  std::array<uint32_t, 3> local_size = {1, 1, 1};
  uint32_t arguments = 0;               // number of addresses, at most kMaxKernelArguments
  uint32_t required_subgroup_size = 0;  // 0: any
  bool uses_cooperative_matrix = false;
  bool uses_float16 = false;        // arithmetic with 16-bit floats, conversions of them included
  bool uses_16bit_storage = false;  // loads and stores of 16 bits
};

// 128 bytes of push constants are guaranteed: 16 addresses. One is kept for the runtime.
inline constexpr uint32_t kMaxKernelArguments = 15;

struct KernelCall {
  uint32_t kernel = 0;  // index into Plan::kernels
  std::vector<BufferRange> arguments;
  // Empty: the addresses of the arguments are pushed. Else they lie in memory that the runtime
  // keeps, 8 bytes each, and what is pushed are the addresses of tables in it: that of argument
  // tables[0], of tables[1] and so on.
  std::vector<uint32_t> tables;
  uint64_t reads = 0;   // bit i: argument i is read
  uint64_t writes = 0;  // bit i: argument i is written
  std::array<uint32_t, 3> groups = {1, 1, 1};
  bool barrier_before = false;  // must see all writes of the calls before it
  // For inspect and the profiler; what the call does at least.
  std::string label;       // what it computes, e.g. "down_blocks.0.resnets.0.conv1"
  std::string expression;  // the fused expression in text form
  uint64_t flops = 0;
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
};

struct Plan {
  std::string name;
  std::vector<Kernel> kernels;
  std::vector<KernelCall> calls;
  std::vector<External> externals;
  std::vector<uint8_t> constants;  // one blob; ranges of BufferSpace::kConstant point into it
  // The first so many calls depend on parameters and constants alone: they need to run again only
  // when parameters have changed. What others read of their results, nothing else overwrites.
  uint32_t prologue = 0;
  uint64_t arena_size = 0;  // bytes of scratch
  uint64_t kept_bytes = 0;  // of these, what the prologue leaves to other calls
  // No range of the arena crosses a multiple of this many bytes, so that it may lie in pieces; 0:
  // it is one piece.
  uint64_t arena_piece = 0;
  uint64_t ideal_bytes = 0;  // each tensor of the unfused program touched once
  // What the mathematics asks for; calls may take fewer (Winograd) or more (recomputation). 0 for
  // plans that were not compiled.
  uint64_t ideal_flops = 0;

  // Index of the external of that name, or -1.
  int find_external(std::string_view name) const {
    for (size_t i = 0; i < externals.size(); ++i)
      if (externals[i].name == name) return static_cast<int>(i);
    return -1;
  }
};

}  // namespace ito
