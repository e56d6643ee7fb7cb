#include "graph/kernels/contract_matrix.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/integer.h"
#include "graph/kernels/contract_blocks.h"

namespace ito {
namespace {

// Shared memory is an array of fours of 16-bit floats ("words"), 8 bytes each: what an invocation
// writes at once. The k of a row lie together in the tiles of both operands: so fragments of A are
// read row by row and those of B column by column, each invocation many elements at a time.
constexpr int64_t kWord = 4;

class MatrixEmitter : KernelBody {
 public:
  MatrixEmitter(KernelWriter& writer, const ContractAttr& attr, const MatrixTiling& tiling,
                const std::string& a, const std::string& b, const std::string& store)
      : writer_(writer),
        attr_(attr),
        t_(tiling),
        view_(matrix_view(attr)),
        blocks_(cut_matrix_reduction(digits_of(attr, view_.k), tiling)),
        width_(round_to(blocks_.steps, tiling.shape.k)),
        store_(store),
        m_tiles_(ceil_div(view_.m_size, tiling.block_m())),
        n_tiles_(ceil_div(view_.n_size, tiling.block_n())),
        a_side_(side('a', 'm', a, true)),
        b_side_(side('b', 'n', b, true)) {
    if (a == b && a_side_.chunk != b_side_.chunk) {  // one argument is loaded in one way
      a_side_ = side('a', 'm', a, false);
      b_side_ = side('b', 'n', b, false);
    }
    a_side_.tile = 0;
    b_side_.tile = turns() * tile_words(a_side_);
  }

  int64_t tiles() const { return m_tiles_ * n_tiles_ * view_.batch_size; }

  std::string body(std::array<uint32_t, 3> groups) {
    declare();
    line("uint group = gl_WorkGroupID.x{};",
         groups[1] > 1 ? fmt::format(" + gl_WorkGroupID.y * {}u", groups[0]) : "");
    // The same for the whole workgroup, so that no barrier is missed.
    if (static_cast<int64_t>(groups[0]) * groups[1] != tiles())
      line("if (group >= {}u) return;", tiles());
    line("uint m0 = (group % {0}u) * {1}u; group /= {0}u;", m_tiles_, t_.block_m());
    line("uint n0 = (group % {0}u) * {1}u; uint batch = group / {0}u;", n_tiles_, t_.block_n());
    line("uint id = gl_LocalInvocationID.x;");
    line("uint subgroup_m = gl_SubgroupID / {0}u * {1}u;", t_.subgroups_n, t_.subgroup_m());
    line("uint subgroup_n = gl_SubgroupID % {0}u * {1}u;", t_.subgroups_n, t_.subgroup_n());
    for (int64_t i = 0; i < t_.fragments_m; ++i)
      for (int64_t j = 0; j < t_.fragments_n; ++j) line("Sum {} = Sum(0.0);", sum(i, j));
    begin(a_side_);
    begin(b_side_);
    for (size_t d = 0; d < blocks_.outside.size(); ++d) line("uint k{} = 0u;", d);
    const bool loops = blocks_.count > 1;
    if (loops) line("uint turn = 0u;");
    if (t_.loads_ahead) {
      load(a_side_);
      load(b_side_);
    } else {
      load_and_fill();
    }
    // Two tiles in turns: who fills one cannot overtake those that still read it, as it has passed
    // the barrier between.
    if (loops) line("for (uint block = 0u; block < {}u; ++block) {{", blocks_.count);
    if (t_.loads_ahead) {
      fill(a_side_);
      fill(b_side_);
    }
    line("barrier();");
    if (loops) step();
    if (loops && t_.loads_ahead) {
      load(a_side_);
      load(b_side_);
    } else if (loops) {
      line("turn ^= 1u;");
      load_and_fill();
      line("turn ^= 1u;");
    }
    multiply();
    if (loops) {
      line("turn ^= 1u;");
      line("}}");
    }
    results();
    return std::move(text_);
  }

 private:
  static int64_t round_to(int64_t n, int64_t granule) { return ceil_div(n, granule) * granule; }

  // The reduction in blocks that waste few steps: a fragment takes shape.k of them, void or not.
  static Blocks cut_matrix_reduction(const std::vector<Digit>& k, const MatrixTiling& tiling) {
    const int64_t granule = tiling.shape.k;
    return cut_reduction(k, tiling.block_k, [granule](int64_t size, int64_t room, int64_t inner) {
      int64_t best = 1, least = INT64_MAX;
      for (int64_t part = 1; part <= room; ++part) {
        const int64_t steps = ceil_div(size, part) * round_to(inner * part, granule);
        if (steps <= least) {
          least = steps;
          best = part;
        }
      }
      return best;
    });
  }

  // What an invocation loads of an operand are units of rows x 4 steps, a word for each row. Where
  // fours of rows lie together in memory a unit is 4 x 4, turned in registers.
  struct Side {
    char letter;  // 'a' or 'b'
    char index;   // 'm' or 'n'
    std::string argument;
    int64_t Digit::*stride;
    int64_t offset;
    int64_t block;            // block_m or block_n
    int64_t size;             // m_size or n_size
    std::vector<Digit> rows;  // of m or n
    bool along_k = false;     // neighbouring invocations load neighbouring k
    int64_t chunk = 1;        // elements of a load: 4 where four lie together
    int64_t unit_rows = 1;
    int64_t slow_units = 1, fast_units = 1;  // of the block, in the direction of loads and across
    int64_t units = 1;                       // of an invocation and block
    int64_t tile = 0;                        // where it begins in shared memory, in words
    bool turned() const { return unit_rows > 1; }
  };

  Side side(char letter, char index, const std::string& argument, bool quads) const {
    const bool is_a = letter == 'a';
    Side s{.letter = letter,
           .index = index,
           .argument = argument,
           .stride = is_a ? &Digit::a : &Digit::b,
           .offset = is_a ? attr_.a_offset : attr_.b_offset,
           .block = is_a ? t_.block_m() : t_.block_n(),
           .size = is_a ? view_.m_size : view_.n_size,
           .rows = digits_of(attr_, is_a ? view_.m : view_.n)};
    s.along_k = smallest_stride(blocks_.inside, s.stride) < smallest_stride(s.rows, s.stride);
    if (quads && loads_quads(s)) s.chunk = 4;
    if (s.chunk == 4 && !s.along_k) s.unit_rows = 4;
    const int64_t rows = s.block / s.unit_rows, words = ceil_div(blocks_.steps, kWord);
    s.fast_units = s.along_k ? words : rows;
    s.slow_units = s.along_k ? rows : words;
    s.units = ceil_div(rows * words, t_.invocations());
    return s;
  }

  bool loads_quads(const Side& s) const {
    if (!writer_.can_load_quads(s.argument)) return false;
    if (s.along_k && !runs_of_k()) return false;
    const std::vector<Digit> batch = digits_of(attr_, view_.batch);
    return lie_in_fours(s.along_k ? blocks_.inside : s.rows,
                        {&s.rows, &blocks_.inside, &blocks_.outside, &batch}, s.offset, s.stride);
  }

  // Whether the four steps of a word differ in the innermost digit alone, all of them or none void.
  bool runs_of_k() const {
    if (blocks_.inside.empty() || blocks_.inside.back().size % kWord != 0) return false;
    return blocks_.inside.size() > 1 || blocks_.whole % kWord == 0;
  }

  int64_t turns() const { return blocks_.count > 1 ? 2 : 1; }
  // Words of a row: two more than it has, against bank conflicts.
  int64_t row_words() const { return MatrixTiling::row_words(width_); }
  int64_t tile_words(const Side& s) const { return s.block * row_words(); }
  std::string turn(const Side& s) const {
    return turns() > 1 ? fmt::format("turn * {}u + ", tile_words(s)) : "";
  }
  bool even(const Side& s) const {
    return s.fast_units * s.slow_units == s.units * t_.invocations();
  }

  static std::string sum(int64_t i, int64_t j) { return fmt::format("sum_{}_{}", i, j); }

  void declare() {
    for (const char* extension :
         {"GL_KHR_cooperative_matrix", "GL_KHR_memory_scope_semantics",
          "GL_KHR_shader_subgroup_basic", "GL_EXT_shader_explicit_arithmetic_types_float16",
          "GL_EXT_control_flow_attributes"})
      writer_.extension(extension);
    const MatrixShape& shape = t_.shape;
    const auto type = [&](const char* name, const char* element, uint32_t rows, uint32_t columns,
                          const char* use) {
      writer_.function(
          fmt::format("#define {} coopmat<{}, gl_ScopeSubgroup, {}, {}, gl_MatrixUse{}>", name,
                      element, rows, columns, use));
    };
    type("PartOfA", "float16_t", shape.m, shape.k, "A");
    type("PartOfB", "float16_t", shape.k, shape.n, "B");
    type("Sum", "float", shape.m, shape.n, "Accumulator");
    for (const Side* s : {&a_side_, &b_side_}) {
      writer_.function(
          address_function(fmt::format("{}_of_{}", s->letter, s->index), s->rows, s->stride));
      writer_.function(
          address_function(fmt::format("{}_of_k", s->letter), blocks_.inside, s->stride));
      writer_.function(address_function(fmt::format("{}_of_batch", s->letter),
                                        digits_of(attr_, view_.batch), s->stride));
      writer_.function(address_function(fmt::format("out_of_{}", s->index), s->rows, &Digit::out));
    }
    writer_.function(address_function("out_of_batch", digits_of(attr_, view_.batch), &Digit::out));
    writer_.function(fmt::format("shared uvec2 tiles[{}];", shared_words()));
    writer_.function(
        "uvec2 word(vec4 x) {\n  f16vec4 h = f16vec4(x);\n"
        "  return uvec2(packFloat2x16(h.xy), packFloat2x16(h.zw));\n}");
  }

  int64_t shared_words() const {
    return std::max(turns() * (tile_words(a_side_) + tile_words(b_side_)),
                    t_.subgroups_m * t_.subgroups_n * result_words());
  }

  // The loads of one unit: one where it lies along k by fours, else one a step.
  int64_t loads(const Side& s) const { return s.along_k && s.chunk == 4 ? 1 : kWord; }
  // Whether the addresses of a unit's steps are the first one's and multiples of a stride.
  bool one_address(const Side& s) const { return loads(s) == 1 || runs_of_k(); }

  // Where this invocation's units sit in the tile, and the part of their addresses that no block
  // changes. Rows beyond the last are read as the last, and their results dropped; steps beyond the
  // last are zero.
  void begin(const Side& s) {
    line("uint {0}_base = {1}u + {0}_of_batch(batch);", s.letter, wrapped_stride(s.offset));
    for (int64_t i = 0; i < s.units; ++i) {
      line("uint {0}_fast{1} = (id + {2}u) % {3}u;", s.letter, i, i * t_.invocations(),
           s.fast_units);
      line("uint {0}_slow{1} = (id + {2}u) / {3}u;", s.letter, i, i * t_.invocations(),
           s.fast_units);
      const std::string slow =
          even(s) ? fmt::format("{}_slow{}", s.letter, i)
                  : fmt::format("min({}_slow{}, {}u)", s.letter, i, s.slow_units - 1);
      const std::string fast = fmt::format("{}_fast{}", s.letter, i);
      line("uint {0}_r{1} = {2} * {3}u, {0}_k{1} = {4} * {5}u;", s.letter, i,
           s.along_k ? slow : fast, s.unit_rows, s.along_k ? fast : slow, kWord);
      line("uint {0}_slot{1} = {2}u + {0}_r{1} * {3}u + {0}_k{1} / {4}u;", s.letter, i, s.tile,
           row_words(), kWord);
      line("uint {0}_row{1} = {0}_base + {0}_of_{2}(min({2}0 + {0}_r{1}, {3}u));", s.letter, i,
           s.index, s.size - s.unit_rows);
      for (int64_t j = 0; j < loads(s); ++j) {
        if (j == 0 || !one_address(s)) addresses(s, i, j);
        line("{0} {1}_x{2}_{3};", s.chunk == 4 ? "vec4" : "float", s.letter, i, j);
      }
    }
    line("uint {}_step = 0u;", s.letter);
    clear(s);
  }

  // Of step j of unit i: `at`, its address in the block; where the last block may be void there,
  // `part`, its place in the cut dim, and `safe`, an address that never is.
  void addresses(const Side& s, int64_t i, int64_t j) {
    const std::string step =
        blocks_.steps % kWord == 0
            ? fmt::format("({}_k{} + {}u)", s.letter, i, j)
            : fmt::format("min({}_k{} + {}u, {}u)", s.letter, i, j, blocks_.steps - 1);
    line("uint {0}_at{1}_{2} = ({0}_row{1} + {0}_of_k({3})) / {4}u;", s.letter, i, j, step,
         s.chunk);
    if (blocks_.whole == 0) return;
    const int64_t inner = blocks_.steps / blocks_.inside.front().size;
    line("uint {0}_part{1}_{2} = {3} / {4}u;", s.letter, i, j, step, inner);
    line("uint {0}_safe{1}_{2} = ({0}_row{1} + {0}_of_k({3} % {4}u)) / {5}u;", s.letter, i, j, step,
         inner, s.chunk);
  }

  // What lies in the tile beyond the last step of a block never changes.
  void clear(const Side& s) {
    const int64_t words = width_ / kWord, used = ceil_div(blocks_.steps, kWord);
    if (used == words) return;
    line("for (uint i = id; i < {}u; i += {}u)", turns() * s.block * (words - used),
         t_.invocations());
    line("  tiles[{}u + i / {}u * {}u + {}u + i % {}u] = uvec2(0u);", s.tile, words - used,
         row_words(), used, words - used);
  }

  // Goes to the next block. Beyond the last one that is the first: what is then loaded is there,
  // and not used.
  void step() {
    for (const std::string& text : next_block(blocks_.outside)) line("{}", text);
    for (const Side* s : {&a_side_, &b_side_})
      line("{}_step = {};", s->letter, block_address(blocks_.outside, s->stride, s->chunk));
  }

  // Unit by unit, so that few registers are taken.
  void load_and_fill() {
    for (const Side* s : {&a_side_, &b_side_})
      for (int64_t i = 0; i < s->units; ++i) {
        for (int64_t j = 0; j < loads(*s); ++j) load(*s, i, j);
        fill(*s, i);
      }
  }

  void load(const Side& s) {
    for (int64_t i = 0; i < s.units; ++i)
      for (int64_t j = 0; j < loads(s); ++j) load(s, i, j);
  }

  void load(const Side& s, int64_t i, int64_t j) {
    const bool own = !one_address(s);
    const int64_t from = own ? j : 0;
    const int64_t along = own ? 0 : j * blocks_.inside.back().*s.stride / s.chunk;
    std::string at = fmt::format("{}_at{}_{}", s.letter, i, from);
    std::string valid;
    if (blocks_.whole != 0) {
      valid = fmt::format("k{} * {}u + {}_part{}_{} < {}u", blocks_.outside.size() - 1,
                          blocks_.inside.front().size, s.letter, i, from, blocks_.whole);
      at = fmt::format("({} ? {} : {}_safe{}_{})", valid, at, s.letter, i, from);
    }
    at += fmt::format(" + {}_step + {}u", s.letter, wrapped_stride(along));
    const std::string value =
        s.chunk == 4 ? writer_.load_quad(s.argument, at) : writer_.load(s.argument, at);
    if (blocks_.steps % kWord != 0)
      valid += fmt::format("{}{}_k{} + {}u < {}u", valid.empty() ? "" : " && ", s.letter, i, j,
                           blocks_.steps);
    const std::string name = fmt::format("{}_x{}_{}", s.letter, i, j);
    line("{} = {};", name, value);
    if (!valid.empty())
      line("if (!({})) {} = {};", valid, name, s.chunk == 4 ? "vec4(0.0)" : "0.0");
  }

  void fill(const Side& s) {
    for (int64_t i = 0; i < s.units; ++i) fill(s, i);
  }

  void fill(const Side& s, int64_t i) {
    if (!even(s)) line("if ({}_slow{} < {}u) {{", s.letter, i, s.slow_units);
    for (int64_t r = 0; r < s.unit_rows; ++r) {
      std::string value = fmt::format("{}_x{}_0", s.letter, i);
      if (loads(s) > 1) {
        const std::string part = s.turned() ? fmt::format(".{}", "xyzw"[r]) : std::string();
        value = fmt::format("vec4({0}_x{1}_0{2}, {0}_x{1}_1{2}, {0}_x{1}_2{2}, {0}_x{1}_3{2})",
                            s.letter, i, part);
      }
      line("tiles[{}{}_slot{} + {}u] = word({});", turn(s), s.letter, i, r * row_words(), value);
    }
    if (!even(s)) line("}}");
  }

  void multiply() {
    const int64_t row = row_words();
    line("uint from_a = {}{}u + subgroup_m * {}u;", turn(a_side_), a_side_.tile, row);
    line("uint from_b = {}{}u + subgroup_n * {}u;", turn(b_side_), b_side_.tile, row);
    for (int64_t k = 0; k < width_; k += t_.shape.k) {
      line("{{");
      for (int64_t i = 0; i < t_.fragments_m; ++i)
        line(
            "PartOfA a{0}; coopMatLoad(a{0}, tiles, from_a + {1}u, {2}u, "
            "gl_CooperativeMatrixLayoutRowMajor);",
            i, i * t_.shape.m * row + k / kWord, row);
      for (int64_t j = 0; j < t_.fragments_n; ++j) {
        line(
            "PartOfB b{0}; coopMatLoad(b{0}, tiles, from_b + {1}u, {2}u, "
            "gl_CooperativeMatrixLayoutColumnMajor);",
            j, j * t_.shape.n * row + k / kWord, row);
        for (int64_t i = 0; i < t_.fragments_m; ++i)
          line("{0} = coopMatMulAdd(a{1}, b{2}, {0});", sum(i, j), i, j);
      }
      line("}}");
    }
  }

  // A row of a subgroup's results in shared memory, in words (two floats each).
  int64_t result_row_words() const { return t_.subgroup_n() / 2 + 2; }
  int64_t result_words() const { return t_.shape.m * result_row_words(); }

  // Which invocation holds which element of a fragment is the driver's secret: so results go
  // through shared memory, a row of fragments at a time, each subgroup's by itself.
  void results() {
    const int64_t columns = t_.subgroup_n(), row = result_row_words();
    line("barrier();");  // tiles are read no more
    line("uint o_batch = out_of_batch(batch);");
    line("uint own = gl_SubgroupID * {}u;", result_words());
    for (int64_t i = 0; i < t_.fragments_m; ++i) {
      if (i > 0) line("subgroupBarrier();");
      for (int64_t j = 0; j < t_.fragments_n; ++j)
        line("coopMatStore({}, tiles, own + {}u, {}u, gl_CooperativeMatrixLayoutRowMajor);",
             sum(i, j), j * t_.shape.n / 2, row);
      line("subgroupBarrier();");
      line("[[dont_unroll]] for (uint e = gl_SubgroupInvocationID; e < {}u; e += {}u) {{",
           t_.shape.m * columns, t_.subgroup_size);
      line("  uint r = e / {0}u, c = e % {0}u;", columns);
      line("  uint m = m0 + subgroup_m + {}u + r, n = n0 + subgroup_n + c;", i * t_.shape.m);
      line("  if (m < {}u && n < {}u) {{", view_.m_size, view_.n_size);
      line("    float x = uintBitsToFloat(tiles[own + r * {}u + c / 2u][c % 2u]);", row);
      line("    uint o = o_batch + out_of_m(m) + out_of_n(n);");
      line("    {}(o, o, 0u, x);", store_);
      line("  }}");
      line("}}");
    }
  }

  KernelWriter& writer_;
  const ContractAttr& attr_;
  const MatrixTiling& t_;
  const MatrixView view_;
  const Blocks blocks_;
  const int64_t width_;  // steps of a block with those that fill up the last fragment
  const std::string& store_;
  int64_t m_tiles_, n_tiles_;
  Side a_side_, b_side_;
};

}  // namespace

GridKernel emit_contract_matrix(KernelWriter& writer, const std::string& name,
                                const ContractAttr& attr, const MatrixTiling& tiling,
                                const std::string& a, const std::string& b,
                                const std::string& store, const DeviceCaps& caps) {
  MatrixEmitter emitter(writer, attr, tiling, a, b, store);
  GridKernel result;
  result.groups = grid_of(emitter.tiles(), caps);
  result.kernel = writer.finish(name, {tiling.invocations(), 1, 1}, emitter.body(result.groups));
  result.kernel.uses_cooperative_matrix = true;
  result.kernel.uses_float16 = true;
  if (caps.required_subgroup_size) result.kernel.required_subgroup_size = tiling.subgroup_size;
  return result;
}

}  // namespace ito
