#include "graph/kernels/contract_registers.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/integer.h"
#include "graph/kernels/contract_blocks.h"
#include "graph/kernels/glsl_text.h"
#include "graph/kernels/lanes.h"

namespace ito {
namespace {

using Dim = ContractAttr::Dim;

// Offsets (in a stride's elements) of every point of a small box, first dim outermost.
struct Box {
  std::vector<size_t> dims;
  std::vector<int64_t> sizes;

  int64_t count() const {
    int64_t n = 1;
    for (int64_t s : sizes) n *= s;
    return n;
  }
  // Index along dims[i] of point p.
  int64_t index(int64_t p, size_t i) const {
    for (size_t j = dims.size(); j-- > i + 1;) p /= sizes[j];
    return p % sizes[i];
  }
  int64_t offset(const ContractAttr& attr, int64_t p, int64_t Dim::*stride) const {
    int64_t sum = 0;
    for (size_t i = 0; i < dims.size(); ++i) sum += index(p, i) * (attr.dims[dims[i]].*stride);
    return sum;
  }
};

// Largest element index an operand reaches.
int64_t last_address(const ContractAttr& attr, int64_t offset, int64_t Dim::*stride) {
  for (const Dim& dim : attr.dims) offset += std::max<int64_t>(0, (dim.size - 1) * (dim.*stride));
  return offset;
}

class RegisterEmitter : KernelBody {
 public:
  RegisterEmitter(KernelWriter& writer, const ContractAttr& attr, const RegisterTiling& tiling,
                  const std::string& a, const std::string& b, const std::string& store,
                  const DeviceCaps& caps)
      : writer_(writer), attr_(attr), tiling_(tiling), store_(store) {
    lanes_ = std::max<uint32_t>(1, caps.subgroup_size);
    a_ = {a, "a", tiling.a, &Dim::a, {}, attr.a_offset};
    b_ = {b, "b", tiling.b, &Dim::b, {}, attr.b_offset};
    for (size_t d = 0; d < attr.dims.size(); ++d) {
      const Dim& dim = attr.dims[d];
      if (dim.reduced() || is_lane(d) || tiling.tile[d] == 1) continue;
      Box& rows = dim.a != 0 ? a_.rows : b_.rows;
      rows.dims.push_back(d);
      rows.sizes.push_back(tiling.tile[d]);
    }
  }

  std::string body() {
    grid();
    lanes();
    for (Operand* operand : {&a_, &b_}) base(*operand);
    accumulators();
    loop();
    results();
    return std::move(text_);
  }

  // What lies beyond the last tile repeats it without storing.
  std::array<uint32_t, 3> groups(const DeviceCaps& caps) const {
    return grid_of(tiling_.tiles, caps);
  }

  // Must be told before body() how wide the grid is.
  void set_groups(std::array<uint32_t, 3> groups) { groups_ = groups; }

 private:
  struct Operand {
    std::string name;    // kernel argument
    std::string letter;  // prefix of its variables
    LaneAccess access = LaneAccess::kUniform;
    int64_t Dim::*stride = nullptr;
    Box rows;
    int64_t start = 0;
  };

  bool is_lane(size_t d) const {
    return std::find(tiling_.lane_dims.begin(), tiling_.lane_dims.end(), static_cast<int>(d)) !=
           tiling_.lane_dims.end();
  }

  // Decodes the workgroup into the start of each output dim's tile. A tile that would cross the
  // end is moved back; `min_d` is the first index that it owns.
  void grid() {
    line("uint group = gl_WorkGroupID.x{};",
         groups_[1] > 1 ? fmt::format(" + gl_WorkGroupID.y * {}u", groups_[0]) : "");
    if (static_cast<int64_t>(groups_[0]) * groups_[1] != tiling_.tiles) {
      line("bool surplus = group >= {}u;", tiling_.tiles);
      line("group = min(group, {}u);", tiling_.tiles - 1);
      guards_.push_back("!surplus");
    }
    const int64_t lane_tiles = ceil_div(tiling_.lane_total, lanes_);
    const int64_t chunk = tiling_.lane_chunk;
    if (chunk > 1) line("uint lane_tile = group % {0}u; group /= {0}u;", chunk);
    std::vector<size_t> others;
    for (size_t d = attr_.dims.size(); d-- > 0;)
      if (!attr_.dims[d].reduced() && !is_lane(d)) others.push_back(d);
    for (size_t d : others) {
      const int64_t size = attr_.dims[d].size, tile = tiling_.tile[d];
      const int64_t count = ceil_div(size, tile);
      if (count == 1) {
        line("const uint i{} = 0u;", d);
        continue;
      }
      line("uint i{0} = (group % {1}u) * {2}u; group /= {1}u;", d, count, tile);
      if (size % tile != 0) {
        line("uint min{} = i{};", d, d);
        line("i{0} = min(i{0}, {1}u);", d, size - tile);
      }
    }
    if (chunk == 1)
      line("uint lane_tile = group;");
    else if (chunk < lane_tiles)
      line("lane_tile += group * {}u;", chunk);
  }

  void lanes() {
    for (const std::string& text : lane_declarations(writer_, lanes_)) line("{}", text);
    line("uint lane_start = lane_tile * {}u;", lanes_);
    const LaneIndex index = lane_index(tiling_.lane_total, lanes_);
    for (const std::string& text : index.lines) line("{}", text);
    lane_guard_ = index.guarded;
    // Index along each lane dim.
    if (tiling_.lane_dims.size() > 1) {
      line("uint lane_rest = lane_index;");
      for (size_t i = tiling_.lane_dims.size(); i-- > 0;) {
        const int d = tiling_.lane_dims[i];
        const int64_t size = attr_.dims[static_cast<size_t>(d)].size;
        line("uint i{0} = lane_rest % {1}u; lane_rest /= {1}u;", d, size);
      }
    } else if (tiling_.lane_dims.size() == 1) {
      line("uint i{} = lane_index;", tiling_.lane_dims[0]);
    }
  }

  // The address of the tile's first element; with kGather, per lane.
  void base(const Operand& operand) {
    std::string sum = fmt::format("{}u", static_cast<uint32_t>(operand.start));
    for (size_t d = 0; d < attr_.dims.size(); ++d) {
      const Dim& dim = attr_.dims[d];
      if (dim.reduced() || is_lane(d)) continue;
      sum += plus_scaled(fmt::format("i{}", d), dim.*operand.stride);
    }
    std::string lanes = "0u";
    for (int d : tiling_.lane_dims) {
      const int64_t stride = attr_.dims[static_cast<size_t>(d)].*operand.stride;
      if (operand.access == LaneAccess::kGather)
        lanes += plus_scaled(fmt::format("i{}", d), stride);
      else if (operand.access != LaneAccess::kUniform)
        sum += plus_scaled("lane_start", stride);
    }
    line("uint {}_base = {};", operand.letter, sum);
    if (operand.access == LaneAccess::kGather) line("uint {}_lane = {};", operand.letter, lanes);
  }

  std::string accumulator(int64_t ra, int64_t rb) const { return fmt::format("c{}_{}", ra, rb); }

  void accumulators() {
    for (int64_t ra = 0; ra < tiling_.rows_a; ++ra)
      for (int64_t rb = 0; rb < tiling_.rows_b; ++rb) line("float {} = 0.0;", accumulator(ra, rb));
  }

  // One loop over everything that the body does not unroll: one counter is cheaper than a nest.
  // A reduced dim whose unrolled part does not divide it gets its remainder in a second loop.
  void loop() {
    std::vector<size_t> outer;
    Box inner;
    size_t partial = attr_.dims.size();
    for (size_t d = 0; d < attr_.dims.size(); ++d) {
      const Dim& dim = attr_.dims[d];
      if (!dim.reduced()) continue;
      const int64_t part = tiling_.tile[d];
      if (part == dim.size) {
        inner.dims.push_back(d);
        inner.sizes.push_back(part);
        continue;
      }
      outer.push_back(d);
      if (part == 1) continue;
      inner.dims.push_back(d);
      inner.sizes.push_back(part);
      partial = d;
    }
    const bool remainder =
        partial < attr_.dims.size() && attr_.dims[partial].size % tiling_.tile[partial] != 0;
    emit_loop(outer, inner, partial, /*remainder=*/false);
    if (remainder) emit_loop(outer, inner, partial, /*remainder=*/true);
  }

  void emit_loop(const std::vector<size_t>& outer, const Box& inner, size_t partial,
                 bool remainder) {
    Box body = inner;
    int64_t iterations = 1;
    std::vector<std::pair<size_t, int64_t>> counters;  // dim, iterations
    for (size_t d : outer) {
      int64_t count = attr_.dims[d].size / tiling_.tile[d];
      if (remainder && d == partial) {
        count = 1;
        for (size_t i = 0; i < body.dims.size(); ++i)
          if (body.dims[i] == d) body.sizes[i] = attr_.dims[d].size % tiling_.tile[d];
      }
      counters.emplace_back(d, count);
      iterations *= count;
    }
    if (iterations == 1) {
      line("{{");
    } else {
      // gl_NumWorkGroups.z is 1. A bound that the driver does not know keeps the loop's test at its
      // top: with the test at the bottom the driver's compiler may move the additions behind it and
      // spill all products, which takes twice the time. A CPU driver runs the body once more with
      // all lanes off, in which uniform loads still happen: hence min().
      line("for (uint step = 0u, steps = {}u * gl_NumWorkGroups.z; step < steps; ++step) {{",
           iterations);
    }
    std::string a_sum, b_sum;
    if (remainder) {
      const int64_t done =
          attr_.dims[partial].size - attr_.dims[partial].size % tiling_.tile[partial];
      a_sum += plus_offset(done * attr_.dims[partial].a);
      b_sum += plus_offset(done * attr_.dims[partial].b);
    }
    if (iterations > 1) line("uint rest = min(step, {}u);", iterations - 1);
    int64_t left = iterations;
    for (size_t i = counters.size(); i-- > 0;) {
      auto [d, count] = counters[i];
      if (count == 1) continue;
      left /= count;
      if (left == 1) {
        line("uint k{} = rest;", d);
      } else {
        line("uint k{0} = rest % {1}u; rest /= {1}u;", d, count);
      }
      a_sum += plus_scaled(fmt::format("k{}", d), attr_.dims[d].a * tiling_.tile[d]);
      b_sum += plus_scaled(fmt::format("k{}", d), attr_.dims[d].b * tiling_.tile[d]);
    }
    address(a_, a_sum);
    address(b_, b_sum);
    for (int64_t p = 0; p < body.count(); ++p) step(body, p);
    line("}}");
  }

  void address(const Operand& operand, const std::string& sum) {
    const std::string& x = operand.letter;
    const std::string mask = address_mask(last_address(attr_, operand.start, operand.stride));
    line("uint {}_at = ({}_base{}{}){};", x, x, sum,
         operand.access == LaneAccess::kGather ? " + " + x + "_lane" : "", mask);
  }

  // Declares `value`: the operand at `offset` from its address, for every lane.
  void load(const Operand& operand, const std::string& value, int64_t offset) {
    auto at = [&](int64_t more) {
      return writer_.rounded(
          attr_.multiply,
          writer_.load(operand.name, operand.letter + "_at" + plus_offset(offset + more)));
    };
    line("float {} = {};", value, at(0));
    if (operand.access != LaneAccess::kUnit && operand.access != LaneAccess::kStrided) return;
    // The lane index is a constant vector inside the driver, so each of these selects is free
    // and, for neighbouring elements, all loads become one vector load. A load with the lane in
    // its index would be a gather.
    const int64_t stride = attr_.dims[static_cast<size_t>(tiling_.lane_dims[0])].*operand.stride;
    for (int64_t l = 1; l < lanes_ && l < tiling_.lane_total; ++l)
      line("{0} = mix({0}, {1}, is_lane{2});", value, at(l * stride), l);
  }

  void step(const Box& body, int64_t p) {
    const int64_t a_offset = body.offset(attr_, p, &Dim::a);
    const int64_t b_offset = body.offset(attr_, p, &Dim::b);
    auto name = [&](const Operand& operand, int64_t row) {
      return fmt::format("{}{}_{}", operand.letter, p, row);
    };
    // The operand with the fewer rows stays in registers; the other is used as it is loaded.
    const bool keep_a = tiling_.rows_a < tiling_.rows_b;
    const Operand& kept = keep_a ? a_ : b_;
    const Operand& streamed = keep_a ? b_ : a_;
    const int64_t kept_offset = keep_a ? a_offset : b_offset;
    const int64_t streamed_offset = keep_a ? b_offset : a_offset;
    for (int64_t r = 0; r < kept.rows.count(); ++r)
      load(kept, name(kept, r), kept_offset + kept.rows.offset(attr_, r, kept.stride));
    for (int64_t r = 0; r < streamed.rows.count(); ++r) {
      load(streamed, name(streamed, r),
           streamed_offset + streamed.rows.offset(attr_, r, streamed.stride));
      for (int64_t q = 0; q < kept.rows.count(); ++q) {
        const std::string c = keep_a ? accumulator(q, r) : accumulator(r, q);
        line("{0} = fma({1}, {2}, {0});", c, name(streamed, r), name(kept, q));
      }
    }
  }

  int64_t output_elements() const {
    int64_t n = 1;
    for (const Dim& dim : attr_.dims)
      if (!dim.reduced()) n *= dim.size;
    return n;
  }

  void results() {
    const bool neighbours = tiling_.stores_lanes(attr_, static_cast<uint32_t>(lanes_));
    std::string sum = "0u";
    std::string base = "0u";
    for (size_t d = 0; d < attr_.dims.size(); ++d) {
      if (attr_.dims[d].reduced()) continue;
      const std::string index = fmt::format("i{}", d);
      sum += plus_scaled(index, attr_.dims[d].out);
      base += plus_scaled(neighbours && is_lane(d) ? "lane_start" : index, attr_.dims[d].out);
    }
    // The mask is true of every index. With it the driver's compiler keeps the order of the loop's
    // multiply-adds; without it, it hoists all products, spills them, and takes twice the time.
    const std::string mask = address_mask(output_elements() - 1);
    line("uint o = ({}){};", sum, mask);
    line("uint o_base = ({}){};", base, mask);
    if (lane_guard_) guards_.push_back("lane_owned");
    if (!guards_.empty()) line("if ({}) {{", fmt::join(guards_, " && "));
    for (int64_t ra = 0; ra < tiling_.rows_a; ++ra) {
      for (int64_t rb = 0; rb < tiling_.rows_b; ++rb) {
        std::vector<std::string> owned;
        int64_t offset = 0;
        for (auto [box, point] : {std::pair{&a_.rows, ra}, std::pair{&b_.rows, rb}}) {
          offset += box->offset(attr_, point, &Dim::out);
          for (size_t i = 0; i < box->dims.size(); ++i) {
            const size_t d = box->dims[i];
            if (attr_.dims[d].size % tiling_.tile[d] == 0) continue;
            owned.push_back(fmt::format("i{}{} >= min{}", d, plus_offset(box->index(point, i)), d));
          }
        }
        const std::string call = fmt::format("{0}(o{1}, o_base{1}, lane, {2});", store_,
                                             plus_offset(offset), accumulator(ra, rb));
        if (owned.empty())
          line("{}", call);
        else
          line("if ({}) {}", fmt::join(owned, " && "), call);
      }
    }
    if (!guards_.empty()) line("}}");
  }

  KernelWriter& writer_;
  const ContractAttr& attr_;
  const RegisterTiling& tiling_;
  const std::string& store_;
  int64_t lanes_ = 1;
  Operand a_, b_;
  bool lane_guard_ = false;
  std::vector<std::string> guards_;
  std::array<uint32_t, 3> groups_ = {1, 1, 1};
};

}  // namespace

GridKernel emit_contract_registers(KernelWriter& writer, const std::string& name,
                                   const ContractAttr& attr, const RegisterTiling& tiling,
                                   const std::string& a, const std::string& b,
                                   const std::string& store, const DeviceCaps& caps) {
  RegisterEmitter emitter(writer, attr, tiling, a, b, store, caps);
  GridKernel result;
  result.groups = emitter.groups(caps);
  emitter.set_groups(result.groups);
  const std::string body = emitter.body();
  const uint32_t lanes = std::max<uint32_t>(1, caps.subgroup_size);
  result.kernel = writer.finish(name, {lanes, 1, 1}, body);
  if (lanes > 1) result.kernel.required_subgroup_size = lanes;
  return result;
}

}  // namespace ito
