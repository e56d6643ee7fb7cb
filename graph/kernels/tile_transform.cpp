#include "graph/kernels/tile_transform.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/integer.h"
#include "graph/kernels/contract_blocks.h"
#include "graph/kernels/glsl_text.h"
#include "graph/kernels/lanes.h"

namespace ito {
namespace {

using Attr = TileTransformAttr;

// Workgroups that a CPU driver is given, about; invocations of one on a GPU.
constexpr int64_t kTransformGroups = 64;
constexpr uint32_t kTransformInvocations = 64;
// Of a CPU, in cycles: a turn of the loop, a vector stored and one loaded.
constexpr double kTurnCycles = 60, kStoreCycles = 40, kLoadCycles = 3;

uint32_t lanes_of(const DeviceCaps& caps) {
  return caps.is_cpu ? std::max<uint32_t>(1, caps.subgroup_size) : 1;
}

// The dim that neighbouring lanes or invocations walk along: one whose elements are neighbours in
// the input, and better in the result, too.
size_t lane_dim(const Attr& attr) {
  size_t best = 0;
  int most = -1;
  for (size_t d = 0; d < attr.dims.size(); ++d) {
    const int score = (attr.dims[d].in == 1 ? 2 : 0) + (attr.dims[d].out == 1 ? 1 : 0);
    if (score < most) continue;
    most = score;
    best = d;
  }
  return best;
}

struct Walk {
  int64_t lane_total = 1;  // elements along the lane dim
  int64_t lane_tiles = 1;  // vectors of lanes along it
  int64_t items = 1;       // vectors in all; on a GPU, invocations
  int64_t turns = 1;       // vectors of one workgroup
  int64_t groups = 1;
};

Walk walk_of(const Attr& attr, const DeviceCaps& caps) {
  const int64_t lanes = lanes_of(caps);
  Walk walk;
  walk.lane_total = attr.dims[lane_dim(attr)].size;
  walk.lane_tiles = ceil_div(walk.lane_total, lanes);
  walk.items = walk.lane_tiles;
  for (size_t d = 0; d < attr.dims.size(); ++d)
    if (d != lane_dim(attr)) walk.items *= attr.dims[d].size;
  if (!caps.is_cpu) {
    walk.groups = ceil_div(walk.items, int64_t{kTransformInvocations});
    return walk;
  }
  const int64_t share = std::max<int64_t>(1, walk.items / kTransformGroups);
  walk.turns = share;
  for (int64_t turns = share; turns * 2 > share; --turns) {  // equal shares, if there are some
    if (walk.items % turns != 0) continue;
    walk.turns = turns;
    break;
  }
  walk.groups = ceil_div(walk.items, walk.turns);
  return walk;
}

class TransformEmitter : KernelBody {
 public:
  TransformEmitter(KernelWriter& writer, const Attr& attr, const std::string& in,
                   const std::string& store, const DeviceCaps& caps)
      : writer_(writer),
        attr_(attr),
        in_(in),
        store_(store),
        lanes_(lanes_of(caps)),
        cpu_(caps.is_cpu),
        lane_(lane_dim(attr)),
        stores_lanes_(transform_stores_lanes(attr, caps)),
        walk_(walk_of(attr, caps)) {}

  const Walk& walk() const { return walk_; }

  std::string body(std::array<uint32_t, 3> groups) {
    line("uint group = gl_WorkGroupID.x{};",
         groups[1] > 1 ? fmt::format(" + gl_WorkGroupID.y * {}u", groups[0]) : "");
    cpu_ ? cpu_items(groups) : gpu_items();
    addresses();
    columns();
    results();
    line("}}");
    return std::move(text_);
  }

 private:
  // One vector of lanes in each turn of a loop. A CPU driver runs the body once more with all lanes
  // off, in which uniform loads still happen: hence min().
  void cpu_items(std::array<uint32_t, 3> groups) {
    for (const std::string& text : lane_declarations(writer_, lanes_)) line("{}", text);
    line("for (uint u = 0u; u < {}u; ++u) {{", walk_.turns);
    line("uint turn = group * {}u + u;", walk_.turns);
    line("uint item = min(turn, {}u);", walk_.items - 1);
    const int64_t whole = walk_.turns * static_cast<int64_t>(groups[0]) * groups[1];
    if (whole != walk_.items) guards_.emplace_back("turn == item");
    line("uint lane_start = (item % {0}u) * {1}u; item /= {0}u;", walk_.lane_tiles, lanes_);
    const LaneIndex index = lane_index(walk_.lane_total, lanes_);
    for (const std::string& text : index.lines) line("{}", text);
    if (index.guarded) guards_.emplace_back("lane_owned");
    indices();
  }

  // One tile for each invocation.
  void gpu_items() {
    line("uint turn = group * {}u + gl_LocalInvocationID.x;", kTransformInvocations);
    line("if (turn < {}u) {{", walk_.items);
    line("const uint lane = 0u;");
    line("uint item = turn;");
    line("uint lane_index = item % {0}u; item /= {0}u;", walk_.lane_total);
    line("uint lane_start = lane_index;");
    indices();
  }

  void indices() {
    for (size_t d = attr_.dims.size(); d-- > 0;) {
      if (d == lane_) continue;
      line("uint i{0} = item % {1}u; item /= {1}u;", d, attr_.dims[d].size);
    }
  }

  void addresses() {
    std::string in = unsigned_literal(attr_.in_offset), out = "0u";
    int64_t in_last = attr_.in_offset, out_last = 0;
    for (size_t d = 0; d < attr_.dims.size(); ++d) {
      const Attr::Dim& dim = attr_.dims[d];
      in_last += (dim.size - 1) * dim.in;
      out_last += (dim.size - 1) * dim.out;
      if (d == lane_) continue;
      in += plus_scaled(fmt::format("i{}", d), dim.in);
      out += plus_scaled(fmt::format("i{}", d), dim.out);
    }
    for (const int64_t step : attr_.in_step)
      in_last += std::max<int64_t>(0, step * (attr_.taps - 1));
    for (const int64_t step : attr_.out_step) out_last += step * (attr_.rows - 1);
    const Attr::Dim& lane = attr_.dims[lane_];
    gathers_ = lanes_ > 1 && lane.in > 1;
    line("uint at = ({}{}){};", in, plus_scaled(gathers_ ? "lane_index" : "lane_start", lane.in),
         address_mask(in_last));
    line("uint o = ({}{}){};", out, plus_scaled("lane_index", lane.out), address_mask(out_last));
    line("uint o_base = ({}{}){};", out,
         plus_scaled(stores_lanes_ ? "lane_start" : "lane_index", lane.out),
         address_mask(out_last));
  }

  // As in contract_registers: the lane is a constant vector inside a CPU driver, so that loads
  // picked by it are one.
  void load(const std::string& value, int64_t offset) {
    const auto at = [&](int64_t more) {
      return writer_.load(in_, "at" + plus_offset(offset + more));
    };
    line("float {} = {};", value, at(0));
    if (gathers_ || attr_.dims[lane_].in == 0) return;
    for (int64_t l = 1; l < lanes_ && l < walk_.lane_total; ++l)
      line("{0} = mix({0}, {1}, is_lane{2});", value, at(l), l);
  }

  // Row `row` of the matrix times the values that `name` gives for each tap.
  template <typename Name>
  std::string product(int64_t row, Name name) const {
    std::string sum;
    for (int64_t i = 0; i < attr_.taps; ++i) {
      const double c = attr_.matrix[static_cast<size_t>(row * attr_.taps + i)];
      if (c == 0) continue;
      const std::string size = glsl_literal(DType::kF32, std::abs(c));
      const std::string term = std::abs(c) == 1 ? name(i) : fmt::format("{} * {}", size, name(i));
      if (sum.empty())
        sum = c < 0 ? "-" + term : term;
      else
        sum += (c < 0 ? " - " : " + ") + term;
    }
    return sum.empty() ? "0.0" : sum;
  }

  // Column by column, so that few values are alive.
  void columns() {
    for (int64_t j = 0; j < attr_.taps; ++j) {
      for (int64_t i = 0; i < attr_.taps; ++i)
        load(fmt::format("x{}_{}", i, j), i * attr_.in_step[0] + j * attr_.in_step[1]);
      for (int64_t p = 0; p < attr_.rows; ++p)
        line("float t{}_{} = {};", p, j,
             product(p, [&](int64_t i) { return fmt::format("x{}_{}", i, j); }));
    }
  }

  void results() {
    if (!guards_.empty()) line("if ({}) {{", fmt::join(guards_, " && "));
    for (int64_t p = 0; p < attr_.rows; ++p)
      for (int64_t q = 0; q < attr_.rows; ++q)
        line("{0}(o{1}, o_base{1}, lane, {2});", store_,
             plus_offset(p * attr_.out_step[0] + q * attr_.out_step[1]),
             product(q, [&](int64_t j) { return fmt::format("t{}_{}", p, j); }));
    if (!guards_.empty()) line("}}");
  }

  KernelWriter& writer_;
  const Attr& attr_;
  const std::string &in_, &store_;
  const int64_t lanes_;
  const bool cpu_;
  const size_t lane_;
  const bool stores_lanes_;
  const Walk walk_;
  bool gathers_ = false;
  std::vector<std::string> guards_;
};

}  // namespace

bool transform_stores_lanes(const TileTransformAttr& attr, const DeviceCaps& caps) {
  const int64_t lanes = lanes_of(caps);
  if (lanes < 2 || attr.dims.empty()) return false;
  const Attr::Dim& lane = attr.dims[lane_dim(attr)];
  const auto aligned = [&](int64_t stride) { return stride % lanes == 0; };
  bool all = lane.out == 1 && lane.size % lanes == 0 && aligned(attr.out_step[0]) &&
             aligned(attr.out_step[1]);
  for (size_t d = 0; d < attr.dims.size(); ++d)
    all &= d == lane_dim(attr) || attr.dims[d].size == 1 || aligned(attr.dims[d].out);
  return all;
}

double transform_cycles(const TileTransformAttr& attr, const DeviceCaps& caps) {
  const auto stores = static_cast<double>(attr.rows * attr.rows);
  const auto loads = static_cast<double>(attr.taps * attr.taps);
  const double additions = static_cast<double>(attr.rows * attr.taps * (attr.rows + attr.taps)) / 2;
  return static_cast<double>(walk_of(attr, caps).items) *
         (kTurnCycles + stores * kStoreCycles + loads * kLoadCycles + additions);
}

GridKernel emit_tile_transform(KernelWriter& writer, const std::string& name,
                               const TileTransformAttr& attr, const std::string& in,
                               const std::string& store, const DeviceCaps& caps) {
  TileTransformAttr whole = attr;
  if (whole.dims.empty()) whole.dims.push_back({});
  TransformEmitter emitter(writer, whole, in, store, caps);
  GridKernel result;
  result.groups = grid_of(emitter.walk().groups, caps);
  const std::string body = emitter.body(result.groups);
  const uint32_t invocations = caps.is_cpu ? lanes_of(caps) : kTransformInvocations;
  result.kernel = writer.finish(name, {invocations, 1, 1}, body);
  if (caps.is_cpu && invocations > 1) result.kernel.required_subgroup_size = invocations;
  return result;
}

}  // namespace ito
