// Where NaN and infinity come in, the same elements come out as NaN or infinity on the device and
// on the interpreter: max, min, clamp and reductions (GLSL's own max and min leave it open).
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "graph/builder.h"
#include "tests/support/run_program.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

class PortableNan : public VulkanTest {};

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

// "nan", "+inf", "-inf" or "finite" for each element.
std::vector<std::string> kinds(const HostValue& value) {
  std::vector<std::string> text;
  for (const double x : value.data)
    text.push_back(std::isnan(x) ? "nan" : std::isinf(x) ? (x > 0 ? "+inf" : "-inf") : "finite");
  return text;
}

void expect_same_kinds(vk::Device& device, const Program& program, const HostValues& inputs) {
  ASSERT_OK_AND_ASSIGN(const HostValues expected, run_on_interpreter(program, inputs));
  // As this device likes it, and in the forms for GPUs (shared memory).
  DeviceCaps gpu = device.caps();
  gpu.is_cpu = false;
  for (const DeviceCaps* caps : {static_cast<const DeviceCaps*>(nullptr), &std::as_const(gpu)}) {
    ASSERT_OK_AND_ASSIGN(const HostValues found, run_on_device(device, program, inputs, {}, caps));
    for (const auto& [name, value] : expected)
      EXPECT_EQ(kinds(found.at(name)), kinds(value)) << name << (caps != nullptr ? " (GPU)" : "");
  }
}

TEST_F(PortableNan, MaxMinAndClampKeepIt) {
  Program program;
  Graph& graph = *program.graph;
  const Tensor a = input(graph, "a", {8}), b = input(graph, "b", {8});
  program.output("max", maximum(a, b));
  program.output("min", minimum(a, b));
  program.output("clamp", clamp(a, -1, 1));
  program.output("relu", relu(a));
  const HostValues inputs = {{"a", {{8}, {kNan, 1, kNan, kInf, -kInf, 2, kInf, 0}}},
                             {"b", {{8}, {1, kNan, kNan, kNan, kNan, 3, -kInf, kInf}}}};
  ASSERT_OK_AND_ASSIGN(const HostValues oracle, run_on_interpreter(program, inputs));
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_TRUE(std::isnan(oracle.at("max").data[i])) << i;
    EXPECT_TRUE(std::isnan(oracle.at("min").data[i])) << i;
  }
  EXPECT_TRUE(std::isnan(oracle.at("clamp").data[0]));
  EXPECT_TRUE(std::isnan(oracle.at("relu").data[2]));
  expect_same_kinds(device(), program, inputs);
}

// One NaN anywhere in a row makes the row's maximum and sum NaN; rows of 5 and of 1000 are reduced
// by one lane and by many, and the NaN's place changes which of them meets it.
TEST_F(PortableNan, ReductionsKeepIt) {
  for (const int64_t length : {5, 1000}) {
    constexpr int64_t kRows = 4;
    Program program;
    const Tensor x = input(*program.graph, "x", {kRows, length});
    program.output("max", max(x, {1}));
    program.output("sum", sum(x, {1}));
    for (const int64_t place : {int64_t{0}, length / 2, length - 1}) {
      HostValue values{{kRows, length},
                       std::vector<double>(static_cast<size_t>(kRows * length), -1)};
      const auto at = [&](int64_t row) { return static_cast<size_t>(row * length + place); };
      values.data[at(0)] = kNan;
      values.data[at(1)] = kInf;
      values.data[at(2)] = -kInf;
      ASSERT_OK_AND_ASSIGN(const HostValues oracle, run_on_interpreter(program, {{"x", values}}));
      EXPECT_EQ(kinds(oracle.at("max")),
                (std::vector<std::string>{"nan", "+inf", "finite", "finite"}));
      expect_same_kinds(device(), program, {{"x", values}});
    }
  }
}

}  // namespace
}  // namespace ito::test
