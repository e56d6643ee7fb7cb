#include "graph/kernels/contract_shared.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/integer.h"
#include "graph/kernels/contract_blocks.h"

namespace ito {
namespace {

// A divisor of the dim, so that no step is void, unless that leaves the block half empty.
int64_t part_of_shared_block(int64_t size, int64_t room, int64_t) {
  int64_t part = room;
  while (size % part != 0) --part;
  return part * 2 <= room ? room : part;
}

class SharedEmitter : KernelBody {
 public:
  SharedEmitter(KernelWriter& writer, const ContractAttr& attr, const SharedTiling& tiling,
                const std::string& a, const std::string& b, const std::string& store)
      : writer_(writer),
        attr_(attr),
        t_(tiling),
        view_(matrix_view(attr)),
        blocks_(cut_reduction(digits_of(attr, view_.k), tiling.block_k, part_of_shared_block)),
        store_(store),
        m_tiles_(ceil_div(view_.m_size, tiling.block_m)),
        n_tiles_(ceil_div(view_.n_size, tiling.block_n)),
        a_side_(side('a', 'm', a, true)),
        b_side_(side('b', 'n', b, true)) {
    if (a == b && a_side_.chunk != b_side_.chunk) {  // one argument is loaded in one way
      a_side_ = side('a', 'm', a, false);
      b_side_ = side('b', 'n', b, false);
    }
  }

  int64_t tiles() const { return m_tiles_ * n_tiles_ * view_.batch_size; }

  std::string body(std::array<uint32_t, 3> groups) {
    functions();
    line("uint group = gl_WorkGroupID.x{};",
         groups[1] > 1 ? fmt::format(" + gl_WorkGroupID.y * {}u", groups[0]) : "");
    // The same for the whole workgroup, so that no barrier is missed.
    if (static_cast<int64_t>(groups[0]) * groups[1] != tiles())
      line("if (group >= {}u) return;", tiles());
    line("uint m0 = (group % {0}u) * {1}u; group /= {0}u;", m_tiles_, t_.block_m);
    line("uint n0 = (group % {0}u) * {1}u; uint batch = group / {0}u;", n_tiles_, t_.block_n);
    line("uint id = gl_LocalInvocationID.x;");
    line("uint tm = id / {0}u; uint tn = id % {0}u;", t_.block_n / t_.micro_n);
    for (int64_t i = 0; i < t_.micro_m * t_.micro_n; ++i) line("float c{} = 0.0;", i);
    begin(a_side_);
    begin(b_side_);
    for (size_t d = 0; d < blocks_.outside.size(); ++d) line("uint k{} = 0u;", d);
    load(a_side_);
    load(b_side_);
    // What the next block needs is on its way while this one is multiplied. Two tiles in turns: who
    // fills one cannot overtake those that still read it, as it has passed the barrier between.
    const bool loops = blocks_.count > 1;
    if (loops) {
      line("uint turn = 0u;");
      line("for (uint block = 0u; block < {}u; ++block) {{", blocks_.count);
    }
    fill(a_side_);
    fill(b_side_);
    line("barrier();");
    if (loops) {
      step();
      load(a_side_);
      load(b_side_);
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
    int64_t loads = 1;        // of an invocation and block
    int64_t row_length = 0;   // of the tile in shared memory
    std::string array() const { return fmt::format("tile_{}", letter); }
  };

  Side side(char letter, char index, const std::string& argument, bool quads) const {
    const bool is_a = letter == 'a';
    Side s{.letter = letter,
           .index = index,
           .argument = argument,
           .stride = is_a ? &Digit::a : &Digit::b,
           .offset = is_a ? attr_.a_offset : attr_.b_offset,
           .block = is_a ? t_.block_m : t_.block_n,
           .size = is_a ? view_.m_size : view_.n_size,
           .rows = digits_of(attr_, is_a ? view_.m : view_.n)};
    s.along_k = smallest_stride(blocks_.inside, s.stride) < smallest_stride(s.rows, s.stride);
    if (quads && loads_quads(s)) s.chunk = 4;
    s.loads = ceil_div(s.block * blocks_.steps, s.chunk * t_.invocations());
    s.row_length = s.block + SharedTiling::kRowPadding;
    return s;
  }

  // Whether it is loaded by fours along the direction in which it is read.
  bool loads_quads(const Side& s) const {
    if (!writer_.can_load_quads(s.argument)) return false;
    if (s.along_k && blocks_.whole != 0 && blocks_.inside.size() == 1) return false;
    const std::vector<Digit> batch = digits_of(attr_, view_.batch);
    return lie_in_fours(s.along_k ? blocks_.inside : s.rows,
                        {&s.rows, &blocks_.inside, &blocks_.outside, &batch}, s.offset, s.stride);
  }

  void functions() {
    for (const Side* s : {&a_side_, &b_side_}) {
      writer_.function(
          address_function(fmt::format("{}_of_{}", s->letter, s->index), s->rows, s->stride));
      writer_.function(
          address_function(fmt::format("{}_of_k", s->letter), blocks_.inside, s->stride));
      writer_.function(address_function(fmt::format("{}_of_batch", s->letter),
                                        digits_of(attr_, view_.batch), s->stride));
      writer_.function(address_function(fmt::format("out_of_{}", s->index), s->rows, &Digit::out));
      writer_.function(fmt::format("shared float {}[{}];", s->array(), turns() * tile_size(*s)));
    }
    writer_.function(address_function("out_of_batch", digits_of(attr_, view_.batch), &Digit::out));
  }

  int64_t turns() const { return blocks_.count > 1 ? 2 : 1; }
  int64_t tile_size(const Side& s) const { return blocks_.steps * s.row_length; }
  std::string turn(const Side& s) const {
    return turns() > 1 ? fmt::format("turn * {}u + ", tile_size(s)) : "";
  }
  // Whether the loads of all invocations together are exactly the block.
  bool even(const Side& s) const {
    return s.block * blocks_.steps == s.loads * s.chunk * t_.invocations();
  }

  // Where this invocation's loads sit in the tile, and the part of their address that no block
  // changes. Rows beyond the last are read as the last, and their results dropped.
  void begin(const Side& s) {
    line("uint {0}_base = {1}u + {0}_of_batch(batch);", s.letter, wrapped_stride(s.offset));
    for (int64_t i = 0; i < s.loads; ++i) {
      const int64_t fast = (s.along_k ? blocks_.steps : s.block) / s.chunk;
      line("uint {0}_fast{1} = (id + {2}u) % {3}u * {4}u;", s.letter, i, i * t_.invocations(), fast,
           s.chunk);
      line("uint {0}_slow{1} = (id + {2}u) / {3}u;", s.letter, i, i * t_.invocations(), fast);
      const char* row = s.along_k ? "slow" : "fast";
      const char* k = s.along_k ? "fast" : "slow";
      line("uint {0}_slot{1} = {0}_{2}{1} * {3}u + {0}_{4}{1};", s.letter, i, k, s.row_length, row);
      const std::string step = even(s) || s.along_k ? fmt::format("{}_{}{}", s.letter, k, i)
                                                    : fmt::format("min({}_{}{}, {}u)", s.letter, k,
                                                                  i, blocks_.steps - 1);
      line("uint {0}_k{1} = {2};", s.letter, i, step);
      const int64_t last = s.size - (s.along_k ? 1 : s.chunk);
      line("uint {0}_row{1} = {0}_base + {0}_of_{2}(min({2}0 + {0}_{3}{1}, {4}u));", s.letter, i,
           s.index, row, last);
      if (blocks_.whole == 0) {
        line("uint {0}_at{1} = ({0}_row{1} + {0}_of_k({0}_k{1})) / {2}u;", s.letter, i, s.chunk);
      } else {
        // The first digit of k by itself, because it may be void.
        const int64_t inner = blocks_.steps / part();
        line("uint {0}_part{1} = {0}_k{1} / {2}u;", s.letter, i, inner);
        line("uint {0}_safe{1} = {0}_row{1} + {0}_of_k({0}_k{1} % {2}u);", s.letter, i, inner);
        line("uint {0}_more{1} = {0}_of_k({0}_k{1}) - {0}_of_k({0}_k{1} % {2}u);", s.letter, i,
             inner);
      }
      line("{0} {1}_x{2};", s.chunk == 4 ? "vec4" : "float", s.letter, i);
    }
    line("uint {}_step = 0u;", s.letter);
  }

  int64_t part() const { return blocks_.inside.front().size; }

  std::string loaded(const Side& s, const std::string& at) const {
    return writer_.rounded(attr_.multiply, s.chunk == 4 ? writer_.load_quad(s.argument, at)
                                                        : writer_.load(s.argument, at));
  }

  void load(const Side& s) {
    for (int64_t i = 0; i < s.loads; ++i) {
      if (blocks_.whole == 0) {
        line("{0}_x{1} = {2};", s.letter, i,
             loaded(s, fmt::format("{0}_at{1} + {0}_step", s.letter, i)));
        continue;
      }
      const size_t cut = blocks_.outside.size() - 1;
      line("{{ bool in_range = k{0} * {1}u + {2}_part{3} < {4}u;", cut, part(), s.letter, i,
           blocks_.whole);
      const std::string at =
          s.chunk == 4
              ? fmt::format("({0}_safe{1} + (in_range ? {0}_more{1} : 0u)) / 4u + {0}_step",
                            s.letter, i)
              : fmt::format("{0}_safe{1} + (in_range ? {0}_more{1} : 0u) + {0}_step", s.letter, i);
      line("  {0} x = {1};", s.chunk == 4 ? "vec4" : "float", loaded(s, at));
      line("  {0}_x{1} = in_range ? x : {2}; }}", s.letter, i, s.chunk == 4 ? "vec4(0.0)" : "0.0");
    }
  }

  // Advances the block's coordinates, all of which are the same for the whole workgroup. Beyond the
  // last block they begin again: what is then loaded is there, and not used.
  void step() {
    for (const std::string& text : next_block(blocks_.outside)) line("{}", text);
    for (const Side* s : {&a_side_, &b_side_})
      line("{}_step = {};", s->letter, block_address(blocks_.outside, s->stride, s->chunk));
  }

  void fill(const Side& s) {
    for (int64_t i = 0; i < s.loads; ++i) {
      if (!even(s))
        line("if ({0}_slow{1} < {2}u) {{", s.letter, i, s.along_k ? s.block : blocks_.steps);
      for (int64_t j = 0; j < s.chunk; ++j)
        line("{0}[{1}{2}_slot{3} + {4}u] = {2}_x{3}{5};", s.array(), turn(s), s.letter, i,
             j * (s.along_k ? s.row_length : 1),
             s.chunk == 4 ? fmt::format(".{}", "xyzw"[j]) : std::string());
      if (!even(s)) line("}}");
    }
  }

  // Rows and columns of an invocation are fours, spread over the block: four lie together for wide
  // loads, and neighbouring invocations read neighbouring fours.
  static int64_t together(int64_t micro) { return std::min<int64_t>(4, micro); }
  static int64_t place(int64_t i, int64_t micro, int64_t threads) {
    return i / together(micro) * threads * together(micro) + i % together(micro);
  }
  int64_t row(int64_t i) const { return place(i, t_.micro_m, t_.block_m / t_.micro_m); }
  int64_t column(int64_t j) const { return place(j, t_.micro_n, t_.block_n / t_.micro_n); }

  void multiply() {
    writer_.extension("GL_EXT_control_flow_attributes");
    line("uint from_a = {}tm * {}u;", turn(a_side_), together(t_.micro_m));
    line("uint from_b = {}tn * {}u;", turn(b_side_), together(t_.micro_n));
    line("[[unroll]] for (uint k = 0u; k < {}u; ++k) {{", blocks_.steps);
    for (int64_t i = 0; i < t_.micro_m; ++i)
      line("float x{} = tile_a[from_a + k * {}u + {}u];", i, a_side_.row_length, row(i));
    for (int64_t j = 0; j < t_.micro_n; ++j)
      line("float y{} = tile_b[from_b + k * {}u + {}u];", j, b_side_.row_length, column(j));
    for (int64_t i = 0; i < t_.micro_m; ++i)
      for (int64_t j = 0; j < t_.micro_n; ++j)
        line("c{0} = fma(x{1}, y{2}, c{0});", i * t_.micro_n + j, i, j);
    line("}}");
  }

  void results() {
    const bool all_rows = view_.m_size % t_.block_m == 0;
    const bool all_columns = view_.n_size % t_.block_n == 0;
    line("uint o_batch = out_of_batch(batch);");
    line("uint m = m0 + tm * {}u, n = n0 + tn * {}u;", together(t_.micro_m), together(t_.micro_n));
    for (int64_t j = 0; j < t_.micro_n; ++j) line("uint o{} = out_of_n(n + {}u);", j, column(j));
    for (int64_t i = 0; i < t_.micro_m; ++i) {
      if (all_rows)
        line("{{ uint o_m = o_batch + out_of_m(m + {}u);", row(i));
      else
        line("if (m + {0}u < {1}u) {{ uint o_m = o_batch + out_of_m(m + {0}u);", row(i),
             view_.m_size);
      for (int64_t j = 0; j < t_.micro_n; ++j) {
        const std::string guard =
            all_columns ? "" : fmt::format("if (n + {}u < {}u) ", column(j), view_.n_size);
        line("{}{{ uint o = o_m + o{}; {}(o, o, 0u, c{}); }}", guard, j, store_,
             i * t_.micro_n + j);
      }
      line("}}");
    }
  }

  KernelWriter& writer_;
  const ContractAttr& attr_;
  const SharedTiling& t_;
  const MatrixView view_;
  const Blocks blocks_;
  const std::string& store_;
  int64_t m_tiles_, n_tiles_;
  Side a_side_, b_side_;
};

}  // namespace

GridKernel emit_contract_shared(KernelWriter& writer, const std::string& name,
                                const ContractAttr& attr, const SharedTiling& tiling,
                                const std::string& a, const std::string& b,
                                const std::string& store, const DeviceCaps& caps) {
  SharedEmitter emitter(writer, attr, tiling, a, b, store);
  GridKernel result;
  result.groups = grid_of(emitter.tiles(), caps);
  result.kernel = writer.finish(name, {tiling.invocations(), 1, 1}, emitter.body(result.groups));
  return result;
}

}  // namespace ito
