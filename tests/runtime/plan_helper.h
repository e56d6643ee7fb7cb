// Small hand-written plans for the tests of the runtime. Not for compiled graphs.
#pragma once

#include <string>
#include <vector>

#include "graph/plan.h"

namespace ito::test {

// A kernel over `n` elements, one per invocation. Its arguments are float arrays a, b, c...;
// `body` may use them and the index i.
inline Kernel make_kernel(const std::string& name, uint32_t arguments, uint32_t n,
                          const std::string& body) {
  Kernel kernel;
  kernel.name = name;
  kernel.arguments = arguments;
  kernel.local_size = {32, 1, 1};
  std::string push;
  for (uint32_t i = 0; i < arguments; ++i)
    push += std::string("  F32 ") + static_cast<char>('a' + i) + ";\n";
  kernel.glsl =
      "#version 450\n"
      "#extension GL_EXT_buffer_reference : require\n"
      "layout(local_size_x = 32) in;\n"
      "layout(buffer_reference, std430, buffer_reference_align = 4) buffer F32 { float v[]; };\n"
      "layout(push_constant, std430) uniform Push {\n" +
      push +
      "};\n"
      "void main() {\n"
      "  uint i = gl_GlobalInvocationID.x;\n"
      "  if (i >= " +
      std::to_string(n) +
      "u) return;\n"
      "  " +
      body + "\n}\n";
  return kernel;
}

inline External make_external(const std::string& name, ExternalRole role, int64_t n) {
  return {name, role, DType::kF32, Shape{n}, static_cast<uint64_t>(n) * 4};
}

inline BufferRange external_range(uint32_t index, int64_t n) {
  return {BufferSpace::kExternal, index, 0, static_cast<uint64_t>(n) * 4};
}
inline BufferRange arena_range(uint64_t offset, int64_t n) {
  return {BufferSpace::kArena, 0, offset, static_cast<uint64_t>(n) * 4};
}
inline BufferRange constant_range(uint64_t offset, int64_t n) {
  return {BufferSpace::kConstant, 0, offset, static_cast<uint64_t>(n) * 4};
}

inline KernelCall make_call(uint32_t kernel, std::vector<BufferRange> arguments, uint32_t reads,
                            uint32_t writes, int64_t n, bool barrier, const std::string& label) {
  KernelCall call;
  call.kernel = kernel;
  call.arguments = std::move(arguments);
  call.reads = reads;
  call.writes = writes;
  call.groups = {static_cast<uint32_t>((n + 31) / 32), 1, 1};
  call.barrier_before = barrier;
  call.label = label;
  return call;
}

// c = a + b.
inline Plan add_plan(int64_t n) {
  Plan plan;
  plan.name = "add";
  plan.kernels = {make_kernel("add", 3, static_cast<uint32_t>(n), "c.v[i] = a.v[i] + b.v[i];")};
  plan.externals = {make_external("a", ExternalRole::kInput, n),
                    make_external("b", ExternalRole::kInput, n),
                    make_external("c", ExternalRole::kOutput, n)};
  plan.calls = {make_call(0, {external_range(0, n), external_range(1, n), external_range(2, n)},
                          0b011, 0b100, n, false, "c = a + b")};
  return plan;
}

// state = state + x, in place.
inline Plan accumulate_plan(int64_t n) {
  Plan plan;
  plan.name = "accumulate";
  plan.kernels = {make_kernel("accumulate", 2, static_cast<uint32_t>(n), "a.v[i] += b.v[i];")};
  plan.externals = {make_external("state", ExternalRole::kState, n),
                    make_external("x", ExternalRole::kInput, n)};
  plan.calls = {make_call(0, {external_range(0, n), external_range(1, n)}, 0b11, 0b01, n, true,
                          "state += x")};
  return plan;
}

// y = 2 x through a chain of `length` calls in the arena that reverse the array each time, so that
// every call needs all of what the one before wrote.
inline Plan chain_plan(int64_t n, int length) {
  Plan plan;
  plan.name = "chain";
  const std::string last = std::to_string(n - 1) + "u";
  plan.kernels = {
      make_kernel("reverse", 2, static_cast<uint32_t>(n), "b.v[i] = a.v[" + last + " - i] + 1.0;")};
  plan.externals = {make_external("x", ExternalRole::kInput, n),
                    make_external("y", ExternalRole::kOutput, n)};
  const uint64_t bytes = (static_cast<uint64_t>(n) * 4 + 255) / 256 * 256;
  plan.arena_size = 2 * bytes;
  BufferRange from = external_range(0, n);
  for (int k = 0; k < length; ++k) {
    const BufferRange to = k + 1 == length ? external_range(1, n) : arena_range(bytes * (k % 2), n);
    plan.calls.push_back(
        make_call(0, {from, to}, 0b01, 0b10, n, k > 0, "reverse " + std::to_string(k)));
    from = to;
  }
  return plan;
}

}  // namespace ito::test
