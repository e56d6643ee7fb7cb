// Value numbering, build-time simplification, text form, verification, programs.
#include "graph/graph.h"

#include <gtest/gtest.h>

#include <limits>

#include "graph/builder.h"
#include "graph/program.h"

namespace ito {
namespace {

TEST(Graph, EqualNodesAreOneNode) {
  Graph graph;
  Tensor x = input(graph, "x", {2, 3}), y = input(graph, "y", {2, 3});
  EXPECT_EQ(exp(x * y), exp(x * y));
  EXPECT_EQ(x * y, y * x);
  EXPECT_NE(x - y, y - x);
  EXPECT_NE(sum(x, {0}), sum(x, {1}));
  EXPECT_NE(cast(x, DType::kI32), cast(x, DType::kU32));
  EXPECT_EQ(constant(graph, {2}, {1, 2}), constant(graph, {2}, {1, 2}));
  EXPECT_NE(constant(graph, {2}, {1, 2}), constant(graph, {2}, {1, 3}));
  std::vector<double> many(100, 1.5), other = many;
  other[99] = 2;
  EXPECT_EQ(constant(graph, {100}, many), constant(graph, {100}, many));
  EXPECT_NE(constant(graph, {100}, many), constant(graph, {100}, other));
}

TEST(Graph, NodeReferencesStayValidWhileItGrows) {
  Graph graph;
  Tensor x = input(graph, "x", {2, 3});
  const Shape& shape = x.shape();
  for (int i = 0; i < 5000; ++i) x = x * (i + 0.5);
  EXPECT_EQ(shape, (Shape{2, 3}));
  EXPECT_EQ(&shape, &graph.node(0).shape);
}

TEST(Graph, LabelsNestAndEnd) {
  Graph graph;
  {
    LabelScope outer(graph, "down");
    LabelScope inner(graph, "conv1");
    EXPECT_EQ(input(graph, "x", {1}).node().label, "down.conv1");
  }
  EXPECT_EQ(graph.label(), "");
}

TEST(Graph, GradientsAreLabelledAfterWhatTheyDifferentiate) {
  Graph graph;
  Tensor x = input(graph, "x", {2});
  Tensor y;
  {
    LabelScope scope(graph, "act");
    y = sin(x);
  }
  Tensor dy = input(graph, "dy", {2});
  EXPECT_EQ(grad(y * dy, {x})[0].node().label, "act.grad");
  EXPECT_EQ(graph.label(), "");
}

TEST(Simplify, ExactIdentitiesVanish) {
  Graph graph;
  Tensor x = input(graph, "x", {2, 3});
  EXPECT_EQ(x + 0.0, x);
  EXPECT_EQ(0.0 + x, x);
  EXPECT_EQ(x - 0.0, x);
  EXPECT_EQ(x * 1.0, x);
  EXPECT_EQ(1.0 * x, x);
  EXPECT_EQ(x / 1.0, x);
  EXPECT_EQ(-(-x), x);
  EXPECT_EQ(0.0 - x, -x);
  EXPECT_EQ(x * -1.0, -x);
  EXPECT_EQ(cast(x, DType::kF32), x);
  EXPECT_EQ(reshape(x, {2, 3}), x);
  EXPECT_EQ(reshape(reshape(x, {6}), {3, 2}), reshape(x, {3, 2}));
  EXPECT_EQ(reshape(reshape(x, {6}), {2, 3}), x);
  EXPECT_EQ(permute(x, {0, 1}), x);
  EXPECT_EQ(permute(permute(x, {1, 0}), {1, 0}), x);
  EXPECT_EQ(broadcast_to(x, {2, 3}), x);
  EXPECT_EQ(slice(x, {0, 0}, {2, 3}), x);
  EXPECT_EQ(pad(x, {0, 0}, {0, 0}), x);
  EXPECT_EQ(concat({x}, 0), x);
  EXPECT_EQ(sum(reshape(x, {2, 1, 3}), {1}), x);
}

TEST(Simplify, KeepsWhatIsNotExact) {
  Graph graph;
  Tensor x = input(graph, "x", {2, 3});
  EXPECT_EQ((x * 0.0).node().op, Op::kMul);  // x may be infinite
  EXPECT_EQ((x - x).node().op, Op::kSub);
  EXPECT_EQ(flip(x, {0}).node().op, Op::kSlice);
  EXPECT_EQ(flip(reshape(x, {1, 6}), {1}).node().op, Op::kSlice);
}

TEST(Simplify, ArithmeticOfFullsIsFull) {
  Graph graph;
  Tensor two = full(graph, {2, 3}, 2);
  EXPECT_EQ(two * 3.0 + 1.0, full(graph, {2, 3}, 7));
  EXPECT_EQ(sqrt(two * 2.0), two);
  EXPECT_EQ(permute(pad(two, {0, 1}, {1, 0}, 2), {1, 0}), full(graph, {4, 3}, 2));
  EXPECT_EQ(pad(two, {0, 1}, {1, 0}).node().op, Op::kPad);
  EXPECT_EQ(sum(two, {0, 1}), scalar(graph, 12));
  EXPECT_EQ(max(two, {0}), full(graph, {3}, 2));
  EXPECT_EQ(broadcast_to(scalar(graph, 2), {2, 3}), two);
  Tensor word = scalar(graph, 4294967295.0, DType::kU32);
  EXPECT_EQ(word + scalar(graph, 2, DType::kU32), scalar(graph, 1, DType::kU32));
  Tensor x = input(graph, "x", {2, 3});
  EXPECT_EQ(select(less(two, two), x, two), two);
}

TEST(Text, IsOneLinePerNode) {
  Graph graph;
  Tensor x = input(graph, "x", {2, 8});
  LabelScope scope(graph, "head");
  sum(x * 0.5, {1}, true);
  EXPECT_EQ(to_text(graph),
            "%0 = input(){name=x} : f32[2,8]\n"
            "%1 = full(){value=0.5} : f32[2,8]  # head\n"
            "%2 = mul(%0, %1) : f32[2,8]  # head\n"
            "%3 = reduce_sum(%2){axes=[1]} : f32[2,1]  # head\n");
}

TEST(Verify, AcceptsWhatBuildersMake) {
  Graph graph;
  Tensor x = input(graph, "x", {1, 4, 4, 2}), w = input(graph, "w", {3, 3, 2, 2});
  grad(sum_all(silu(conv2d(x, w, {.pad = {1, 1, 1, 1}}))), {x, w});
  EXPECT_TRUE(verify(graph).ok());
}

// The rows' checks, called directly because Graph::add refuses such nodes.
std::string infer_message(const Graph& graph, const Node& node) {
  Result<Shape> shape = op_def(node.op).infer(graph, node);
  return shape.ok() ? "legal: " + shape->to_string() : shape.error().message;
}

TEST(Infer, NamesOpLabelAndShapes) {
  Graph graph;
  Tensor a = input(graph, "a", {2, 3}), b = input(graph, "b", {3, 2});
  Node node{Op::kAdd, DType::kF32, {2, 3}, {a.id(), b.id()}, {}, "mid.sum"};
  EXPECT_EQ(infer_message(graph, node),
            "add at mid.sum: operands must have one shape and dtype; operands are (f32[2,3], "
            "f32[3,2])");
}

TEST(Infer, RefusesIllegalNodes) {
  Graph graph;
  NodeId x = input(graph, "x", {2, 3}).id();
  NodeId image = input(graph, "image", {1, 4, 4, 6}).id();
  NodeId weight = input(graph, "weight", {3, 3, 4, 8}).id();
  NodeId vector = input(graph, "vector", {3}).id();
  NodeId word = input(graph, "word", {2}, DType::kU32).id();
  NodeId flag = input(graph, "flag", {2, 3}, DType::kBool).id();
  const DType f32 = DType::kF32;
  const std::vector<Node> illegal = {
      {Op::kExp, DType::kU32, {2}, {word}, {}, ""},
      {Op::kAdd, DType::kBool, {2, 3}, {flag, flag}, {}, ""},
      {Op::kLess, f32, {2, 3}, {x, x}, {}, ""},
      {Op::kNot, f32, {2, 3}, {x}, {}, ""},
      {Op::kShiftLeft, f32, {2, 3}, {x, x}, {}, ""},
      {Op::kSelect, f32, {2, 3}, {x, x, x}, {}, ""},
      {Op::kReshape, f32, {7}, {x}, {}, ""},
      {Op::kReshape, DType::kI32, {6}, {x}, {}, ""},
      {Op::kPermute, f32, {3, 2}, {x}, AxesAttr{{1, 1}}, ""},
      {Op::kBroadcast, f32, {4, 3}, {x}, {}, ""},
      {Op::kSlice, f32, {2, 3}, {x}, SliceAttr{{0, 1}, {1, 1}}, ""},
      {Op::kSlice, f32, {2, 3}, {x}, SliceAttr{{0, 0}, {1, 0}}, ""},
      {Op::kPad, f32, {1, 3}, {x}, PadAttr{{-1, 0}, {0, 0}, {0, 0}, 0}, ""},
      {Op::kConcat, f32, {4, 3}, {x, image}, AxesAttr{{0}}, ""},
      {Op::kGather, f32, {3, 3}, {x, vector}, {}, ""},
      {Op::kScatterAdd, f32, {5, 3}, {image, word}, {}, ""},
      {Op::kReduceSum, f32, {1, 3}, {x}, AxesAttr{{2}}, ""},
      {Op::kReduceSum, f32, {1, 1}, {x}, AxesAttr{{1, 0}}, ""},
      {Op::kMatmul, f32, {2, 3}, {x, x}, MatmulAttr{}, ""},
      {Op::kConv2d, f32, {1, 4, 4, 8}, {image, weight}, ConvAttr{.pad = {1, 1, 1, 1}}, ""},
      {Op::kGroupNorm, f32, {2, 3}, {x, vector, vector}, NormAttr{2, 1e-5}, ""},
      {Op::kLayerNorm, f32, {2, 3}, {x, x, vector}, NormAttr{1, 1e-5}, ""},
      {Op::kAttention, f32, {2, 3}, {x, x, x}, AttentionAttr{1, 1}, ""},
      {Op::kContract, f32, {2}, {x, x}, ContractAttr{.dims = {{2, 1, 0, 1}, {6, 1, 1, 0}}}, ""},
      {Op::kContract, f32, {2}, {x, x}, ContractAttr{{{2, -1, 0, 1}, {3, 1, 1, 0}}, 1, 0}, ""},
      {Op::kTileTransform,
       f32,
       {4},
       {x},
       TileTransformAttr{.dims = {}, .rows = 2, .taps = 2, .matrix = {}},
       ""},
      {Op::kTileTransform,
       f32,
       {4},
       {x},
       TileTransformAttr{.dims = {},
                         .rows = 2,
                         .taps = 2,
                         .matrix = {1, 0, 0, 1},
                         .in_step = {3, 1},
                         .out_step = {2, 1},
                         .in_offset = 2},
       ""},
  };
  for (const Node& node : illegal) {
    std::string message = infer_message(graph, node);
    EXPECT_EQ(message.find(op_def(node.op).name), 0u) << message;
  }
}

TEST(GraphDeathTest, AddRefusesAWrongShapeByName) {
  Graph graph;
  Tensor x = input(graph, "x", {2, 3});
  EXPECT_DEATH(graph.add(Op::kExp, DType::kF32, {3, 2}, std::span(&x, 1)), "exp.*\\[2,3\\]");
  Graph other;
  EXPECT_DEATH(other.add(Op::kExp, DType::kF32, {2, 3}, std::span(&x, 1)), "another graph");
}

TEST(Program, UpdateIsADonatedOutputOfTheInputsName) {
  Program program;
  Tensor x = input(*program.graph, "x", {2});
  program.update(x, x + 1.0);
  ASSERT_EQ(program.outputs.size(), 1u);
  EXPECT_EQ(program.outputs[0].name, "x");
  EXPECT_TRUE(program.outputs[0].donated);
}

TEST(ProgramDeathTest, UpdateNeedsAnInputOfTheSameShape) {
  Program program;
  Tensor x = input(*program.graph, "x", {2});
  EXPECT_DEATH(program.update(x + 1.0, x), "no input");
  EXPECT_DEATH(program.update(x, sum_all(x)), "update of x");
}

}  // namespace
}  // namespace ito
