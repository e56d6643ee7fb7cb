#include "graph/kernels/expression.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "graph/kernels/glsl_lib.h"
#include "graph/passes/view.h"

namespace ito {
namespace {

// More loads than this for one vector cost as much as a gather.
constexpr int64_t kMaxWindow = 4;

bool is_name(const std::string& text) {
  for (char c : text)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '.') return false;
  return true;
}

}  // namespace

std::string ExpressionWriter::variable(std::string_view type, const std::string& expression) {
  if (is_name(expression)) return expression;
  std::string key = fmt::format("{} {}", type, expression);
  auto found = known_.find(key);
  if (found != known_.end()) return found->second;
  std::string name = fmt::format("t{}", next_++);
  text_ += fmt::format("  {} {} = {};\n", type, name, expression);
  known_[key] = name;
  if (is_varying(expression)) varying_.insert(name);
  return name;
}

bool ExpressionWriter::is_varying(const std::string& expression) const {
  for (size_t i = 0; i < expression.size();) {
    if (!std::isalpha(static_cast<unsigned char>(expression[i]))) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < expression.size() && (std::isalnum(static_cast<unsigned char>(expression[end])) ||
                                       expression[end] == '_' || expression[end] == '.'))
      ++end;
    if (varying_.contains(expression.substr(i, end - i))) return true;
    i = end;
  }
  return false;
}

void ExpressionWriter::set_lanes(const std::string& name, const std::string& base, uint32_t lanes) {
  lanes_ = lanes;
  lane_form_[name] = {base, 1, true};
}

std::string ExpressionWriter::add(const std::string& a, const std::string& b) {
  std::string sum = index_add(a, b);
  for (const auto& [x, other] : {std::pair{a, b}, std::pair{b, a}}) {
    auto found = window_.find(x);
    if (found == window_.end() || is_varying(other) || sum == x) continue;
    const Window from = found->second;
    sum = variable("uint", sum);
    window_[sum] = {variable("uint", index_add(from.low, other)),
                    variable("uint", index_add(from.high, other)), from.count};
    return sum;
  }
  bool a_lanes = lane_form_.contains(a), b_lanes = lane_form_.contains(b);
  if (a_lanes == b_lanes || sum == a || sum == b) return sum;
  const std::string& moving = a_lanes ? a : b;
  const std::string& other = a_lanes ? b : a;
  if (is_varying(other)) return sum;
  sum = variable("uint", sum);
  LaneForm form = lane_form_[moving];
  // Aligned only if the other part is a literal multiple; enough for what is added in practice.
  auto step = unsigned_value(other);
  lane_form_[sum] = {variable("uint", index_add(form.base, other)), form.divisor,
                     form.aligned && step && *step % (lanes_ / form.divisor) == 0};
  return sum;
}

std::string ExpressionWriter::div(const std::string& a, int64_t divisor) {
  if (divisor == 1) return a;
  auto form = lane_form_.find(a);
  std::string result;
  if (form != lane_form_.end() && form->second.aligned) {
    const LaneForm from = form->second;
    int64_t period = lanes_ / from.divisor;
    // A row of whole lane groups: all lanes are in the same row.
    if (divisor % period == 0) return variable("uint", index_div(from.base, divisor));
    if (period % divisor == 0) {
      std::string base = variable("uint", index_div(from.base, divisor));
      result = variable("uint", index_div(a, divisor));
      lane_form_[result] = {base, from.divisor * divisor, true};
    }
  }
  // A quotient of a quotient may be the same for all lanes where the first one is not.
  auto quotient = derived_.find(a);
  if (result.empty() && quotient != derived_.end() && !quotient->second.remainder) {
    const int64_t total = quotient->second.divisor * divisor;
    auto source = lane_form_.find(quotient->second.source);
    if (source != lane_form_.end() && source->second.aligned &&
        total % (lanes_ / source->second.divisor) == 0) {
      result = variable("uint", index_div(source->second.base, total));
      derived_[result] = {false, a, divisor};
      return result;
    }
  }
  if (result.empty() && form != lane_form_.end()) {
    const LaneForm from = form->second;
    const int64_t last = lanes_ / from.divisor - 1;
    const int64_t count = last < 1 ? 1 : (last - 1) / divisor + 2;
    if (count <= kMaxWindow) {
      result = variable("uint", index_div(a, divisor));
      std::string end = index_add(from.base, unsigned_literal(last));
      window_[result] = {variable("uint", index_div(from.base, divisor)),
                         variable("uint", index_div(end, divisor)), count};
    }
  }
  if (result.empty()) result = variable("uint", index_div(a, divisor));
  derived_[result] = {false, a, divisor};
  return result;
}

std::string ExpressionWriter::rem(const std::string& a, int64_t divisor) {
  if (divisor == 1) return "0u";
  auto form = lane_form_.find(a);
  std::string result;
  if (form != lane_form_.end() && form->second.aligned &&
      divisor % (lanes_ / form->second.divisor) == 0) {
    const LaneForm from = form->second;
    std::string base = variable("uint", index_rem(from.base, divisor));
    std::string lane = from.divisor == 1 ? "lane" : fmt::format("lane / {}u", from.divisor);
    result = variable("uint", fmt::format("({} + {})", base, lane));
    lane_form_[result] = {base, from.divisor, true};
  } else {
    result = variable("uint", index_rem(a, divisor));
  }
  derived_[result] = {true, a, divisor};
  return result;
}

// The position whose parts `outer` and `inner` are, if they were split off one position with
// `ratio` inner elements per outer one; else empty.
std::string ExpressionWriter::joined(const std::string& outer, const std::string& inner,
                                     int64_t ratio) {
  auto low = derived_.find(inner), high = derived_.find(outer);
  if (low == derived_.end() || high == derived_.end()) return "";
  if (!low->second.remainder || low->second.divisor != ratio) return "";
  const std::string source = low->second.source;
  if (!high->second.remainder)
    return high->second.source == source && high->second.divisor == ratio ? source : "";
  auto quotient = derived_.find(high->second.source);
  if (quotient == derived_.end() || quotient->second.remainder ||
      quotient->second.source != source || quotient->second.divisor != ratio)
    return "";
  return rem(source, ratio * high->second.divisor);
}

std::string ExpressionWriter::dot(const std::vector<std::string>& at, const Shape& shape,
                                  const std::vector<int64_t>& strides) {
  // Axes that were split from one are joined again, innermost first.
  std::vector<std::pair<std::string, int64_t>> terms;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    int64_t stride = strides[static_cast<size_t>(i)];
    if (shape[i] == 1 || stride == 0) continue;
    const std::string& x = at[static_cast<size_t>(i)];
    if (!terms.empty() && terms.back().second > 0 && stride % terms.back().second == 0) {
      std::string whole = joined(x, terms.back().first, stride / terms.back().second);
      if (!whole.empty()) {
        terms.back().first = whole;
        continue;
      }
    }
    terms.push_back({x, stride});
  }
  // Uniform terms first, so that they form one base.
  std::string uniform = "0u", moving = "0u";
  for (auto term_of = terms.rbegin(); term_of != terms.rend(); ++term_of) {
    const std::string& x = term_of->first;
    std::string term = index_mul(x, term_of->second);
    if (is_varying(x))
      moving = index_add(moving, term);
    else
      uniform = index_add(uniform, term);
  }
  if (uniform != "0u") uniform = variable("uint", uniform);
  return moving == "0u" ? uniform : variable("uint", add(uniform, moving));
}

void ExpressionWriter::bind(NodeId id, const std::string& linear, const std::string& variable) {
  bound_[id] = {linear, variable};
}

void ExpressionWriter::forget() {
  known_.clear();
  bound_.clear();
}

std::vector<std::string> ExpressionWriter::coords(const ElementIndex& index, const Shape& shape) {
  if (!index.coords.empty() || shape.rank() == 0) return index.coords;
  std::vector<std::string> result(static_cast<size_t>(shape.rank()), "0u");
  std::string rest = index.linear;
  int first = 0;
  while (first < shape.rank() && shape[first] == 1) ++first;
  for (int i = shape.rank() - 1; i >= first; --i) {
    if (shape[i] == 1) continue;
    result[static_cast<size_t>(i)] = i == first ? rest : rem(rest, shape[i]);
    if (i > first) rest = div(rest, shape[i]);
  }
  return result;
}

std::string ExpressionWriter::linear(const ElementIndex& index, const Shape& shape) {
  if (!index.linear.empty()) return index.linear;
  return dot(index.coords, shape, shape.strides());
}

int64_t StorageMap::part_for(NodeId base, int64_t offset) const {
  std::set<int64_t>& known = parts.try_emplace(base, std::set<int64_t>{0}).first->second;
  if (known.contains(offset)) return offset;
  if (spare_arguments > 0) {
    --spare_arguments;
    known.insert(offset);
    return offset;
  }
  return *std::prev(known.upper_bound(offset));
}

std::string ExpressionWriter::load(NodeId base, int64_t offset, const std::string& relative) {
  DType dtype = graph_.node(base).dtype;
  const int64_t part = storage_.part_for(base, offset);
  std::string index = part == offset ? relative : add(relative, fmt::format("{}u", offset - part));
  std::string name =
      kernel_.argument(storage_.argument_key(base, part), dtype, /*read=*/true, false);
  auto form = lane_form_.find(index);
  if (auto window = window_.find(index); window != window_.end()) {
    const Window& w = window->second;
    kernel_.function(window_load_function(name, dtype, w.count));
    return variable(glsl_type(dtype),
                    fmt::format("window_{}_{}({}, {}, {})", name, w.count, index, w.low, w.high));
  }
  if (form == lane_form_.end() || lanes_ < 2)
    return variable(glsl_type(dtype), kernel_.load(name, index));
  kernel_.function(lane_load_function(name, dtype, form->second.divisor));
  return variable(glsl_type(dtype), fmt::format("load_{}_{}({}, lane)", name, form->second.divisor,
                                                form->second.base));
}

// Inside a CPU driver the lane is a constant vector, so each select is free and all loads become
// one vector load; the mask shows that the addresses do not wrap around.
std::string ExpressionWriter::lane_load_function(const std::string& name, DType dtype,
                                                 int64_t divisor) const {
  std::string_view type = glsl_type(dtype);
  std::string text = fmt::format("{0} load_{1}_{2}(uint at, uint lane) {{\n  at &= 0x3fffffffu;\n",
                                 type, name, divisor);
  text += fmt::format("  {} x = {};\n", type, kernel_.load(name, "at"));
  for (int64_t l = 1; l < lanes_; ++l) {
    std::string element = kernel_.load(name, fmt::format("at + {}u", l / divisor));
    text += dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16
                ? fmt::format("  x = mix(x, {}, lane == {}u);\n", element, l)
                : fmt::format("  {{ {0} y = {1}; x = lane == {2}u ? y : x; }}\n", type, element, l);
  }
  return text + "  return x;\n}";
}

// A few uniform loads, of which every lane picks its own: cheaper than a gather. None lies beyond
// the last lane's, since uniform loads happen whatever the lanes do.
std::string ExpressionWriter::window_load_function(const std::string& name, DType dtype,
                                                   int64_t count) const {
  std::string_view type = glsl_type(dtype);
  std::string text =
      fmt::format("{0} window_{1}_{2}(uint at, uint low, uint high) {{\n  {0} x = {3};\n", type,
                  name, count, kernel_.load(name, "low"));
  for (int64_t k = 1; k < count; ++k)
    text += fmt::format("  {{ {0} y = {1}; x = at >= low + {2}u ? y : x; }}\n", type,
                        kernel_.load(name, fmt::format("min(low + {}u, high)", k)), k);
  return text + "  return x;\n}";
}

std::string ExpressionWriter::value(NodeId id, const ElementIndex& index) {
  const Node& node = graph_.node(id);
  if (node.op == Op::kFull) return glsl_literal(node.dtype, std::get<FullAttr>(node.attrs).value);
  if (auto bound = bound_.find(id);
      bound != bound_.end() && (bound->second.first.empty() || index.linear == bound->second.first))
    return bound->second.second;

  AffineView view = view_of(graph_, id, [&](NodeId n) { return storage_.stored(n); });
  if (auto bound = bound_.find(view.base);
      bound != bound_.end() &&
      (bound->second.first.empty() || (view.contiguous(node.shape) && view.offset == 0 &&
                                       node.shape.numel() == graph_.node(view.base).shape.numel() &&
                                       linear(index, node.shape) == bound->second.first)))
    return bound->second.second;
  if (storage_.stored(view.base)) {
    if (view.contiguous(node.shape)) return load(view.base, view.offset, linear(index, node.shape));
    std::vector<std::string> at = coords(index, node.shape);
    bool negative = false;
    for (int64_t stride : view.strides) negative |= stride < 0;
    if (!negative) {
      return load(view.base, view.offset, dot(at, node.shape, view.strides));
    }
  }

  std::string key = fmt::format("{}@{}|{}", id, index.linear, fmt::join(index.coords, ","));
  auto found = known_.find(key);
  if (found != known_.end()) return found->second;
  std::string result = compute(id, index);
  known_[key] = result;
  return result;
}

std::string ExpressionWriter::compute(NodeId id, const ElementIndex& index) {
  const Node& node = graph_.node(id);
  switch (op_def(node.op).op_class) {
    case OpClass::kElementwise:
      return elementwise(node, index);
    case OpClass::kMovement:
      return movement(node, index);
    default:
      break;
  }
  if (node.op == Op::kGather) return gather(node, index);
  if (node.op == Op::kIota) {
    auto axis = static_cast<size_t>(std::get<AxesAttr>(node.attrs).axes[0]);
    std::string at = coords(index, node.shape)[axis];
    if (node.dtype == DType::kU32) return at;
    return variable(glsl_type(node.dtype), fmt::format("{}({})", glsl_type(node.dtype), at));
  }
  CHECK(false, fmt::format("{} ({}) is not stored and cannot be written inline",
                           op_def(node.op).name, node.label));
}

std::string ExpressionWriter::elementwise(const Node& node, const ElementIndex& index) {
  std::vector<std::string> operands;
  for (NodeId input : node.inputs) operands.push_back(value(input, index));
  const OpDef& def = op_def(node.op);
  std::string_view type = glsl_type(node.dtype);
  if (node.op == Op::kCast) {
    DType from = graph_.node(node.inputs[0]).dtype;
    if (glsl_type(from) == type) return operands[0];
    return variable(type, fmt::format("{}({})", type, operands[0]));
  }
  std::string text;
  for (size_t i = 0; i < def.glsl.size(); ++i) {
    if (def.glsl[i] == '$')
      text += operands[static_cast<size_t>(def.glsl[++i] - '0')];
    else
      text += def.glsl[i];
  }
  add_helpers(text);
  return variable(type, text);
}

// Adds every shader library function the text calls.
void ExpressionWriter::add_helpers(std::string_view text) {
  for (size_t at = text.find("ito_"); at != std::string_view::npos; at = text.find("ito_", at)) {
    size_t end = at;
    while (end < text.size() &&
           (std::isalnum(static_cast<unsigned char>(text[end])) || text[end] == '_'))
      ++end;
    kernel_.function(std::string(glsl_helper(text.substr(at, end - at))));
    at = end;
  }
}

std::string ExpressionWriter::gather(const Node& node, const ElementIndex& index) {
  // Rows of x: the index selects the row, clamped as the op promises.
  NodeId x = node.inputs[0];
  const Shape& shape = graph_.node(x).shape;
  std::vector<std::string> at = coords(index, node.shape);
  std::string row = value(node.inputs[1], ElementIndex{at[0], {at[0]}});
  if (graph_.node(node.inputs[1]).dtype == DType::kI32)
    row = variable("uint", fmt::format("uint(max({}, 0))", row));
  at[0] = variable("uint", fmt::format("min({}, {}u)", row, shape[0] - 1));
  return value(x, ElementIndex{{}, at});
}

std::string ExpressionWriter::movement(const Node& node, const ElementIndex& index) {
  NodeId x = node.inputs[0];
  const Shape& from = graph_.node(x).shape;
  const Shape& to = node.shape;
  if (node.op == Op::kReshape) {
    if (!index.linear.empty()) return value(x, ElementIndex{index.linear, {}});
    // Segment by segment, so that untouched axes stay untouched.
    std::vector<std::string> result(static_cast<size_t>(from.rank()), "0u");
    for (const ReshapeSegment& segment : reshape_segments(from, to)) {
      std::string position = "0u";
      for (int k = segment.to_begin; k < segment.to_end; ++k)
        position = add(index_mul(position, to[k]), index.coords[static_cast<size_t>(k)]);
      position = variable("uint", position);
      std::vector<int64_t> dims(from.dims().begin() + segment.from_begin,
                                from.dims().begin() + segment.from_end);
      std::vector<std::string> at = coords(ElementIndex{position, {}}, Shape(dims));
      for (int k = segment.from_begin; k < segment.from_end; ++k)
        result[static_cast<size_t>(k)] = at[static_cast<size_t>(k - segment.from_begin)];
    }
    return value(x, ElementIndex{{}, result});
  }

  std::vector<std::string> at = coords(index, to);
  size_t rank = at.size();
  switch (node.op) {
    case Op::kPermute: {
      const auto& axes = std::get<AxesAttr>(node.attrs).axes;
      std::vector<std::string> source(rank);
      for (size_t i = 0; i < rank; ++i) source[static_cast<size_t>(axes[i])] = at[i];
      return value(x, ElementIndex{{}, source});
    }
    case Op::kBroadcast: {
      for (size_t i = 0; i < rank; ++i)
        if (from[static_cast<int>(i)] == 1) at[i] = "0u";
      return value(x, ElementIndex{{}, at});
    }
    case Op::kSlice: {
      const auto& attr = std::get<SliceAttr>(node.attrs);
      for (size_t i = 0; i < rank; ++i) {
        if (to[static_cast<int>(i)] == 1)
          at[i] = unsigned_literal(attr.start[i]);
        else if (attr.step[i] > 0)
          at[i] = variable("uint",
                           add(index_mul(at[i], attr.step[i]), unsigned_literal(attr.start[i])));
        else
          at[i] = variable(
              "uint", fmt::format("({}u - {})", attr.start[i], index_mul(at[i], -attr.step[i])));
      }
      return value(x, ElementIndex{{}, at});
    }
    case Op::kPad: {
      const auto& attr = std::get<PadAttr>(node.attrs);
      std::string inside;
      for (size_t i = 0; i < rank; ++i) {
        int64_t low = attr.low[i], extent = from[static_cast<int>(i)];
        int64_t gap = attr.interior.empty() ? 1 : attr.interior[i] + 1;
        if (low == 0 && gap == 1 && to[static_cast<int>(i)] == extent) continue;
        // Wraps to a large number below the low edge.
        std::string moved =
            low == 0 ? at[i] : variable("uint", fmt::format("({} - {}u)", at[i], low));
        std::string test = fmt::format("{} < {}u", moved, (extent - 1) * gap + 1);
        if (gap > 1) test += fmt::format(" && {} % {}u == 0u", moved, gap);
        std::string ok = variable("bool", fmt::format("({})", test));
        inside = inside.empty() ? ok : variable("bool", fmt::format("({} && {})", inside, ok));
        at[i] = variable("uint", fmt::format("({} ? {} : 0u)", ok, index_div(moved, gap)));
      }
      if (inside.empty()) return value(x, ElementIndex{{}, at});
      std::string v = value(x, ElementIndex{{}, at});
      return variable(glsl_type(node.dtype), fmt::format("({} ? {} : {})", inside, v,
                                                         glsl_literal(node.dtype, attr.value)));
    }
    case Op::kConcat: {
      auto axis = static_cast<size_t>(std::get<AxesAttr>(node.attrs).axes[0]);
      std::string result;
      std::string position = at[axis];
      int64_t begin = 0;
      for (NodeId part : node.inputs) {
        int64_t extent = graph_.node(part).shape[static_cast<int>(axis)];
        std::vector<std::string> source = at;
        std::string moved =
            begin == 0 ? position : variable("uint", fmt::format("({} - {}u)", position, begin));
        // Positions of other parts read element 0 of this one; the select below drops it.
        source[axis] = variable("uint", fmt::format("({0} < {1}u ? {0} : 0u)", moved, extent));
        if (extent == 1) source[axis] = "0u";
        std::string v = value(part, ElementIndex{{}, source});
        result = result.empty()
                     ? v
                     : variable(glsl_type(node.dtype),
                                fmt::format("({} >= {}u ? {} : {})", position, begin, v, result));
        begin += extent;
      }
      return result;
    }
    default:
      CHECK(false, fmt::format("unknown movement op {}", op_def(node.op).name));
  }
}

}  // namespace ito
