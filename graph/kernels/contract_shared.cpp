#include "graph/kernels/contract_shared.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/check.h"
#include "base/integer.h"

namespace ito {
namespace {

using Dim = ContractAttr::Dim;

// A GLSL function `uint name(uint i)`: the address of linear index i over `dims`.
std::string address_function(const std::string& name, const ContractAttr& attr,
                             const std::vector<int>& dims, int64_t Dim::*stride) {
  std::string text = fmt::format("uint {}(uint i) {{\n  uint sum = 0u;\n", name);
  for (size_t j = dims.size(); j-- > 0;) {
    const Dim& dim = attr.dims[static_cast<size_t>(dims[j])];
    if (j == 0) {
      text += fmt::format("  sum += i * {}u;\n", static_cast<uint32_t>(dim.*stride));
    } else {
      text += fmt::format("  sum += (i % {0}u) * {1}u; i /= {0}u;\n", dim.size,
                          static_cast<uint32_t>(dim.*stride));
    }
  }
  return text + "  return sum;\n}";
}

// Which of two index lists holds the operand's smallest stride: neighbouring invocations should
// read neighbouring elements.
bool contiguous_along(const ContractAttr& attr, const std::vector<int>& dims,
                      const std::vector<int>& others, int64_t Dim::*stride) {
  auto smallest = [&](const std::vector<int>& list) {
    int64_t least = INT64_MAX;
    for (int d : list) {
      const int64_t s = std::abs(attr.dims[static_cast<size_t>(d)].*stride);
      if (s != 0) least = std::min(least, s);
    }
    return least;
  };
  return smallest(dims) < smallest(others);
}

class SharedEmitter : KernelBody {
 public:
  SharedEmitter(KernelWriter& writer, const ContractAttr& attr, const SharedTiling& tiling,
                const std::string& a, const std::string& b, const std::string& store)
      : writer_(writer),
        attr_(attr),
        t_(tiling),
        view_(matrix_view(attr)),
        a_(a),
        b_(b),
        store_(store),
        m_tiles_(ceil_div(view_.m_size, tiling.block_m)),
        n_tiles_(ceil_div(view_.n_size, tiling.block_n)) {}

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
    const int64_t n_threads = t_.block_n / t_.micro_n;
    line("uint tm = id / {}u; uint tn = id % {}u;", n_threads, n_threads);
    line("float c[{}];", t_.micro_m * t_.micro_n);
    line("for (int i = 0; i < {}; ++i) c[i] = 0.0;", t_.micro_m * t_.micro_n);
    side(a_side());
    side(b_side());
    line("for (uint k0 = 0u; k0 < {}u; k0 += {}u) {{", view_.k_size, t_.block_k);
    fill(a_side());
    fill(b_side());
    line("barrier();");
    multiply();
    line("barrier();");
    line("}}");
    results();
    return std::move(text_);
  }

 private:
  struct Side {
    char letter;  // 'a' or 'b'
    char index;   // 'm' or 'n'
    const std::string& argument;
    int64_t block;  // block_m or block_n
    int64_t size;   // m_size or n_size
    bool along_k;   // neighbouring invocations load neighbouring k
  };

  Side a_side() const {
    return {'a',        'm',          a_,
            t_.block_m, view_.m_size, contiguous_along(attr_, view_.k, view_.m, &Dim::a)};
  }
  Side b_side() const {
    return {'b',        'n',          b_,
            t_.block_n, view_.n_size, contiguous_along(attr_, view_.k, view_.n, &Dim::b)};
  }

  void functions() {
    writer_.function(address_function("a_of_m", attr_, view_.m, &Dim::a));
    writer_.function(address_function("b_of_n", attr_, view_.n, &Dim::b));
    writer_.function(address_function("a_of_k", attr_, view_.k, &Dim::a));
    writer_.function(address_function("b_of_k", attr_, view_.k, &Dim::b));
    writer_.function(address_function("a_of_batch", attr_, view_.batch, &Dim::a));
    writer_.function(address_function("b_of_batch", attr_, view_.batch, &Dim::b));
    writer_.function(address_function("out_of_m", attr_, view_.m, &Dim::out));
    writer_.function(address_function("out_of_n", attr_, view_.n, &Dim::out));
    writer_.function(address_function("out_of_batch", attr_, view_.batch, &Dim::out));
    // Rows are one element longer than the block, against bank conflicts.
    writer_.function(fmt::format("shared float tile_a[{}];\nshared float tile_b[{}];",
                                 t_.block_k * (t_.block_m + 1), t_.block_k * (t_.block_n + 1)));
  }

  int64_t loads(const Side& s) const { return ceil_div(s.block * t_.block_k, t_.invocations()); }

  // Where this invocation's loads sit in the tile, and the part of their address that does not
  // change with k.
  void side(const Side& s) {
    const int64_t offset = s.letter == 'a' ? attr_.a_offset : attr_.b_offset;
    line("uint {0}_base = {1}u + {0}_of_batch(batch);", s.letter, static_cast<uint32_t>(offset));
    for (int64_t i = 0; i < loads(s); ++i) {
      const std::string at = fmt::format("(id + {}u)", i * t_.invocations());
      const int64_t fast = s.along_k ? t_.block_k : s.block;
      line("uint {}_fast{} = {} % {}u;", s.letter, i, at, fast);
      line("uint {}_slow{} = {} / {}u;", s.letter, i, at, fast);
      const char* row = s.along_k ? "slow" : "fast";
      const char* k = s.along_k ? "fast" : "slow";
      line("uint {0}_row{1} = {2}0 + {0}_{3}{1};", s.letter, i, s.index, row);
      line("bool {0}_in{1} = {0}_row{1} < {2}u && {0}_{3}{1} < {4}u;", s.letter, i, s.size, k,
           t_.block_k);
      line("uint {0}_at{1} = {0}_base + {0}_of_{2}(min({0}_row{1}, {3}u));", s.letter, i, s.index,
           s.size - 1);
      line("uint {0}_k{1} = {0}_{2}{1};", s.letter, i, k);
      line("uint {0}_slot{1} = {0}_{2}{1} * {3}u + {0}_{4}{1};", s.letter, i, k, s.block + 1, row);
    }
  }

  void fill(const Side& s) {
    const bool whole = s.block * t_.block_k % t_.invocations() == 0;
    for (int64_t i = 0; i < loads(s); ++i) {
      const std::string index = fmt::format("{0}_at{1} + {0}_of_k(min(k0 + {0}_k{1}, {2}u))",
                                            s.letter, i, view_.k_size - 1);
      // Loads stay in range and are discarded, rather than branched around.
      line("{{ float x = {};", writer_.load(s.argument, index));
      line("  x = {0}_in{1} && k0 + {0}_k{1} < {2}u ? x : 0.0;", s.letter, i, view_.k_size);
      if (whole)
        line("  tile_{0}[{0}_slot{1}] = x; }}", s.letter, i);
      else
        line("  if ({0}_k{1} < {2}u) tile_{0}[{0}_slot{1}] = x; }}", s.letter, i, t_.block_k);
    }
  }

  // Rows and columns of one invocation are spread over the block, so that neighbouring
  // invocations store neighbouring elements.
  void multiply() {
    const int64_t m_threads = t_.block_m / t_.micro_m, n_threads = t_.block_n / t_.micro_n;
    line("for (uint k = 0u; k < {}u; ++k) {{", t_.block_k);
    for (int64_t i = 0; i < t_.micro_m; ++i)
      line("float x{} = tile_a[k * {}u + tm + {}u];", i, t_.block_m + 1, i * m_threads);
    for (int64_t j = 0; j < t_.micro_n; ++j)
      line("float y{} = tile_b[k * {}u + tn + {}u];", j, t_.block_n + 1, j * n_threads);
    for (int64_t i = 0; i < t_.micro_m; ++i)
      for (int64_t j = 0; j < t_.micro_n; ++j)
        line("c[{0}] = fma(x{1}, y{2}, c[{0}]);", i * t_.micro_n + j, i, j);
    line("}}");
  }

  void results() {
    const int64_t m_threads = t_.block_m / t_.micro_m, n_threads = t_.block_n / t_.micro_n;
    line("uint o_batch = out_of_batch(batch);");
    for (int64_t i = 0; i < t_.micro_m; ++i) {
      line("{{ uint m = m0 + tm + {}u;", i * m_threads);
      line("if (m < {}u) {{ uint o_m = o_batch + out_of_m(m);", view_.m_size);
      for (int64_t j = 0; j < t_.micro_n; ++j) {
        line("{{ uint n = n0 + tn + {}u;", j * n_threads);
        line("if (n < {}u) {{ uint o = o_m + out_of_n(n); {}(o, o, 0u, c[{}]); }} }}", view_.n_size,
             store_, i * t_.micro_n + j);
      }
      line("}} }}");
    }
  }

  KernelWriter& writer_;
  const ContractAttr& attr_;
  const SharedTiling& t_;
  const MatrixView view_;
  const std::string& a_;
  const std::string& b_;
  const std::string& store_;
  int64_t m_tiles_, n_tiles_;
};

}  // namespace

ContractKernel emit_contract_shared(KernelWriter& writer, const std::string& name,
                                    const ContractAttr& attr, const SharedTiling& tiling,
                                    const std::string& a, const std::string& b,
                                    const std::string& store, const DeviceCaps& caps) {
  SharedEmitter emitter(writer, attr, tiling, a, b, store);
  const auto tiles = static_cast<uint32_t>(emitter.tiles());
  ContractKernel result;
  result.groups = {tiles, 1, 1};
  if (tiles > caps.max_groups_x) {
    const auto y = static_cast<uint32_t>(ceil_div(tiles, caps.max_groups_x));
    result.groups = {static_cast<uint32_t>(ceil_div(tiles, y)), y, 1};
  }
  result.kernel = writer.finish(name, {tiling.invocations(), 1, 1}, emitter.body(result.groups));
  return result;
}

}  // namespace ito
