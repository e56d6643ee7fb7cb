#include "apps/bench_roof.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace ito::apps {
namespace {

constexpr const char* kHead =
    "#version 450\n"
    "#extension GL_EXT_buffer_reference : require\n"
    "layout(local_size_x = {}) in;\n"
    "layout(buffer_reference, std430, buffer_reference_align = 4) buffer F32 {{ float v[]; }};\n"
    "layout(push_constant, std430) uniform Push {{\n  F32 a;\n  F32 b;\n}};\n";

BenchCase two_buffers(std::string name, std::string glsl, uint32_t local, uint32_t groups,
                      int64_t in, int64_t out) {
  BenchCase c;
  c.name = name;
  c.by_hand = true;
  Plan& plan = c.plan;
  plan.name = name;
  Kernel kernel;
  kernel.name = std::move(name);
  kernel.glsl = std::move(glsl);
  kernel.local_size = {local, 1, 1};
  kernel.arguments = 2;
  plan.kernels.push_back(std::move(kernel));
  plan.externals = {{"in", ExternalRole::kInput, DType::kF32, Shape{in}, uint64_t(in) * 4},
                    {"out", ExternalRole::kOutput, DType::kF32, Shape{out}, uint64_t(out) * 4}};
  KernelCall call;
  call.arguments = {{BufferSpace::kExternal, 0, 0, uint64_t(in) * 4, DType::kF32},
                    {BufferSpace::kExternal, 1, 0, uint64_t(out) * 4, DType::kF32}};
  call.reads = 0b01;
  call.writes = 0b10;
  call.groups = {groups, 1, 1};
  plan.calls.push_back(std::move(call));
  return c;
}

// One subgroup per workgroup on CPU drivers, several elsewhere.
uint32_t local_size(const DeviceCaps& caps) {
  return caps.is_cpu ? caps.subgroup_size
                     : std::min<uint32_t>(128, caps.max_workgroup_invocations);
}

}  // namespace

BenchCase fma_roof(const DeviceCaps& caps) {
  constexpr int kChains = 16, kRounds = 2048;
  const uint32_t local = local_size(caps);
  const uint32_t groups = caps.is_cpu ? 64 : 4096;
  std::string body = "void main() {\n  float x = a.v[0];\n  float y = a.v[1];\n";
  std::string chain, sum = "0.0";
  for (int k = 0; k < kChains; ++k) {
    body += fmt::format("  float r{0} = float(gl_LocalInvocationID.x + {0}u);\n", k);
    chain += fmt::format("    r{0} = fma(r{0}, x, y);\n", k);
    sum += fmt::format(" + r{}", k);
  }
  body += fmt::format("  for (int i = 0; i < {}; ++i) {{\n{}  }}\n", kRounds, chain);
  body += fmt::format("  b.v[gl_GlobalInvocationID.x] = {};\n}}\n", sum);
  const int64_t lanes = int64_t{local} * groups;
  BenchCase c = two_buffers("roof_fma", fmt::format(fmt::runtime(kHead), local) + body, local,
                            groups, 2, lanes);
  c.flops = 2.0 * kChains * kRounds * static_cast<double>(lanes);
  c.plan.calls[0].flops = static_cast<uint64_t>(c.flops);
  c.plan.calls[0].bytes_written = static_cast<uint64_t>(lanes) * 4;
  return c;
}

BenchCase copy_roof(const DeviceCaps& caps) {
  constexpr int64_t kElements = int64_t{16} << 20;
  constexpr uint32_t kPerLane = 8;
  const uint32_t local = local_size(caps);
  const uint32_t groups = static_cast<uint32_t>(kElements / (int64_t{local} * kPerLane));
  const uint32_t x = std::min(groups, caps.max_groups_x);
  std::string body = fmt::format(
      "void main() {{\n  uint i = gl_WorkGroupID.y * {}u + gl_WorkGroupID.x;\n"
      "  i = i * {}u + gl_LocalInvocationID.x;\n",
      x, local * kPerLane);
  for (uint32_t k = 0; k < kPerLane; ++k)
    body += fmt::format("  b.v[i + {0}u] = a.v[i + {0}u];\n", k * local);
  body += "}\n";
  const uint32_t y = groups / x;
  const int64_t moved = int64_t{x} * y * local * kPerLane;
  BenchCase c = two_buffers("roof_copy", fmt::format(fmt::runtime(kHead), local) + body, local, x,
                            kElements, kElements);
  c.plan.calls[0].groups = {x, y, 1};
  c.bytes = 8.0 * static_cast<double>(moved);
  c.plan.calls[0].bytes_read = c.plan.calls[0].bytes_written = static_cast<uint64_t>(moved) * 4;
  return c;
}

}  // namespace ito::apps
