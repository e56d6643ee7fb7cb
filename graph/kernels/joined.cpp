#include "graph/kernels/joined.h"

#include <fmt/format.h>

namespace ito {
namespace {

// A part's own workgroup takes the place of the dispatch's.
std::string within_part(std::string text) {
  constexpr std::string_view kGroup = "gl_WorkGroupID.x";
  for (size_t at = text.find(kGroup); at != std::string::npos; at = text.find(kGroup, at))
    text.replace(at, kGroup.size(), "part_group");
  return text;
}

}  // namespace

Kernel join_kernels(std::string name, std::array<uint32_t, 3> local_size,
                    std::span<const JoinedPart> parts) {
  // Rows hold addresses as numbers: of a reference that is read from memory glslang says that it is
  // aligned as what it refers to.
  std::set<std::string> extensions = {"GL_EXT_buffer_reference_uvec2"}, blocks, known;
  std::string tables, push, variables, functions, bodies, branches;
  uint32_t first = 0;
  for (size_t j = 0; j < parts.size(); ++j) {
    const KernelWriter& writer = *parts[j].writer;
    extensions.merge(writer.extensions());
    std::string row, loads;
    for (size_t i = 0; i < writer.arguments().size(); ++i) {
      const KernelWriter::Argument& argument = writer.arguments()[i];
      const ArgumentBlock block = argument_block(argument);
      if (blocks.insert(block.name).second) tables += block.declaration;
      const std::string own = writer.own(fmt::format("b{}", i));
      row += fmt::format(" uvec2 a{};", i);
      variables += fmt::format("{} {};\n", block.name, own);
      loads += fmt::format("    {} = {}(table{}.v[row].a{});\n", own, block.name, j, i);
    }
    tables += fmt::format(
        "struct Row{0} {{{1} }};\n"
        "layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer Table{0} {{ "
        "Row{0} v[]; }};\n",
        j, row);
    push += fmt::format("  Table{0} table{0};\n", j);
    for (const std::string& function : writer.functions())
      if (known.insert(function).second) functions += within_part(function) + "\n";
    bodies += fmt::format("void part{}() {{\n{}}}\n", j, within_part(writer.body()));
    const uint32_t groups = parts[j].groups, end = first + groups * parts[j].count;
    const std::string condition =
        j + 1 < parts.size() ? fmt::format("if (gl_WorkGroupID.x < {}u) ", end) : std::string();
    branches += fmt::format(
        "  {}{}{{\n    uint group = gl_WorkGroupID.x - {}u;\n    uint row = group / {}u;\n"
        "    part_group = group % {}u;\n{}    part{}();\n  }}\n",
        j > 0 ? "else " : "", condition, first, groups, groups, loads, j);
    first = end;
  }
  Kernel kernel;
  kernel.name = std::move(name);
  kernel.glsl = kernel_head(extensions, local_size) + tables +
                fmt::format("layout(push_constant, std430) uniform Push {{\n{}}};\n", push) +
                "uint part_group;\n" + variables + functions + bodies + "void main() {\n" +
                branches + "}\n";
  kernel.local_size = local_size;
  kernel.arguments = static_cast<uint32_t>(parts.size());
  return kernel;
}

}  // namespace ito
