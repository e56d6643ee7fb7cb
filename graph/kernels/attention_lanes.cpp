// The form for CPU drivers: one subgroup per workgroup, a row per lane, so that running maxima,
// sums and accumulators need no exchange between lanes. A lane holds its row of every operand and
// the accumulators of a whole head in registers; the columns' elements are the same for all lanes
// and become operands in memory of the multiplications. See also contract_registers.
#include <fmt/format.h>

#include <algorithm>
#include <numbers>

#include "base/integer.h"
#include "graph/kernels/attention.h"
#include "graph/kernels/glsl_text.h"

namespace ito {
namespace {

// Multiply-adds written out per block of columns.
constexpr int64_t kBlockBudget = 512;
constexpr int64_t kMaxBlock = 8;
// Far below every score, but finite: its difference to itself is no NaN.
constexpr const char* kLowest = "-3.0e38";

class LanesEmitter : KernelBody {
 public:
  LanesEmitter(KernelWriter& writer, const AttentionWalk& walk, const DeviceCaps& caps)
      : writer_(writer),
        w_(walk),
        lanes_(std::max<uint32_t>(1, caps.subgroup_size)),
        tiles_(walk.row_tiles(lanes_)),
        groups_(attention_groups(tiles_ * walk.heads * walk.batch, caps)) {
    const int64_t per_column = w_.d * static_cast<int64_t>(w_.products.size() + w_.sums.size());
    block_ = std::clamp<int64_t>(kBlockBudget / per_column, 1, kMaxBlock);
    while (block_ & (block_ - 1)) --block_;
    block_ = std::min(block_, w_.columns);
    blocks_ = ceil_div(w_.columns, block_);
  }

  EmittedKernel emit() {
    place();
    rows();
    accumulators();
    // A bound that the driver does not know keeps the loop's test at its top, which keeps its
    // compiler from moving additions behind it; the turn it may take with all lanes off is clamped.
    line("for (uint turn = 0u, turns = {}u * gl_NumWorkGroups.z; turn < turns; ++turn) {{",
         blocks_);
    block();
    line("}}");
    results();
    EmittedKernel result;
    result.kernel = writer_.finish("attention", {lanes_, 1, 1}, text_);
    if (lanes_ > 1) result.kernel.required_subgroup_size = lanes_;
    result.groups = groups_;
    return result;
  }

 private:
  using Operand = AttentionWalk::Operand;
  using Statistic = AttentionWalk::Statistic;

  // Which rows of which head of which image this workgroup has.
  void place() {
    const int64_t tiles = tiles_ * w_.heads * w_.batch;
    if (lanes_ > 1) {
      writer_.extension("GL_KHR_shader_subgroup_basic");
      line("uint lane = gl_SubgroupInvocationID;");
    } else {
      line("const uint lane = 0u;");
    }
    line("uint group = gl_WorkGroupID.x{};",
         groups_[1] > 1 ? fmt::format(" + gl_WorkGroupID.y * {}u", groups_[0]) : "");
    const bool surplus = static_cast<int64_t>(groups_[0]) * groups_[1] != tiles;
    line("uint tile = min(group, {}u);", tiles - 1);
    line("uint image = tile / {}u;", tiles_ * w_.heads);
    line("uint head = tile / {}u % {}u;", tiles_, w_.heads);
    line("uint own = tile % {}u * {}u + lane;", tiles_, lanes_);
    line("uint row = min(own, {}u);", w_.rows - 1);
    line("bool owned = own == row{};", surplus ? " && group == tile" : "");
  }

  // Address of channel 0 of the head, token 0.
  std::string head_base(const Operand& x) const {
    return fmt::format("image * {}u + head * {}u", x.batch, w_.d * x.channel);
  }

  std::string statistic_base(const Statistic& x) const {
    return fmt::format("image * {}u + head * {}u", x.batch, x.head);
  }

  void rows() {
    const double to_log2 = std::numbers::log2e * w_.scale;
    for (size_t i = 0; i < w_.products.size(); ++i) {
      const Operand& x = w_.products[i].first;
      line("uint row_at{} = {} + row * {}u;", i, head_base(x), x.token);
      for (int64_t c = 0; c < w_.d; ++c) {
        const std::string value =
            writer_.load(x.argument, fmt::format("row_at{} + {}u", i, c * x.channel));
        // The first product is the score in units of log 2.
        line("float r{}_{} = {}{};", i, c, value, i == 0 ? fmt::format(" * {:.9e}", to_log2) : "");
      }
    }
    if (w_.online || !w_.rows_are_queries) return;
    for (const auto& [name, x] : {std::pair{"lse", &w_.lse}, std::pair{"delta", &w_.delta}})
      if (!x->argument.empty())
        line(
            "float {} = {};", name,
            writer_.load(x->argument, fmt::format("{} + row * {}u", statistic_base(*x), x->token)));
    line("lse *= {:.9e};", std::numbers::log2e);
  }

  void accumulators() {
    for (size_t s = 0; s < w_.sums.size(); ++s)
      for (int64_t c = 0; c < w_.d; ++c) line("float o{}_{} = 0.0;", s, c);
    if (w_.online) line("float top = {}, total = 0.0;", kLowest);
    // Uniform addresses of the columns.
    for (size_t i = 0; i < w_.products.size(); ++i)
      line("uint base_p{} = {};", i, head_base(w_.products[i].second));
    for (size_t s = 0; s < w_.sums.size(); ++s)
      line("uint base_s{} = {};", s, head_base(w_.sums[s].column));
    if (w_.online || w_.rows_are_queries) return;
    line("uint base_lse = {};", statistic_base(w_.lse));
    if (!w_.delta.argument.empty()) line("uint base_delta = {};", statistic_base(w_.delta));
  }

  bool masked() const { return w_.columns % block_ != 0; }

  // Address of a block's first column; `last` is the largest that any block reaches.
  void address(const std::string& name, int64_t stride, int64_t last) {
    line("uint at_{0} = (base_{0} + start * {1}u){2};", name, stride, address_mask(last));
  }

  void address(const std::string& name, const Operand& x) {
    address(
        name, x.token,
        (w_.batch - 1) * x.batch + (w_.columns - 1) * x.token + (w_.heads * w_.d - 1) * x.channel);
  }

  void address(const std::string& name, const Statistic& x) {
    address(name, x.token,
            (w_.batch - 1) * x.batch + (w_.heads - 1) * x.head + (w_.columns - 1) * x.token);
  }

  std::string element(const Operand& x, const std::string& address, int64_t j, int64_t c) const {
    return writer_.load(x.argument,
                        fmt::format("at_{} + {}u", address, j * x.token + c * x.channel));
  }

  void block() {
    line("uint first = min(turn, {}u) * {}u;", blocks_ - 1, block_);
    // The last block is moved back to end with the columns, and skips what the others have seen.
    line("uint start = min(first, {}u);", w_.columns - block_);
    for (size_t i = 0; i < w_.products.size(); ++i) {
      const Operand& x = w_.products[i].second;
      const std::string name = fmt::format("p{}", i);
      address(name, x);
      for (int64_t j = 0; j < block_; ++j) line("float {}_{} = 0.0;", name, j);
      for (int64_t c = 0; c < w_.d; ++c)
        for (int64_t j = 0; j < block_; ++j)
          line("{0}_{1} = fma(r{2}_{3}, {4}, {0}_{1});", name, j, i, c, element(x, name, j, c));
    }
    if (w_.online)
      online();
    else
      from_statistics();
    for (size_t s = 0; s < w_.sums.size(); ++s) {
      const auto& sum = w_.sums[s];
      const std::string name = fmt::format("s{}", s);
      address(name, sum.column);
      for (int64_t c = 0; c < w_.d; ++c) {
        if (w_.online) line("o{}_{} *= keep;", s, c);
        for (int64_t j = 0; j < block_; ++j)
          line("o{0}_{1} = fma({2}_{3}, {4}, o{0}_{1});", s, c, sum.of_score_gradient ? "ds" : "p0",
               j, element(sum.column, name, j, c));
      }
    }
  }

  std::string unseen(int64_t j) const { return fmt::format("start + {}u >= first", j); }

  // Milakov and Gimelshein 2018: maximum and sum in one pass.
  void online() {
    for (int64_t j = 0; j < block_ && masked(); ++j)
      line("p0_{0} = {1} ? p0_{0} : {2};", j, unseen(j), kLowest);
    line("float last_top = top;");
    for (int64_t j = 0; j < block_; ++j) line("top = max(top, p0_{});", j);
    line("float keep = exp2(last_top - top);");
    line("total *= keep;");
    for (int64_t j = 0; j < block_; ++j) line("p0_{0} = exp2(p0_{0} - top); total += p0_{0};", j);
  }

  void from_statistics() {
    if (!w_.rows_are_queries) {
      address("lse", w_.lse);
      if (!w_.delta.argument.empty()) address("delta", w_.delta);
    }
    for (int64_t j = 0; j < block_; ++j) {
      auto of_column = [&](const Statistic& x, const char* name) {
        return writer_.load(x.argument, fmt::format("at_{} + {}u", name, j * x.token));
      };
      const std::string lse =
          w_.rows_are_queries
              ? "lse"
              : fmt::format("{} * {:.9e}", of_column(w_.lse, "lse"), std::numbers::log2e);
      line("p0_{0} = exp2(p0_{0} - {1});", j, lse);
      if (masked()) line("p0_{0} = {1} ? p0_{0} : 0.0;", j, unseen(j));
      if (w_.delta.argument.empty()) continue;
      const std::string delta = w_.rows_are_queries ? "delta" : of_column(w_.delta, "delta");
      line("float ds_{0} = p0_{0} * (p1_{0} - {1});", j, delta);
    }
  }

  void results() {
    line("if (owned) {{");
    if (w_.online && !w_.sums.empty()) line("float share = 1.0 / total;");
    for (size_t s = 0; s < w_.sums.size(); ++s) {
      const auto& sum = w_.sums[s];
      const int64_t width = w_.heads * w_.d;
      line("uint out{} = (image * {}u + row) * {}u + head * {}u;", s, w_.rows, width, w_.d);
      for (int64_t c = 0; c < w_.d; ++c) {
        std::string value = fmt::format("o{}_{}", s, c);
        if (w_.online) value += " * share";
        if (sum.of_score_gradient) value += fmt::format(" * {:.9e}", w_.scale);
        line("{}", writer_.store(sum.out, fmt::format("out{} + {}u", s, c), value));
      }
    }
    if (!w_.lse_out.empty())
      line("{}", writer_.store(w_.lse_out,
                               fmt::format("(image * {}u + head) * {}u + row", w_.heads, w_.rows),
                               fmt::format("(top + log2(total)) * {:.9e}", std::numbers::ln2)));
    line("}}");
  }

  KernelWriter& writer_;
  const AttentionWalk& w_;
  uint32_t lanes_;
  int64_t tiles_;
  std::array<uint32_t, 3> groups_;
  int64_t block_ = 1, blocks_ = 1;
};

}  // namespace

EmittedKernel emit_attention_lanes(KernelWriter& writer, const AttentionWalk& walk,
                                   const DeviceCaps& caps) {
  return LanesEmitter(writer, walk, caps).emit();
}

}  // namespace ito
