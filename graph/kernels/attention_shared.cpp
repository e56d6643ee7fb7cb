// The form for GPUs: a workgroup holds a block of rows, visits the columns in blocks of 32, and
// goes through shared memory for both products, as a matrix multiplication does. An invocation owns
// the same rows in every stage, so that running maxima and sums stay in its registers. No subgroup
// operations; at most 16 KiB of shared memory and 128 invocations, which every device has.
#include <fmt/format.h>

#include <algorithm>
#include <numbers>

#include "base/integer.h"
#include "graph/kernels/attention.h"
#include "graph/kernels/contract_tiling.h"

namespace ito {
namespace {

constexpr int64_t kThreads = 128;
constexpr int64_t kRowThreads = 16, kColumnThreads = 8;
constexpr int64_t kColumns = 32;   // columns of a block
constexpr int64_t kChannels = 16;  // channels of a step of the products
constexpr int64_t kMicroColumns = kColumns / kColumnThreads;
// Workgroups below which blocks of 32 rows fill a device better than blocks of 64.
constexpr int64_t kFewGroups = 256;
// Results and scores of an invocation, where registers are few.
constexpr int64_t kNarrow = 32;
constexpr const char* kLowestScore = "-3.0e38";

class SharedAttention : KernelBody {
 public:
  SharedAttention(KernelWriter& writer, const AttentionWalk& walk, const DeviceCaps& caps)
      : writer_(writer), w_(walk) {
    const int64_t heads = walk.heads * walk.batch;
    width_ = ceil_div(w_.d, kColumnThreads) * kColumnThreads;
    micro_width_ = width_ / kColumnThreads;
    rows_ = walk.row_tiles(64) * heads < kFewGroups ? 32 : 64;
    if (has_narrow_registers(caps))
      while (rows_ > kRowThreads && rows_ / kRowThreads * (micro_width_ + kMicroColumns) > kNarrow)
        rows_ /= 2;
    micro_rows_ = rows_ / kRowThreads;
    tiles_ = walk.row_tiles(rows_);
    groups_ = attention_groups(tiles_ * heads, caps);
    // A row longer than its block, against bank conflicts.
    row_stride_ = rows_ + 1;
    column_stride_ = kColumns + 1;
    if (has_narrow_registers(caps)) {
      // Unrolled, the loads of many turns would be in registers at once.
      writer.extension("GL_EXT_control_flow_attributes");
      rolled_ = "[[dont_unroll]] ";
    }
    tile_size_ = kChannels * (row_stride_ + column_stride_);
    depth_ = kColumns;
    while (depth_ * width_ > tile_size_) depth_ /= 2;
  }

  EmittedKernel emit() {
    writer_.function(fmt::format("shared float tile[{}];\nshared float weights[{}];", tile_size_,
                                 rows_ * column_stride_));
    place();
    state();
    line("for (uint start = 0u; start < {0}u; start += {1}u) {{", w_.columns, kColumns);
    for (size_t i = 0; i < w_.products.size(); ++i) product(i);
    if (w_.online)
      online();
    else
      from_statistics();
    for (size_t s = 0; s < w_.sums.size(); ++s) sum(s);
    line("}}");
    results();
    EmittedKernel result;
    result.kernel = writer_.finish("attention", {kThreads, 1, 1}, text_);
    result.groups = groups_;
    return result;
  }

 private:
  using Operand = AttentionWalk::Operand;
  using Statistic = AttentionWalk::Statistic;

  void place() {
    const int64_t tiles = tiles_ * w_.heads * w_.batch;
    line("uint group = gl_WorkGroupID.x{};",
         groups_[1] > 1 ? fmt::format(" + gl_WorkGroupID.y * {}u", groups_[0]) : "");
    // The same for the whole workgroup, so that no barrier is missed.
    if (static_cast<int64_t>(groups_[0]) * groups_[1] != tiles)
      line("if (group >= {}u) return;", tiles);
    line("uint image = group / {}u;", tiles_ * w_.heads);
    line("uint head = group / {}u % {}u;", tiles_, w_.heads);
    line("uint row0 = group % {}u * {}u;", tiles_, rows_);
    line("uint id = gl_LocalInvocationID.x;");
    line("uint tr = id / {0}u; uint tc = id % {0}u;", kColumnThreads);
  }

  std::string head_base(const Operand& x) const {
    return fmt::format("image * {}u + head * {}u", x.batch, w_.d * x.channel);
  }

  // Name of the variable `name` of micro row i and column j.
  static std::string at(const std::string& name, int64_t i, int64_t j) {
    return fmt::format("{}{}_{}", name, i, j);
  }

  std::string row_of(int64_t i) const { return fmt::format("(row0 + tr + {}u)", i * kRowThreads); }
  static std::string column_of(int64_t j) {
    return fmt::format("(start + tc + {}u)", j * kColumnThreads);
  }

  void state() {
    for (size_t s = 0; s < w_.sums.size(); ++s) {
      line("float o{}[{}];", s, micro_rows_ * micro_width_);
      line("for (int i = 0; i < {0}; ++i) o{1}[i] = 0.0;", micro_rows_ * micro_width_, s);
    }
    for (int64_t i = 0; i < micro_rows_; ++i) {
      if (w_.online) line("float top{0} = {1}, total{0} = 0.0;", i, kLowestScore);
      if (w_.online || !w_.rows_are_queries) continue;
      statistics(fmt::format("min({}, {}u)", row_of(i), w_.rows - 1), fmt::format("{}", i));
    }
  }

  // Declares lse (in units of log 2) and delta of the query at a token.
  void statistics(const std::string& token, const std::string& suffix) {
    auto value = [&](const Statistic& x) {
      return writer_.load(x.argument, fmt::format("image * {}u + head * {}u + {} * {}u", x.batch,
                                                  x.head, token, x.token));
    };
    line("float lse{} = {} * {:.9e};", suffix, value(w_.lse), std::numbers::log2e);
    if (!w_.delta.argument.empty()) line("float delta{} = {};", suffix, value(w_.delta));
  }

  // tile[offset + channel * stride + token] = operand, zero outside.
  void fill(const Operand& x, const std::string& first, int64_t count, int64_t tokens,
            int64_t offset, int64_t stride) {
    line("for (uint i = id; i < {}u; i += {}u) {{", count * kChannels, kThreads);
    line("uint c = channel + i % {0}u; uint t = i / {0}u;", kChannels);
    line("uint token = {} + t;", first);
    line("float x = {};",
         writer_.load(x.argument,
                      fmt::format("{} + min(token, {}u) * {}u + min(c, {}u) * {}u", head_base(x),
                                  tokens - 1, x.token, w_.d - 1, x.channel)));
    line("tile[{}u + i % {}u * {}u + t] = c < {}u && token < {}u ? x : 0.0; }}", offset, kChannels,
         stride, w_.d, tokens);
  }

  void product(size_t p) {
    const auto& [row, column] = w_.products[p];
    const std::string name = fmt::format("p{}_", p);
    for (int64_t i = 0; i < micro_rows_; ++i)
      for (int64_t j = 0; j < kMicroColumns; ++j) line("float {} = 0.0;", at(name, i, j));
    line("for (uint channel = 0u; channel < {}u; channel += {}u) {{", w_.d, kChannels);
    line("barrier();");
    fill(row, "row0", rows_, w_.rows, 0, row_stride_);
    fill(column, "start", kColumns, w_.columns, kChannels * row_stride_, column_stride_);
    line("barrier();");
    line("{}for (uint c = 0u; c < {}u; ++c) {{", rolled_, kChannels);
    for (int64_t i = 0; i < micro_rows_; ++i)
      line("float x{} = tile[c * {}u + tr + {}u];", i, row_stride_, i * kRowThreads);
    for (int64_t j = 0; j < kMicroColumns; ++j)
      line("float y{} = tile[c * {}u + tc + {}u];", j, column_stride_,
           kChannels * row_stride_ + j * kColumnThreads);
    for (int64_t i = 0; i < micro_rows_; ++i)
      for (int64_t j = 0; j < kMicroColumns; ++j)
        line("{0} = fma(x{1}, y{2}, {0});", at(name, i, j), i, j);
    line("}} }}");
  }

  // Probabilities in place of the scores, from the maximum so far (Milakov and Gimelshein 2018).
  // The invocations of a row exchange their maxima; sums stay apart until the end.
  void online() {
    const double to_log2 = std::numbers::log2e * w_.scale;
    line("barrier();");
    for (int64_t i = 0; i < micro_rows_; ++i) {
      for (int64_t j = 0; j < kMicroColumns; ++j)
        line("{0} = {1} < {2}u ? {0} * {3:.9e} : {4};", at("p0_", i, j), column_of(j), w_.columns,
             to_log2, kLowestScore);
      line("float most{} = {};", i, kLowestScore);
      for (int64_t j = 0; j < kMicroColumns; ++j)
        line("most{0} = max(most{0}, {1});", i, at("p0_", i, j));
      line("tile[(tr + {}u) * {}u + tc] = most{};", i * kRowThreads, kColumnThreads, i);
    }
    line("barrier();");
    for (int64_t i = 0; i < micro_rows_; ++i) {
      line("float last{0} = top{0};", i);
      line("for (uint j = 0u; j < {0}u; ++j) top{1} = max(top{1}, tile[(tr + {2}u) * {0}u + j]);",
           kColumnThreads, i, i * kRowThreads);
      line("float keep{0} = exp2(last{0} - top{0});", i);
      line("total{0} *= keep{0};", i);
      for (int64_t j = 0; j < kMicroColumns; ++j)
        line("{0} = exp2({0} - top{1}); total{1} += {0};", at("p0_", i, j), i);
    }
  }

  void from_statistics() {
    const double to_log2 = std::numbers::log2e * w_.scale;
    for (int64_t j = 0; j < kMicroColumns; ++j) {
      if (!w_.rows_are_queries)
        statistics(fmt::format("min({}, {}u)", column_of(j), w_.columns - 1),
                   fmt::format("_of_column{}", j));
      for (int64_t i = 0; i < micro_rows_; ++i) {
        const std::string owner =
            w_.rows_are_queries ? fmt::format("{}", i) : fmt::format("_of_column{}", j);
        line("{0} = {1} < {2}u ? exp2({0} * {3:.9e} - lse{4}) : 0.0;", at("p0_", i, j),
             column_of(j), w_.columns, to_log2, owner);
        if (!w_.delta.argument.empty())
          line("{0} = {1} * ({0} - delta{2});", at("p1_", i, j), at("p0_", i, j), owner);
      }
    }
  }

  // o[s] += weights * operand, with the weights of the whole block in shared memory.
  void sum(size_t s) {
    const auto& [of_score_gradient, x, out] = w_.sums[s];
    if (s > 0) line("barrier();");
    for (int64_t i = 0; i < micro_rows_; ++i) {
      for (int64_t j = 0; j < kMicroColumns; ++j)
        line("weights[(tr + {}u) * {}u + tc + {}u] = {};", i * kRowThreads, column_stride_,
             j * kColumnThreads, at(of_score_gradient ? "p1_" : "p0_", i, j));
      if (w_.online)
        line("for (int j = 0; j < {0}; ++j) o{1}[{2} + j] *= keep{3};", micro_width_, s,
             i * micro_width_, i);
    }
    line("for (uint part = 0u; part < {}u; part += {}u) {{", kColumns, depth_);
    line("barrier();");
    line("for (uint i = id; i < {}u; i += {}u) {{", depth_ * width_, kThreads);
    line("uint c = i % {0}u; uint token = start + part + i / {0}u;", width_);
    line("float x = {};",
         writer_.load(x.argument,
                      fmt::format("{} + min(token, {}u) * {}u + min(c, {}u) * {}u", head_base(x),
                                  w_.columns - 1, x.token, w_.d - 1, x.channel)));
    line("tile[i] = c < {}u && token < {}u ? x : 0.0; }}", w_.d, w_.columns);
    line("barrier();");
    line("{}for (uint t = 0u; t < {}u; ++t) {{", rolled_, depth_);
    for (int64_t i = 0; i < micro_rows_; ++i)
      line("float x{} = weights[(tr + {}u) * {}u + part + t];", i, i * kRowThreads, column_stride_);
    for (int64_t j = 0; j < micro_width_; ++j) {
      line("float y{} = tile[t * {}u + tc + {}u];", j, width_, j * kColumnThreads);
      for (int64_t i = 0; i < micro_rows_; ++i)
        line("o{0}[{1}] = fma(x{2}, y{3}, o{0}[{1}]);", s, i * micro_width_ + j, i, j);
    }
    line("}} }}");
  }

  void results() {
    if (w_.online) {
      line("barrier();");
      for (int64_t i = 0; i < micro_rows_; ++i)
        line("tile[(tr + {}u) * {}u + tc] = total{};", i * kRowThreads, kColumnThreads, i);
      line("barrier();");
    }
    for (int64_t i = 0; i < micro_rows_; ++i) {
      line("if ({} < {}u) {{", row_of(i), w_.rows);
      if (w_.online)
        line(
            "float all = 0.0; for (uint j = 0u; j < {0}u; ++j) all += tile[(tr + {1}u) * {0}u + "
            "j];",
            kColumnThreads, i * kRowThreads);
      for (size_t s = 0; s < w_.sums.size(); ++s) {
        const int64_t width = w_.heads * w_.d;
        line("uint out{} = (image * {}u + {}) * {}u + head * {}u;", s, w_.rows, row_of(i), width,
             w_.d);
        for (int64_t j = 0; j < micro_width_; ++j) {
          std::string value = fmt::format("o{}[{}]", s, i * micro_width_ + j);
          if (w_.online) value += " / all";
          if (w_.sums[s].of_score_gradient) value += fmt::format(" * {:.9e}", w_.scale);
          const std::string channel = fmt::format("tc + {}u", j * kColumnThreads);
          const std::string store =
              writer_.store(w_.sums[s].out, fmt::format("out{} + {}", s, channel), value);
          if ((j + 1) * kColumnThreads <= w_.d)
            line("{}", store);
          else
            line("if ({} < {}u) {}", channel, w_.d, store);
        }
      }
      if (!w_.lse_out.empty())
        line("if (tc == 0u) {}",
             writer_.store(
                 w_.lse_out,
                 fmt::format("(image * {}u + head) * {}u + {}", w_.heads, w_.rows, row_of(i)),
                 fmt::format("(top{} + log2(all)) * {:.9e}", i, std::numbers::ln2)));
      line("}}");
    }
  }

  KernelWriter& writer_;
  const AttentionWalk& w_;
  int64_t rows_ = 64, micro_rows_ = 4, tiles_ = 1;
  std::array<uint32_t, 3> groups_ = {1, 1, 1};
  const char* rolled_ = "";  // before a loop that is to stay one
  int64_t row_stride_ = 0, column_stride_ = 0, tile_size_ = 0;
  int64_t width_ = 0, micro_width_ = 0;  // channels of a head, rounded up
  int64_t depth_ = 0;                    // columns whose operand fits into the tile
};

}  // namespace

EmittedKernel emit_attention_shared(KernelWriter& writer, const AttentionWalk& walk,
                                    const DeviceCaps& caps) {
  return SharedAttention(writer, walk, caps).emit();
}

}  // namespace ito
