#include "graph/kernels/reduce.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <sstream>

#include "base/integer.h"
#include "graph/kernels/emit.h"
#include "graph/kernels/glsl_lib.h"

namespace ito {
namespace {

struct ReduceWalk {
  const Shape& shape;         // of the operand
  std::vector<bool> reduced;  // by axis
  Shape out;                  // reduced axes are 1
  int64_t length = 1;         // elements per output
  int64_t outputs = 1;
};

std::string identity(Op op, DType dtype) {
  if (op == Op::kReduceSum) return glsl_literal(dtype, 0);
  if (dtype == DType::kU32) return "0u";
  if (dtype == DType::kI32) return "int(0x80000000u)";
  return "uintBitsToFloat(0xff800000u)";
}

std::string combine(Op op, const std::string& a, const std::string& b) {
  return op == Op::kReduceSum ? fmt::format("{} + {}", a, b) : fmt::format("ito_max({}, {})", a, b);
}

// Long walks repeat their body in one turn of the loop, which costs a CPU driver about forty cycles
// for masks and counters; short ones do not repay the driver's compile time.
constexpr int64_t kReduceRepeats = 4;
constexpr int64_t kLongWalk = 32768;
constexpr int64_t kReduceRepeatedLines = 24;

int64_t lines_of(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

bool mentions(const std::string& text, const std::set<std::string>& names) {
  for (size_t i = 0; i < text.size();) {
    if (!std::isalnum(static_cast<unsigned char>(text[i])) && text[i] != '_') {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < text.size() &&
           (std::isalnum(static_cast<unsigned char>(text[end])) || text[end] == '_'))
      ++end;
    if (names.contains(text.substr(i, end - i))) return true;
    i = end;
  }
  return false;
}

// Takes the statements out of a loop's body that are the same in every turn: definitions "type name
// = expression;" that mention neither `changing` names nor definitions that stay.
std::string take_invariant(std::string& body, std::set<std::string> changing) {
  std::string outside, inside;
  std::istringstream lines(body);
  for (std::string line; std::getline(lines, line); line += "\n") {
    std::istringstream words(line);
    std::string type, name, equals;
    words >> type >> name >> equals;
    const bool defines = equals == "=" && line.back() == ';' && line.front() == ' ';
    if (defines && !mentions(line, changing)) {
      outside += line + "\n";
    } else {
      if (defines) changing.insert(name);
      inside += line + "\n";
    }
  }
  body = inside;
  return outside;
}

class ReduceEmitter {
 public:
  ReduceEmitter(const Graph& graph, const FusedKernel& kernel, const StorageMap& storage,
                const DeviceCaps& caps, const std::string& prefix)
      : graph_(graph),
        kernel_(kernel),
        storage_(storage),
        caps_(caps),
        first_(graph.node(kernel.heavy[0])),
        walk_{graph.node(first_.inputs[0]).shape, {}, first_.shape, 1, first_.shape.numel()},
        writer_(prefix),
        expression_(graph, writer_, storage) {
    for (NodeId id : kernel.heavy)
      if (graph.node(id).op == Op::kReduceMax)
        writer_.function(std::string(glsl_helper("ito_max")));
    walk_.reduced.assign(static_cast<size_t>(walk_.shape.rank()), false);
    for (int64_t axis : std::get<AxesAttr>(first_.attrs).axes) {
      walk_.reduced[static_cast<size_t>(axis)] = true;
      walk_.length *= walk_.shape[static_cast<int>(axis)];
    }
  }

  EmittedKernel emit() {
    int inner = walk_.shape.rank() - 1;
    while (inner > 0 && walk_.shape[inner] == 1) --inner;
    int64_t together = 1;
    if (!kernel_.second.empty())
      together = graph_.node(graph_.node(kernel_.second[0]).inputs[0]).shape[-1];
    if (const ColumnTile tile = column_tile(walk_.shape, walk_.reduced, together, caps_);
        tile.columns > 0)
      return emit_columns(tile, together);
    CHECK(kernel_.second.empty(), "only sums of columns are summed again");
    bool lanes_reduce = walk_.reduced[static_cast<size_t>(inner)] && walk_.length >= 32;
    return lanes_reduce ? emit_lanes_over_reduction() : emit_lanes_over_outputs();
  }

 private:
  std::string declare() {
    std::string text;
    for (size_t i = 0; i < kernel_.heavy.size(); ++i) {
      const Node& node = graph_.node(kernel_.heavy[i]);
      expression_.set_varying(fmt::format("acc{}", i));
      text += fmt::format("  {} acc{} = {};\n", glsl_type(node.dtype), i,
                          identity(node.op, node.dtype));
    }
    return text;
  }

  // Adds the element at `coords` to every accumulator.
  void accumulate(const std::vector<std::string>& coords) {
    std::vector<std::string> values;
    for (NodeId heavy : kernel_.heavy)
      values.push_back(expression_.value(graph_.node(heavy).inputs[0], ElementIndex{{}, coords}));
    std::string text;
    for (size_t i = 0; i < kernel_.heavy.size(); ++i) {
      std::string acc = fmt::format("acc{}", i);
      text += fmt::format("  {} = {};\n", acc,
                          combine(graph_.node(kernel_.heavy[i]).op, acc, values[i]));
    }
    expression_.append(text);
  }

  std::string stores(const std::string& condition = "") {
    expression_.forget();
    for (size_t i = 0; i < kernel_.heavy.size(); ++i)
      expression_.bind(kernel_.heavy[i], "o", fmt::format("acc{}", i));
    emit_stores(graph_, stores_of(kernel_.heavy[0]), storage_, writer_, expression_,
                ElementIndex{"o", {}}, walk_.out, condition);
    return expression_.take_text();
  }

  // One output per invocation, a serial loop over the reduced axes.
  EmittedKernel emit_lanes_over_outputs() {
    uint32_t lanes =
        caps_.is_cpu ? caps_.subgroup_size : std::min<uint32_t>(128, caps_.max_workgroup_size_x);
    int64_t groups = ceil_div(walk_.outputs, lanes);
    std::string body = begin_lanes(writer_, expression_, caps_);
    std::string group = "gl_WorkGroupID.x";
    if (groups > caps_.max_groups_x)
      group = fmt::format("(gl_WorkGroupID.y * {}u + gl_WorkGroupID.x)", caps_.max_groups_x);
    body += fmt::format("  uint base = {} * {}u;\n  uint o = base + lane;\n", group, lanes);
    bool guard = walk_.outputs % lanes != 0 || groups > caps_.max_groups_x;
    if (guard) body += fmt::format("  if (o >= {}u) return;\n", walk_.outputs);
    expression_.set_varying("o");
    if (!guard && caps_.is_cpu) expression_.set_lanes("o", "base", lanes);
    std::vector<std::string> coords = expression_.coords(ElementIndex{"o", {}}, walk_.out);
    body += expression_.take_text() + declare();
    std::vector<int> loops;
    for (int i = 0; i < walk_.shape.rank(); ++i) {
      if (!walk_.reduced[static_cast<size_t>(i)]) continue;
      if (walk_.shape[i] == 1) {
        coords[static_cast<size_t>(i)] = "0u";
        continue;
      }
      loops.push_back(i);
      coords[static_cast<size_t>(i)] = fmt::format("r{}", i);
    }
    accumulate(coords);
    const int last = loops.empty() ? 0 : loops.back();
    int64_t repeats = 1;
    if (!loops.empty() && caps_.is_cpu && walk_.shape[last] % kReduceRepeats == 0 &&
        walk_.length * walk_.outputs >= kLongWalk &&
        lines_of(expression_.text()) <= kReduceRepeatedLines)
      repeats = kReduceRepeats;
    for (int64_t k = 1; k < repeats; ++k) {
      coords[static_cast<size_t>(last)] =
          expression_.variable("uint", fmt::format("(r{} + {}u)", last, k));
      accumulate(coords);
    }
    std::string turn = expression_.take_text(), open, close;
    std::set<std::string> changing;
    for (size_t i = 0; i < kernel_.heavy.size(); ++i) changing.insert(fmt::format("acc{}", i));
    for (int i : loops) {
      const int64_t turns = walk_.shape[i] / (i == last ? repeats : 1);
      // Clamped for the turn that a CPU driver takes with all lanes off (see emit_map).
      open += fmt::format(
          "  for (uint turn{0} = 0u; turn{0} < {1}u; ++turn{0}) {{\n"
          "  uint r{0} = {2};\n",
          i, turns,
          index_mul(fmt::format("min(turn{}, {}u)", i, turns - 1), walk_.shape[i] / turns));
      close += "  }\n";
      changing.insert(fmt::format("r{}", i));
    }
    if (!loops.empty()) body += take_invariant(turn, changing);
    body += open + turn + close;
    body += stores();
    uint32_t x = static_cast<uint32_t>(std::min<int64_t>(groups, caps_.max_groups_x));
    return finish(body, lanes, {x, static_cast<uint32_t>(ceil_div(groups, x)), 1});
  }

  // One output per workgroup; lanes walk the reduction and meet at the end, in fixed order.
  EmittedKernel emit_lanes_over_reduction() {
    bool subgroup = caps_.is_cpu && caps_.subgroup_arithmetic;
    uint32_t lanes =
        subgroup ? caps_.subgroup_size
                 : std::min<uint32_t>(walk_.length >= 1024 ? 128 : 64, caps_.max_workgroup_size_x);
    int64_t groups = walk_.outputs;
    std::string body = subgroup ? begin_lanes(writer_, expression_, caps_)
                                : "  uint lane = gl_LocalInvocationID.x;\n";
    if (groups > caps_.max_groups_x)
      body += fmt::format(
          "  uint place = gl_WorkGroupID.y * {}u + gl_WorkGroupID.x;\n"
          "  uint o = min(place, {}u);\n",
          caps_.max_groups_x, walk_.outputs - 1);
    else
      body += "  uint o = gl_WorkGroupID.x;\n";
    std::vector<std::string> coords = expression_.coords(ElementIndex{"o", {}}, walk_.out);
    body += expression_.take_text() + declare();
    bool guard = walk_.length % lanes != 0;
    std::vector<int64_t> dims;
    for (int i = 0; i < walk_.shape.rank(); ++i)
      if (walk_.reduced[static_cast<size_t>(i)]) dims.push_back(walk_.shape[i]);
    expression_.set_varying("lane");
    int64_t repeats = 1;
    for (int64_t k = 0; k < repeats; ++k) {
      std::string r = k == 0 ? "r" : fmt::format("r_{}", k);
      if (k > 0)
        expression_.append(
            fmt::format("  uint r_base_{0} = r_base + {1}u;\n"
                        "  uint r_{0} = r_base_{0} + lane;\n",
                        k, k * lanes));
      expression_.set_varying(r);
      if (!guard && subgroup)
        expression_.set_lanes(r, k == 0 ? "r_base" : fmt::format("r_base_{}", k), lanes);
      std::vector<std::string> at = expression_.coords(ElementIndex{r, {}}, Shape(dims));
      size_t next = 0;
      for (int i = 0; i < walk_.shape.rank(); ++i)
        if (walk_.reduced[static_cast<size_t>(i)]) coords[static_cast<size_t>(i)] = at[next++];
      accumulate(coords);
      if (k == 0 && subgroup && walk_.length % (lanes * kReduceRepeats) == 0 &&
          walk_.length * walk_.outputs >= kLongWalk &&
          lines_of(expression_.text()) <= kReduceRepeatedLines)
        repeats = kReduceRepeats;
    }
    std::string turn = expression_.take_text();
    std::set<std::string> changing = {"r", "r_base"};
    for (size_t i = 0; i < kernel_.heavy.size(); ++i) changing.insert(fmt::format("acc{}", i));
    body += take_invariant(turn, changing);
    const int64_t step = lanes * repeats;
    body += fmt::format(
        "  for (uint turn = 0u; turn < {0}u; turn += {1}u) {{\n"
        "  uint r_base = min(turn, {2}u);\n  uint r = r_base + lane;\n",
        walk_.length, step, (walk_.length - 1) / step * step);
    if (guard) body += fmt::format("  if (r < {}u) {{\n", walk_.length);
    body += turn + (guard ? "  }\n  }\n" : "  }\n");
    for (size_t i = 0; i < kernel_.heavy.size(); ++i)
      body += subgroup ? meet_in_subgroup(i) : meet_in_shared_memory(i, lanes, 1);
    body += stores(groups > caps_.max_groups_x ? "lane == 0u && place == o" : "lane == 0u");
    uint32_t x = static_cast<uint32_t>(std::min<int64_t>(groups, caps_.max_groups_x));
    EmittedKernel result = finish(body, lanes, {x, static_cast<uint32_t>(ceil_div(groups, x)), 1});
    return result;
  }

  // Some columns of a matrix per workgroup, each walked by several invocations, which meet in
  // fixed order; and then sums of neighbouring columns, from shared memory as well.
  EmittedKernel emit_columns(const ColumnTile& tile, int64_t together) {
    const int64_t rows = walk_.shape[-2], count = walk_.shape[-1];
    const int64_t tiles = count / tile.columns, groups = walk_.outputs / tile.columns;
    const auto lanes = static_cast<uint32_t>(tile.columns * tile.rows);
    std::string body = "  uint lane = gl_LocalInvocationID.x;\n";
    if (groups > caps_.max_groups_x)
      body += fmt::format(
          "  uint group = gl_WorkGroupID.y * {}u + gl_WorkGroupID.x;\n"
          "  if (group >= {}u) return;\n",
          caps_.max_groups_x, groups);
    else
      body += "  uint group = gl_WorkGroupID.x;\n";
    body += fmt::format(
        "  uint column = group % {0}u * {1}u + lane % {1}u;\n"
        "  uint matrix = group / {0}u;\n"
        "  uint o = matrix * {2}u + column;\n",
        tiles, tile.columns, count);
    for (const char* name : {"lane", "column", "o", "r"}) expression_.set_varying(name);
    body += declare();
    std::vector<std::string> coords = {"r", "column"};
    if (walk_.shape.rank() > 2) coords.insert(coords.begin(), "matrix");
    accumulate(coords);
    std::string turn = expression_.take_text();
    std::set<std::string> changing = {"r"};
    for (size_t i = 0; i < kernel_.heavy.size(); ++i) changing.insert(fmt::format("acc{}", i));
    body += take_invariant(turn, changing);
    body += fmt::format("  for (uint r = lane / {}u; r < {}u; r += {}u) {{\n{}  }}\n", tile.columns,
                        rows, tile.rows, turn);
    for (size_t i = 0; i < kernel_.heavy.size(); ++i)
      body += meet_in_shared_memory(i, lanes, tile.columns);
    body += stores(fmt::format("lane < {}u", tile.columns));
    if (!kernel_.second.empty()) body += sum_columns(tile.columns, together);
    if (!kernel_.spread.empty()) body += spread(tile, together);
    const auto x = static_cast<uint32_t>(std::min<int64_t>(groups, caps_.max_groups_x));
    return finish(body, lanes, {x, static_cast<uint32_t>(ceil_div(groups, x)), 1});
  }

  // Behind stores(), whose results are at hand: runs of `together` columns, added up in order.
  std::string sum_columns(int64_t columns, int64_t together) {
    const int64_t kept = columns / together;
    std::string text, sums;
    for (size_t i = 0; i < kernel_.second.size(); ++i) {
      const Node& node = graph_.node(kernel_.second[i]);
      const std::string type(glsl_type(node.dtype));
      const std::string value = expression_.value(node.inputs[0], ElementIndex{"o", {}});
      const std::string shared = writer_.own(fmt::format("again{}", i));
      writer_.function(fmt::format("shared {} {}[{}];", type, shared, columns));
      text += fmt::format("  if (lane < {}u) {}[lane] = {};\n", columns, shared, value);
      sums += fmt::format(
          "  {0} sum{1} = {2}[first];\n"
          "  for (uint j = 1u; j < {3}u; ++j) sum{1} += {2}[first + j];\n",
          type, i, shared, together);
      expression_.set_varying(fmt::format("sum{}", i));
    }
    text = expression_.take_text() + text +
           fmt::format(
               "  barrier();\n  uint kept = min(lane, {}u);\n  uint first = kept * {}u;\n"
               "  uint p = group * {}u + kept;\n",
               kept - 1, together, kept) +
           sums;
    expression_.set_varying("p");
    for (size_t i = 0; i < kernel_.second.size(); ++i)
      expression_.bind(kernel_.second[i], "p", fmt::format("sum{}", i));
    emit_stores(graph_, stores_of(kernel_.second[0]), storage_, writer_, expression_,
                ElementIndex{"p", {}}, graph_.node(kernel_.second[0]).shape,
                fmt::format("lane < {}u", kept));
    return text + expression_.take_text();
  }

  // Behind all sums, each in one of the first lanes: given to all, which write what is made of them
  // along the same columns.
  std::string spread(const ColumnTile& tile, int64_t together) {
    std::string text, held;
    std::vector<std::pair<NodeId, std::string>> sums;
    for (NodeId id : kernel_.stores) {
      if (is_spread(id)) continue;
      const Node& node = graph_.node(id);
      const bool first = node.shape.numel() == walk_.outputs;
      const std::string value = expression_.value(id, ElementIndex{first ? "o" : "p", {}});
      const std::string shared = writer_.own(fmt::format("held{}", sums.size()));
      const int64_t count = first ? tile.columns : tile.columns / together;
      writer_.function(fmt::format("shared {} {}[{}];", glsl_type(node.dtype), shared, count));
      text += fmt::format("  if (lane < {}u) {}[lane] = {};\n", count, shared, value);
      const std::string at = index_div(index_rem("lane", tile.columns), tile.columns / count);
      held += fmt::format("  {} h{} = {}[{}];\n", glsl_type(node.dtype), sums.size(), shared, at);
      sums.push_back({id, fmt::format("h{}", sums.size())});
    }
    text = expression_.take_text() + text + "  barrier();\n" + held;
    expression_.forget();
    for (const auto& [id, name] : sums) {
      expression_.set_varying(name);
      expression_.bind(id, "", name);
    }
    const Shape& to = graph_.node(kernel_.spread[0]).shape;
    const Shape rows(std::vector<int64_t>(to.dims().begin() + 1, to.dims().end() - 1));
    expression_.set_varying("s");
    std::vector<std::string> coords = expression_.coords(ElementIndex{"s", {}}, rows);
    coords.insert(coords.begin(), "matrix");
    coords.push_back("column");
    emit_stores(graph_, kernel_.spread, storage_, writer_, expression_, ElementIndex{{}, coords},
                to);
    std::string turn = expression_.take_text();
    text += take_invariant(turn, {"s"});
    return text + fmt::format("  for (uint s = lane / {}u; s < {}u; s += {}u) {{\n{}  }}\n",
                              tile.columns, rows.numel(), tile.rows, turn);
  }

  bool is_spread(NodeId id) const {
    return std::find(kernel_.spread.begin(), kernel_.spread.end(), id) != kernel_.spread.end();
  }

  // What is stored of the sums that are taken together with `sum`.
  std::vector<NodeId> stores_of(NodeId sum) const {
    std::vector<NodeId> result;
    for (NodeId id : kernel_.stores)
      if (!is_spread(id) && graph_.node(id).shape.numel() == graph_.node(sum).shape.numel())
        result.push_back(id);
    return result;
  }

  std::string meet_in_subgroup(size_t i) {
    writer_.extension("GL_KHR_shader_subgroup_arithmetic");
    const Node& node = graph_.node(kernel_.heavy[i]);
    if (node.op == Op::kReduceSum) return fmt::format("  acc{0} = subgroupAdd(acc{0});\n", i);
    if (!is_float(node.dtype)) return fmt::format("  acc{0} = subgroupMax(acc{0});\n", i);
    // subgroupMax may drop a NaN; as an unsigned number, one lies above every other magnitude.
    return fmt::format(
        "  uint magnitude{0} = subgroupMax(floatBitsToUint(acc{0}) & 0x7fffffffu);\n"
        "  acc{0} = magnitude{0} > 0x7f800000u ? uintBitsToFloat(magnitude{0}) : "
        "subgroupMax(acc{0});\n",
        i);
  }

  // Of every `columns`-th lane.
  std::string meet_in_shared_memory(size_t i, uint32_t lanes, int64_t columns) {
    const Node& node = graph_.node(kernel_.heavy[i]);
    const std::string shared = writer_.own(fmt::format("meet{}", i));
    writer_.function(fmt::format("shared {} {}[{}];", glsl_type(node.dtype), shared, lanes));
    std::string text = fmt::format("  {}[lane] = acc{};\n  barrier();\n", shared, i);
    for (int64_t half = lanes / 2; half >= columns; half /= 2) {
      std::string there = fmt::format("{}[lane + {}u]", shared, half);
      std::string here = fmt::format("{}[lane]", shared);
      text += fmt::format("  if (lane < {}u) {} = {};\n  barrier();\n", half, here,
                          combine(node.op, here, there));
    }
    return text + fmt::format("  acc{} = {}[{}];\n", i, shared, index_rem("lane", columns));
  }

  EmittedKernel finish(const std::string& body, uint32_t lanes, std::array<uint32_t, 3> groups) {
    EmittedKernel result;
    result.kernel = writer_.finish("reduce", {lanes, 1, 1}, body);
    result.writer = writer_;
    result.groups = groups;
    if (caps_.is_cpu && lanes == caps_.subgroup_size) result.kernel.required_subgroup_size = lanes;
    return result;
  }

  const Graph& graph_;
  const FusedKernel& kernel_;
  const StorageMap& storage_;
  const DeviceCaps& caps_;
  const Node& first_;
  ReduceWalk walk_;
  KernelWriter writer_;
  ExpressionWriter expression_;
};

}  // namespace

EmittedKernel emit_reduce(const Graph& graph, const FusedKernel& kernel, const StorageMap& storage,
                          const DeviceCaps& caps, const std::string& prefix) {
  return ReduceEmitter(graph, kernel, storage, caps, prefix).emit();
}

}  // namespace ito
