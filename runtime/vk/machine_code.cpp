#include "runtime/vk/machine_code.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

namespace ito::vk {
namespace {

enum class Kind { kOther, kMultiplyAdd, kTwoMultiplyAdds, kMatrix, kSharedLoad, kOtherLoad };

// What a line of text is.
struct Line {
  bool instruction = true;
  bool begins_block = false;  // a basic block begins with it
  bool ends_block = false;    // one ends behind it
  Kind kind = Kind::kOther;
};
constexpr Line kNothing = {.instruction = false};
constexpr Line kLabel = {.instruction = false, .begins_block = true};

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string_view trimmed(std::string_view line) {
  const auto space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!line.empty() && space(line.front())) line.remove_prefix(1);
  while (!line.empty() && space(line.back())) line.remove_suffix(1);
  return line;
}

std::string_view first_word(std::string_view line) {
  return line.substr(0, std::min(line.size(), line.find_first_of(" \t")));
}

bool numbered(std::string_view line, std::string_view prefix) {
  return line.starts_with(prefix) && line.size() > prefix.size() &&
         std::isdigit(static_cast<unsigned char>(line[prefix.size()])) != 0;
}

// How one compiler writes. Lines are trimmed and not empty.
struct Dialect {
  std::string_view mark;  // text that only it writes
  Line (*read)(std::string_view line);
};

// "BB4:", then "v_fmac_f32_e32 v1, v26, v13 ; 56021b1a".
Kind amd_kind(std::string_view line) {
  const std::string_view op = first_word(line);
  if (has(op, "wmma") || has(op, "mfma")) return Kind::kMatrix;
  if (op.starts_with("v_dual_")) {
    const size_t next = line.find("::");
    const bool first = has(op, "_fma");
    const bool second = next != std::string_view::npos && has(line.substr(next), "_fma");
    if (first && second) return Kind::kTwoMultiplyAdds;
    return first || second ? Kind::kMultiplyAdd : Kind::kOther;
  }
  if (op.starts_with("v_") && (has(op, "_fma") || has(op, "_mac_f") || has(op, "_mad_f")))
    return Kind::kMultiplyAdd;
  if (op.starts_with("ds_read") || op.starts_with("ds_load")) return Kind::kSharedLoad;
  const bool memory = op.starts_with("global_") || op.starts_with("buffer_") ||
                      op.starts_with("flat_") || op.starts_with("s_");
  return memory && has(op, "_load") ? Kind::kOtherLoad : Kind::kOther;
}
Line amd_line(std::string_view line) {
  if (numbered(line, "BB") && line.ends_with(":")) return kLabel;
  if (line.starts_with(";")) return kNothing;
  return {.kind = amd_kind(line)};
}

// "LABEL0:", then "mad(16) g20<1>F g18<8,8,1>F ... { align1 1H };". What a send does stands on the
// line below it. Where only jumps end a block, it has no label.
Line intel_line(std::string_view line) {
  if (line.starts_with("LABEL") && line.ends_with(":")) return kLabel;
  if (has(line, "MsgDesc:")) {
    if (has(line, "( fence") || (!has(line, "( load") && !has(line, "read"))) return kNothing;
    const bool shared = line.starts_with("slm");
    return {.instruction = false, .kind = shared ? Kind::kSharedLoad : Kind::kOtherLoad};
  }
  if (!has(first_word(line), "(") && !line.starts_with("sync")) return kNothing;
  if (line.starts_with("("))  // a predicate
    line = trimmed(line.substr(std::min(line.size(), line.find(')') + 1)));
  const std::string_view word = first_word(line);
  const std::string_view op = word.substr(0, std::min(word.size(), word.find_first_of("(.")));
  constexpr std::string_view kFlow[] = {"do",   "while", "if",  "else", "endif", "break", "cont",
                                        "halt", "jmpi",  "brd", "brc",  "goto",  "join"};
  if (std::find(std::begin(kFlow), std::end(kFlow), op) != std::end(kFlow))
    return {.ends_block = true};
  if (op == "dpas") return {.kind = Kind::kMatrix};
  const bool floating = has(line, ">F") || has(line, ">HF") || has(line, ">BF");
  if ((op == "mad" || op == "mac") && floating) return {.kind = Kind::kMultiplyAdd};
  return {};
}

// "block 3 L2 [2, 3] -> {", then "@!p0 r4 = ffma r4 r8 r12 //delay=4", then "} -> [4]".
Line nvidia_line(std::string_view line) {
  if (numbered(line, "block ") || numbered(line, "block.u ")) return kLabel;
  if (line.starts_with("}")) return kNothing;
  if (const size_t equals = line.find("= "); equals != std::string_view::npos)
    line = trimmed(line.substr(equals + 2));
  const std::string_view op = first_word(line);
  if (op.starts_with("hmma") || op.starts_with("imma")) return {.kind = Kind::kMatrix};
  if (op.starts_with("ffma") || op.starts_with("hfma2") || op.starts_with("dfma"))
    return {.kind = Kind::kMultiplyAdd};
  if (op.starts_with("ldsm") || (op.starts_with("ld.") && has(op, "shared")))
    return {.kind = Kind::kSharedLoad};
  if (op.starts_with("ld.") || op.starts_with("ldc")) return {.kind = Kind::kOtherLoad};
  return {};
}

constexpr Dialect kDialects[] = {
    {"BB0:", amd_line}, {"{ align1", intel_line}, {"} -> [", nvidia_line}};

void count(MainLoop& block, const Line& line) {
  block.instructions += line.instruction ? 1 : 0;
  switch (line.kind) {
    case Kind::kTwoMultiplyAdds:
      ++block.instructions;
      block.multiply_adds += 2;
      break;
    case Kind::kMultiplyAdd:
      ++block.multiply_adds;
      break;
    case Kind::kMatrix:
      ++block.matrix_instructions;
      break;
    case Kind::kSharedLoad:
      ++block.shared_loads;
      break;
    case Kind::kOtherLoad:
      ++block.other_loads;
      break;
    case Kind::kOther:
      break;
  }
}

int work(const MainLoop& block) { return block.multiply_adds + 50 * block.matrix_instructions; }

}  // namespace

std::optional<MainLoop> main_loop(std::string_view code) {
  const auto* dialect = std::find_if(std::begin(kDialects), std::end(kDialects),
                                     [&](const Dialect& d) { return has(code, d.mark); });
  if (dialect == std::end(kDialects)) return std::nullopt;
  MainLoop best, block;
  const auto end_block = [&] {
    if (work(block) > work(best)) best = block;
    block = {};
  };
  while (!code.empty()) {
    const size_t end = std::min(code.size(), code.find('\n'));
    const std::string_view text = trimmed(code.substr(0, end));
    code.remove_prefix(std::min(code.size(), end + 1));
    if (text.empty()) continue;
    const Line line = dialect->read(text);
    if (line.begins_block) end_block();
    count(block, line);
    if (line.ends_block) end_block();
  }
  end_block();
  if (work(best) == 0) return std::nullopt;
  return best;
}

}  // namespace ito::vk
