// The table of ops is complete: every row has what its class demands, and a test case.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/graph/op_cases.h"

namespace ito {
namespace {

TEST(OpCensus, EveryRowIsComplete) {
  std::set<std::string_view> names;
  ASSERT_EQ(op_table().size(), static_cast<size_t>(Op::kCount));
  for (size_t i = 0; i < op_table().size(); ++i) {
    const OpDef& def = op_table()[i];
    SCOPED_TRACE(std::string(def.name));
    EXPECT_EQ(static_cast<size_t>(def.op), i);
    EXPECT_FALSE(def.name.empty());
    EXPECT_TRUE(names.insert(def.name).second) << "name used twice";
    EXPECT_NE(def.infer, nullptr);
    if (def.op == Op::kInput)
      EXPECT_EQ(def.eval, nullptr);
    else
      EXPECT_NE(def.eval, nullptr);
    if (def.differentiable)
      EXPECT_TRUE(def.grad || def.decompose) << "differentiable without a rule";
    else
      EXPECT_EQ(def.grad, nullptr) << "a rule that is never used";
    EXPECT_EQ(def.op_class == OpClass::kElementwise, !def.glsl.empty());
    EXPECT_EQ(def.op_class == OpClass::kComposite, def.decompose != nullptr);
    EXPECT_EQ(def.op_class == OpClass::kLeaf, def.arity == 0);
    if (def.op_class == OpClass::kElementwise) {
      for (int k = 0; k < def.arity; ++k)
        EXPECT_NE(def.glsl.find(fmt::format("${}", k)), std::string_view::npos);
    }
  }
}

TEST(OpCensus, EveryOpHasATestCaseThatUsesIt) {
  std::set<Op> used;
  for (const test::OpCase& c : test::op_cases()) {
    Graph graph;
    std::vector<Tensor> inputs;
    test::build_case(graph, c, &inputs);
    bool found = false;
    for (NodeId id = 0; id < graph.size(); ++id) found |= graph.node(id).op == c.op;
    EXPECT_TRUE(found) << c.name << " does not use " << op_def(c.op).name;
    used.insert(c.op);
  }
  for (const OpDef& def : op_table()) EXPECT_TRUE(used.count(def.op)) << def.name;
}

// Composite ops: the plain loops and the decomposition were written apart and must agree.
TEST(OpCensus, EveryDecompositionEqualsItsEvaluation) {
  for (const test::OpCase& c : test::op_cases()) {
    if (!op_def(c.op).decompose) continue;
    Graph graph;
    std::vector<Tensor> inputs;
    Tensor y = test::build_case(graph, c, &inputs);
    ASSERT_EQ(y.node().op, c.op) << c.name;
    std::vector<Tensor> operands;
    for (NodeId id : y.node().inputs) operands.push_back(Tensor(&graph, id));
    Tensor simple = op_def(c.op).decompose(y, operands);
    Result<std::vector<HostValue>> values = interpret({y, simple}, test::random_operands(c, 5));
    ASSERT_TRUE(values.ok()) << values.error().message;
    ASSERT_EQ((*values)[0].shape, (*values)[1].shape) << c.name;
    for (size_t i = 0; i < (*values)[0].data.size(); ++i)
      EXPECT_NEAR((*values)[0].data[i], (*values)[1].data[i], 1e-12) << c.name;
  }
}

TEST(OpCensus, EveryTextFormNamesEveryNode) {
  for (const test::OpCase& c : test::op_cases()) {
    Graph graph;
    std::vector<Tensor> inputs;
    test::build_case(graph, c, &inputs);
    const std::string text = to_text(graph);
    for (NodeId id = 0; id < graph.size(); ++id) {
      std::string start = fmt::format("%{} = {}(", id, op_def(graph.node(id).op).name);
      EXPECT_NE(text.find(start), std::string::npos) << c.name << ": " << start;
    }
  }
}

}  // namespace
}  // namespace ito
