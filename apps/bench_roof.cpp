#include "apps/bench_roof.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace ito::apps {
namespace {

constexpr const char* kHead =
    "#version 450\n"
    "#extension GL_EXT_buffer_reference : require\n"
    "#extension GL_KHR_shader_subgroup_basic : require\n"
    "layout(local_size_x = {}) in;\n"
    "layout(buffer_reference, std430, buffer_reference_align = {}) buffer Block {{ {} v[]; }};\n"
    "layout(push_constant, std430) uniform Push {{\n  Block a;\n  Block b;\n}};\n";

// One subgroup per workgroup on CPU drivers, several elsewhere.
uint32_t local_size(const DeviceCaps& caps) {
  return caps.is_cpu ? caps.subgroup_size : std::min<uint32_t>(128, caps.max_workgroup_invocations);
}

BenchCase two_buffers(const char* roof, std::string shape, const std::string& body,
                      const DeviceCaps& caps, uint32_t groups, int64_t in, int64_t out,
                      int components = 1) {
  BenchCase c;
  c.name = roof;
  c.shape = std::move(shape);
  c.by_hand = true;
  Plan& plan = c.plan;
  plan.name = c.name;
  Kernel kernel;
  kernel.name = c.name;
  kernel.glsl = fmt::format(fmt::runtime(kHead), local_size(caps), 4 * components,
                            components == 4 ? "vec4" : "float") +
                body;
  kernel.local_size = {local_size(caps), 1, 1};
  if (caps.is_cpu && caps.subgroup_size > 1) kernel.required_subgroup_size = caps.subgroup_size;
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

// A CPU driver carries every variable of a loop through a select by lane mask, so the loop body is
// long; and its compiler reorders long bodies with many chains until they spill, so there are few.
BenchCase fma_shape(const DeviceCaps& caps, int chains, int unroll) {
  constexpr int kSteps = 16384;
  const int rounds = kSteps / unroll;
  const uint32_t groups = caps.is_cpu ? 64 : 4096;
  std::string body = "void main() {\n  float x = a.v[0];\n  float y = a.v[1];\n";
  std::string step, sum = "0.0";
  for (int k = 0; k < chains; ++k) {
    body += fmt::format("  float r{0} = float(gl_LocalInvocationID.x + {0}u);\n", k);
    step += fmt::format("    r{0} = fma(r{0}, x, y);\n", k);
    sum += fmt::format(" + r{}", k);
  }
  // gl_NumWorkGroups.z is 1: a bound that the driver does not know (graph/kernels/contract).
  body += fmt::format("  for (uint i = 0u, n = {}u * gl_NumWorkGroups.z; i < n; ++i) {{\n", rounds);
  for (int u = 0; u < unroll; ++u) body += step;
  body += fmt::format("  }}\n  b.v[gl_GlobalInvocationID.x] = {};\n}}\n", sum);
  const int64_t lanes = int64_t{local_size(caps)} * groups;
  BenchCase c = two_buffers("roof_fma", fmt::format("{} chains, unrolled {}", chains, unroll), body,
                            caps, groups, 2, lanes);
  c.flops = 2.0 * chains * unroll * rounds * static_cast<double>(lanes);
  c.plan.calls[0].flops = static_cast<uint64_t>(c.flops);
  c.plan.calls[0].bytes_written = static_cast<uint64_t>(lanes) * 4;
  return c;
}

constexpr int64_t kCopied = int64_t{8} << 20;  // elements: twice 32 MiB, more than caches hold

BenchCase copy_case(const DeviceCaps& caps, std::string shape, const std::string& body,
                    uint32_t groups, int components) {
  BenchCase c =
      two_buffers("roof_copy", std::move(shape), body, caps, groups, kCopied, kCopied, components);
  c.bytes = 8.0 * static_cast<double>(kCopied);
  c.plan.calls[0].bytes_read = c.plan.calls[0].bytes_written = uint64_t{kCopied} * 4;
  return c;
}

// Workgroup g copies a range of its own, `per_lane` subgroup-strided values in each turn. Every
// value is a uniform load per lane, selected by the lane, which the driver folds into one vector
// load (decision 5).
BenchCase copy_by_lanes(const DeviceCaps& caps, uint32_t per_lane) {
  constexpr uint32_t kGroups = 64;
  const uint32_t lanes = caps.subgroup_size;
  const int64_t turns = kCopied / (int64_t{kGroups} * per_lane * lanes);
  std::string body = "void main() {\n  uint lane = gl_SubgroupInvocationID;\n";
  for (uint32_t l = 1; l < lanes; ++l) body += fmt::format("  bool is{0} = lane == {0}u;\n", l);
  body += fmt::format(
      "  for (uint turn = 0u, n = {0}u * gl_NumWorkGroups.z; turn < n; ++turn) {{\n"
      "    uint at = ((gl_WorkGroupID.x * {0}u + min(turn, {1}u)) * {2}u) & 0x3fffffffu;\n",
      turns, turns - 1, per_lane * lanes);
  for (uint32_t k = 0; k < per_lane; ++k) {
    body += fmt::format("    float x{} = a.v[at + {}u];\n", k, k * lanes);
    for (uint32_t l = 1; l < lanes; ++l)
      body += fmt::format("    x{0} = mix(x{0}, a.v[at + {1}u], is{2});\n", k, k * lanes + l, l);
  }
  for (uint32_t k = 0; k < per_lane; ++k)
    body += fmt::format("    b.v[at + {}u + lane] = x{};\n", k * lanes, k);
  body += "  }\n}\n";
  return copy_case(caps, fmt::format("{} vectors per turn", per_lane), body, kGroups, 1);
}

// Every invocation moves `per_lane` values that lie one workgroup apart.
BenchCase copy_strided(const DeviceCaps& caps, uint32_t per_lane, int components) {
  const uint32_t local = local_size(caps);
  const int64_t moves = kCopied / (int64_t{local} * per_lane * components);
  const auto groups = static_cast<uint32_t>(std::min<int64_t>(moves, caps.is_cpu ? 64 : 16384));
  std::string body = fmt::format(
      "void main() {{\n  for (uint block = gl_WorkGroupID.x; block < {}u; block += {}u) {{\n"
      "    uint i = block * {}u + gl_LocalInvocationID.x;\n",
      moves, groups, local * per_lane);
  for (uint32_t k = 0; k < per_lane; ++k)
    body += fmt::format("    b.v[i + {0}u] = a.v[i + {0}u];\n", k * local);
  body += "  }\n}\n";
  return copy_case(
      caps, fmt::format("{} {} per invocation", per_lane, components == 4 ? "vec4" : "floats"),
      body, groups, components);
}

}  // namespace

std::vector<BenchCase> fma_roof(const DeviceCaps& caps) {
  std::vector<BenchCase> shapes;
  for (const auto& [chains, unroll] : {std::pair{8, 32}, {12, 8}, {12, 32}, {16, 8}})
    shapes.push_back(fma_shape(caps, chains, unroll));
  return shapes;
}

std::vector<BenchCase> copy_roof(const DeviceCaps& caps) {
  std::vector<BenchCase> shapes;
  shapes.push_back(copy_strided(caps, 8, 1));
  if (caps.is_cpu && kCopied % (int64_t{64} * 32 * caps.subgroup_size) == 0) {
    shapes.push_back(copy_by_lanes(caps, 8));
    shapes.push_back(copy_by_lanes(caps, 32));
  } else {
    shapes.push_back(copy_strided(caps, 4, 4));
  }
  return shapes;
}

}  // namespace ito::apps
