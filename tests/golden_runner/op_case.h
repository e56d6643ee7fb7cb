// OpCase: the program of one case of the family ops while it is built, with the tensors of the file
// brought into our layouts. Not the operations (ops.cpp).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "graph/builder.h"
#include "tests/golden_runner/case.h"
#include "tests/golden_runner/program_run.h"

namespace ito::golden {

// How a tensor of the file becomes a tensor of ours.
enum class Edge { kPlain, kChannelsLast, kMatrix, kConvolution };

inline Result<std::vector<int>> order_of(Edge edge, int rank) {
  std::vector<int> order;
  switch (edge) {
    case Edge::kPlain:
      for (int i = 0; i < rank; ++i) order.push_back(i);
      return order;
    case Edge::kChannelsLast:
      return channels_last_order(rank);
    case Edge::kMatrix:
      order = matrix_order();
      break;
    case Edge::kConvolution:
      order = convolution_order();
      break;
  }
  if (rank != static_cast<int>(order.size()))
    return corrupt("a weight has rank {}, expected {}", rank, order.size());
  return order;
}

// A value of ours and how it looks in the file.
struct Edged {
  Tensor tensor;
  Edge edge = Edge::kPlain;
};

// What a tensor of the file must hold; numbers are taken as floats, whatever they are.
enum class Holds { kFloats, kIntegers, kNumbers };

// The program of a case while it is built.
class OpCase {
 public:
  explicit OpCase(const Case& golden) : golden_(golden) {}

  Graph& graph() { return *program.graph; }
  bool has(const std::string& name) const { return golden_.has(name); }
  const Json& attrs() const { return attrs_; }
  Status read_attrs() {
    ITO_ASSIGN(attrs_, object(golden_.json, "attrs"));
    return {};
  }

  // The tensor of that name as an input of the program.
  Result<Tensor> input(const std::string& name, Edge edge = Edge::kPlain,
                       Holds holds = Holds::kFloats) {
    ITO_ASSIGN(Array array, golden_.array(name));
    if (holds == Holds::kNumbers) array.integer = false;
    if (array.integer != (holds == Holds::kIntegers))
      return corrupt("{} must hold {}", name, array.integer ? "floats" : "integers");
    ITO_ASSIGN(const std::vector<int> order, order_of(edge, array.shape.rank()));
    const Array ours = permuted(array, order);
    const Tensor tensor =
        ito::input(graph(), name, ours.shape, array.integer ? DType::kI32 : DType::kF32);
    values[name] = to_value(ours);
    inputs[name] = {tensor, edge};
    return tensor;
  }
  Result<Tensor> image(const std::string& name) {
    ITO_ASSIGN(const Tensor x, input(name, Edge::kChannelsLast));
    if (x.rank() != 4) return corrupt("{} has rank {}, expected an image, 4", name, x.rank());
    return x;
  }
  // Tensor `name` if the case has it, else an empty one.
  Result<Tensor> optional_input(const std::string& name) {
    if (!has(name)) return Tensor();
    return input(name);
  }

  Program program;
  HostValues values;
  std::map<std::string, Edged> inputs;

 private:
  const Case& golden_;
  Json attrs_;
};

}  // namespace ito::golden
