#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

namespace ito {
namespace {

struct WithMultiply {
  DType multiply;
  // Of what does not multiply: nothing.
  template <typename T>
  bool operator()(T&) const {
    return false;
  }
  bool operator()(MatmulAttr& attr) const { return set(attr); }
  bool operator()(ConvAttr& attr) const { return set(attr); }

 private:
  template <typename T>
  bool set(T& attr) const {
    attr.multiply = multiply;
    return true;
  }
};

}  // namespace

Program autocast(const Program& program, DType multiply) {
  return rewrite(program, [multiply](Graph& graph, Tensor old, std::span<const Tensor> inputs) {
    const Node& node = old.node();
    Attrs attrs = node.attrs;
    if (node.dtype != DType::kF32 || !std::visit(WithMultiply{multiply}, attrs)) return Tensor();
    return graph.add(node.op, node.dtype, node.shape, inputs, std::move(attrs));
  });
}

}  // namespace ito
