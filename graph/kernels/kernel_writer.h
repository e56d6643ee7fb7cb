// KernelWriter: collects the arguments, helper functions and body of one compute shader and writes
// the GLSL text. Every archetype uses it, so that loads, stores and fused expressions look the same
// everywhere. Knows no device and no op.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "graph/graph.h"
#include "graph/plan.h"

namespace ito {

// A kernel and the workgroups of its dispatch.
struct GridKernel {
  Kernel kernel;
  std::array<uint32_t, 3> groups = {1, 1, 1};
};

class KernelWriter {
 public:
  // prefix: of all names that own() makes, so that several kernels can stand in one text.
  explicit KernelWriter(std::string prefix = "") : prefix_(std::move(prefix)) {}

  struct Argument {
    NodeId value = kNoNode;  // the materialised tensor whose address is passed
    DType dtype = DType::kF32;
    bool read = false;
    bool written = false;
    bool singly = false;  // elements are loaded one by one
    bool quads = false;   // and never, but four at a time
  };

  // The argument's name in GLSL ("b0", "b1", ... behind the prefix). Asking again for the same
  // value returns the same name.
  std::string argument(NodeId value, DType dtype, bool read, bool written);
  const std::vector<Argument>& arguments() const { return arguments_; }
  // A name of this kernel's own for what is declared outside main().
  std::string own(const std::string& name) const { return prefix_ + name; }

  // GLSL expression which loads element `index` (a GLSL uint expression) as the dtype's arithmetic
  // type: float for every float dtype, uint, int or bool.
  std::string load(const std::string& name, const std::string& index);
  // Whether load_quad() may be used: the argument is f32, not written, and nothing loads it singly.
  // (Not every driver converts addresses, so an argument is declared for the one or the other.)
  bool can_load_quads(const std::string& name) const;
  // GLSL expression of type vec4 which loads elements 4 * quad to 4 * quad + 3. From then on load()
  // of the same argument is a CHECK.
  std::string load_quad(const std::string& name, const std::string& quad);
  // GLSL expression: `value` (a float or vec4), rounded to `type`: f32, f16 or bf16.
  std::string rounded(DType type, const std::string& value);
  // GLSL statement which stores `value`.
  std::string store(const std::string& name, const std::string& index,
                    const std::string& value) const;

  // Adds a function (complete GLSL text) before main; the same text twice is kept once.
  void function(const std::string& text);
  // Adds a #extension line.
  void extension(const std::string& name);

  // The finished kernel. `body` is the content of main().
  Kernel finish(std::string name, std::array<uint32_t, 3> local_size, const std::string& body);

  // What finish() made the text of, for those who make another one (graph/kernels/joined.h).
  const std::vector<std::string>& functions() const { return functions_; }
  const std::string& body() const { return body_; }
  // With those that the arguments need.
  std::set<std::string> extensions() const;

 private:
  size_t find(const std::string& name) const;

  std::string prefix_;
  std::vector<Argument> arguments_;
  std::vector<std::string> functions_;
  std::set<std::string> extensions_;
  std::string body_;
};

// How an argument is declared: the name of its type, and the declaration of that.
struct ArgumentBlock {
  std::string name, declaration;
};
ArgumentBlock argument_block(const KernelWriter::Argument& argument);

// The first lines of a kernel's text: version, extensions, size of a workgroup.
std::string kernel_head(const std::set<std::string>& extensions,
                        std::array<uint32_t, 3> local_size);

// The content of main(), for emitters that write it line by line.
class KernelBody {
 protected:
  template <typename... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    text_ += "  " + fmt::format(format, std::forward<Args>(args)...) + "\n";
  }

  std::string text_;
};

// The GLSL arithmetic type of a dtype: "float", "int", "uint" or "bool".
std::string_view glsl_type(DType dtype);

}  // namespace ito
