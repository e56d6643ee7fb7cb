#include "graph/kernels/kernel_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace ito {
namespace {

// Block name and element type in memory.
struct Storage {
  std::string_view block;
  std::string_view element;
};

Storage storage(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return {"F32", "float"};
    case DType::kF16:
      return {"F16", "float16_t"};
    case DType::kBF16:
      return {"B16", "uint16_t"};
    case DType::kI32:
      return {"I32", "int"};
    case DType::kU32:
    case DType::kBool:
      return {"U32", "uint"};
  }
  return {"F32", "float"};
}

// To nearest, ties to even, on the bits, of a float that stays one.
struct Rounding {
  std::string_view name, of_one;
};

// On lavapipe a conversion to 16 bits and back did not round.
constexpr Rounding kToHalf = {
    "to_f16",
    "float to_f16(float x) {\n"
    "  uint bits = floatBitsToUint(x), size = bits & 0x7fffffffu;\n"
    "  if (size > 0x7f800000u) return x;\n"
    "  if (size < 0x38800000u) return roundEven(x * 16777216.0) * 5.9604644775390625e-8;\n"
    "  size = (size + 0xfffu + ((size >> 13) & 1u)) & ~0x1fffu;\n"
    "  if (size > 0x477fe000u) size = 0x7f800000u;\n"
    "  return uintBitsToFloat((bits & 0x80000000u) | size);\n"
    "}"};
// The upper half of the bits.
constexpr Rounding kToBfloat16 = {
    "to_bf16",
    "float to_bf16(float x) {\n"
    "  uint bits = floatBitsToUint(x);\n"
    "  if ((bits & 0x7fffffffu) > 0x7f800000u) return x;\n"
    "  return uintBitsToFloat((bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u);\n"
    "}"};

const Rounding& rounding_to(DType type) {
  CHECK(dtype_size(type) == 2, "values are rounded to f32, f16 or bf16");
  return type == DType::kF16 ? kToHalf : kToBfloat16;
}

constexpr const char* kFloat16Extension = "GL_EXT_shader_explicit_arithmetic_types_float16";

}  // namespace

std::string_view glsl_type(DType dtype) {
  switch (dtype) {
    case DType::kI32:
      return "int";
    case DType::kU32:
      return "uint";
    case DType::kBool:
      return "bool";
    default:
      return "float";
  }
}

std::string KernelWriter::argument(NodeId value, DType dtype, bool read, bool written) {
  for (size_t i = 0; i < arguments_.size(); ++i) {
    if (arguments_[i].value != value) continue;
    CHECK(arguments_[i].dtype == dtype, "one argument used with two dtypes");
    arguments_[i].read |= read;
    arguments_[i].written |= written;
    return own(fmt::format("b{}", i));
  }
  arguments_.push_back({value, dtype, read, written});
  return own(fmt::format("b{}", arguments_.size() - 1));
}

size_t KernelWriter::find(const std::string& name) const {
  size_t index = arguments_.size();
  std::from_chars(name.data() + prefix_.size() + 1, name.data() + name.size(), index);
  CHECK(index < arguments_.size(), "unknown kernel argument " + name);
  return index;
}

std::string KernelWriter::load(const std::string& name, const std::string& index) {
  Argument& argument = arguments_[find(name)];
  CHECK(!argument.quads, "an argument is loaded by fours and singly");
  argument.singly = true;
  switch (arguments_[find(name)].dtype) {
    case DType::kF16:
      return fmt::format("float({}.v[{}])", name, index);
    case DType::kBF16:
      return fmt::format("uintBitsToFloat(uint({}.v[{}]) << 16)", name, index);
    case DType::kBool:
      return fmt::format("({}.v[{}] != 0u)", name, index);
    default:
      return fmt::format("{}.v[{}]", name, index);
  }
}

bool KernelWriter::can_load_quads(const std::string& name) const {
  const Argument& argument = arguments_[find(name)];
  return argument.dtype == DType::kF32 && !argument.written && !argument.singly;
}

std::string KernelWriter::load_quad(const std::string& name, const std::string& quad) {
  CHECK(can_load_quads(name), "an argument cannot be loaded by fours");
  arguments_[find(name)].quads = true;
  return fmt::format("{}.v[{}]", name, quad);
}

std::string KernelWriter::rounded(DType type, const std::string& value) {
  if (type == DType::kF32) return value;
  const Rounding& rounding = rounding_to(type);
  function(std::string(rounding.of_one));
  function(
      fmt::format("vec4 {0}(vec4 x) {{\n  return vec4({0}(x.x), {0}(x.y), {0}(x.z), {0}(x.w));\n}}",
                  rounding.name));
  return fmt::format("{}({})", rounding.name, value);
}

std::string KernelWriter::store(const std::string& name, const std::string& index,
                                const std::string& value) const {
  switch (arguments_[find(name)].dtype) {
    case DType::kF16:
      return fmt::format("{}.v[{}] = float16_t({});", name, index, value);
    case DType::kBF16:
      // Round to nearest even on the bits; NaN stays NaN because its mantissa is not all ones.
      return fmt::format(
          "{{ uint bits = floatBitsToUint({2}); "
          "{0}.v[{1}] = uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16); }}",
          name, index, value);
    case DType::kBool:
      return fmt::format("{}.v[{}] = ({}) ? 1u : 0u;", name, index, value);
    default:
      return fmt::format("{}.v[{}] = {};", name, index, value);
  }
}

void KernelWriter::function(const std::string& text) {
  if (std::find(functions_.begin(), functions_.end(), text) == functions_.end())
    functions_.push_back(text);
}

void KernelWriter::extension(const std::string& name) { extensions_.insert(name); }

std::set<std::string> KernelWriter::extensions() const {
  std::set<std::string> extensions = extensions_;
  for (const Argument& argument : arguments_) {
    if (dtype_size(argument.dtype) == 2) extensions.insert("GL_EXT_shader_16bit_storage");
    if (argument.dtype == DType::kF16) extensions.insert(kFloat16Extension);
    if (argument.dtype == DType::kBF16)
      extensions.insert("GL_EXT_shader_explicit_arithmetic_types_int16");
  }
  return extensions;
}

ArgumentBlock argument_block(const KernelWriter::Argument& argument) {
  Storage s = storage(argument.dtype);
  std::string name = fmt::format("{}{}", s.block, argument.written ? "W" : "R");
  if (argument.quads) {  // tensors begin at any multiple of an element, so their fours do as well
    s.element = "vec4";
    name = "F32Quads";
  }
  std::string declaration = fmt::format(
      "layout(buffer_reference, std430, buffer_reference_align = {}) {}buffer {} {{ {} v[]; }};\n",
      dtype_size(argument.dtype), argument.written ? "" : "readonly ", name, s.element);
  return {std::move(name), std::move(declaration)};
}

std::string kernel_head(const std::set<std::string>& extensions,
                        std::array<uint32_t, 3> local_size) {
  std::string text = "#version 450\n#extension GL_EXT_buffer_reference : require\n";
  for (const std::string& extension : extensions)
    text += fmt::format("#extension {} : require\n", extension);
  return text + fmt::format("layout(local_size_x = {}, local_size_y = {}, local_size_z = {}) in;\n",
                            local_size[0], local_size[1], local_size[2]);
}

Kernel KernelWriter::finish(std::string name, std::array<uint32_t, 3> local_size,
                            const std::string& body) {
  body_ = body;
  std::string text = kernel_head(extensions(), local_size);
  std::set<std::string> blocks;
  std::string push;
  bool narrow = false;
  for (size_t i = 0; i < arguments_.size(); ++i) {
    const ArgumentBlock block = argument_block(arguments_[i]);
    if (blocks.insert(block.name).second) text += block.declaration;
    push += fmt::format("  {} {};\n", block.name, own(fmt::format("b{}", i)));
    narrow |= dtype_size(arguments_[i].dtype) == 2;
  }
  if (!push.empty())
    text += fmt::format("layout(push_constant, std430) uniform Push {{\n{}}};\n", push);
  for (const std::string& function : functions_) text += function + "\n";
  text += "void main() {\n" + body + "}\n";

  Kernel kernel;
  kernel.name = std::move(name);
  kernel.glsl = std::move(text);
  kernel.local_size = local_size;
  kernel.arguments = static_cast<uint32_t>(arguments_.size());
  kernel.uses_16bit_storage = narrow;
  kernel.uses_float16 = extensions_.contains(kFloat16Extension);
  return kernel;
}

}  // namespace ito
