// What the compiled training step of the default recipe moves, without a device; and how
// `ito inspect --plan` shows plans.
#include <map>
#include <set>

#include "api/task.h"
#include "graph/compile.h"
#include "io/json.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"

namespace ito::test {
namespace {

DeviceCaps cpu(uint32_t lanes) {
  DeviceCaps caps;
  caps.is_cpu = true;
  caps.subgroup_size = lanes;
  caps.compute_units = 2;
  return caps;
}

// `ito train` with its defaults on 28x28 grey images of ten classes.
TrainingTask default_task() {
  ImageDataset shape_only;
  shape_only.h = shape_only.w = 28;
  shape_only.c = 1;
  shape_only.labels = std::vector<int32_t>{9};
  return make_task({}, shape_only).value();
}

Plan training_plan(uint32_t lanes, const CompileOptions& options) {
  const TrainingTask task = default_task();
  auto plan =
      compile(train_step_program(task.network.set(), task.loss, task.step), cpu(lanes), options);
  EXPECT_TRUE(plan.ok()) << plan.error().message;
  return plan.ok() ? std::move(plan).value() : Plan{};
}

// Bytes moved by those of the ideal, in which each tensor of the program is touched once.
double ratio(const Plan& plan) {
  uint64_t bytes = 0;
  for (const KernelCall& call : plan.calls) bytes += call.bytes_read + call.bytes_written;
  return static_cast<double>(bytes) / static_cast<double>(plan.ideal_bytes);
}

class TrainingPlan : public ::testing::TestWithParam<uint32_t> {
 protected:
  Plan plan_ = training_plan(GetParam(), {});
};

// 1.45 today, and 2.44 without elementwise fusion, which the bound must catch.
TEST_P(TrainingPlan, MovesAtMostTwiceTheIdealBytesAndMoreUnfused) {
  constexpr double kMost = 2;
  ASSERT_GT(plan_.ideal_bytes, 0u);
  EXPECT_LE(ratio(plan_), kMost);
  const Plan unfused = training_plan(GetParam(), {.fuse = false});
  EXPECT_EQ(plan_.ideal_bytes, unfused.ideal_bytes);
  EXPECT_GT(ratio(unfused), kMost);
  EXPECT_LE(ratio(plan_), 2.0 / 3 * ratio(unfused));
  // Less than half the ideal would mean that bytes are not counted.
  EXPECT_GE(ratio(plan_), 0.5);
}

// The optimiser is fused: the moments, the weights and their average are written by at most two
// kernels, each for all weights at once.
TEST_P(TrainingPlan, UpdatesAllWeightsInAtMostTwoKernels) {
  std::map<std::string, std::set<size_t>> writers;
  std::set<size_t> all;
  for (size_t i = 0; i < plan_.calls.size(); ++i) {
    const KernelCall& call = plan_.calls[i];
    for (size_t a = 0; a < call.arguments.size(); ++a) {
      const BufferRange& range = call.arguments[a];
      if ((call.writes >> a & 1) == 0 || range.space != BufferSpace::kExternal) continue;
      writers[plan_.externals[range.buffer].name].insert(i);
    }
  }
  for (const char* name : {state_name::kParameters, state_name::kFirstMoment,
                           state_name::kSecondMoment, state_name::kAverage}) {
    EXPECT_EQ(writers[name].size(), 1u) << name;
    all.insert(writers[name].begin(), writers[name].end());
  }
  EXPECT_GE(all.size(), 1u);
  EXPECT_LE(all.size(), 2u);
}

// lavapipe with LP_NATIVE_VECTOR_WIDTH 256 and 512.
INSTANTIATE_TEST_SUITE_P(Lanes, TrainingPlan, ::testing::Values(8u, 16u));

Json inspect_json(std::vector<std::string> arguments) {
  const Outcome outcome = run_ito(with(std::move(arguments), {"--json"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  auto json = parse_json(outcome.out, "inspect");
  EXPECT_TRUE(json.ok()) << outcome.out;
  return json.ok() ? *json : Json::object();
}

// Whether the totals are those of the calls, the prologue's beside those of every replay.
void expect_sums(const Json& plan) {
  uint64_t read = 0, written = 0, flops = 0;
  uint64_t prologue_calls = 0, prologue_bytes = 0, prologue_flops = 0;
  for (const Json& call : plan.at("calls")) {
    for (const char* key :
         {"kernel", "label", "expression", "groups", "barrier_before", "reads", "writes"})
      EXPECT_TRUE(call.contains(key)) << key;
    if (call.at("prologue").get<bool>()) {
      ++prologue_calls;
      prologue_bytes +=
          call.at("bytes_read").get<uint64_t>() + call.at("bytes_written").get<uint64_t>();
      prologue_flops += call.at("flops").get<uint64_t>();
      continue;
    }
    read += call.at("bytes_read").get<uint64_t>();
    written += call.at("bytes_written").get<uint64_t>();
    flops += call.at("flops").get<uint64_t>();
  }
  EXPECT_GT(read, 0u);
  EXPECT_GT(flops, 0u);
  EXPECT_EQ(plan.at("bytes_read"), read);
  EXPECT_EQ(plan.at("bytes_written"), written);
  EXPECT_EQ(plan.at("flops"), flops);
  EXPECT_EQ(plan.at("prologue_calls"), prologue_calls);
  EXPECT_EQ(plan.at("prologue_bytes"), prologue_bytes);
  EXPECT_EQ(plan.at("prologue_flops"), prologue_flops);
  EXPECT_NEAR(plan.at("ratio").get<double>(),
              static_cast<double>(read + written) / plan.at("ideal_bytes").get<double>(), 1e-9);
  EXPECT_GT(plan.at("arena_bytes"), 0);
  EXPECT_TRUE(plan.contains("constant_bytes"));
  EXPECT_LE(plan.at("kernels"), plan.at("calls").size());
}

TEST(InspectPlan, OfTrainingShowsCallsPlacesAndTotals) {
  const std::vector<std::string> arguments = {"inspect", "--plan",        "train", "--batch",
                                              "2",       "--channels",    "8",     "--image-size",
                                              "8",       "--num-classes", "3"};
  const Json plan = inspect_json(arguments);
  expect_sums(plan);
  std::map<std::string, Json> externals;
  for (const Json& e : plan.at("externals")) externals[e.at("name")] = e;
  EXPECT_EQ(externals.at("params").at("role"), "state");
  EXPECT_EQ(externals.at("x0").at("shape"), Json({2, 8, 8, 1}));
  EXPECT_EQ(externals.at("x0").at("bytes"), 2 * 8 * 8 * 4);
  EXPECT_EQ(externals.at("loss").at("role"), "output");

  const Outcome text = run_ito(arguments);
  ASSERT_EQ(text.code, 0) << text.err;
  const std::string totals = std::to_string(plan.at("calls").size()) + " calls of " +
                             std::to_string(plan.at("kernels").get<int>()) + " kernels";
  for (const std::string& part :
       {std::string("externals\n"), std::string("state   params f32["), totals,
        "bytes read " + std::to_string(plan.at("bytes_read").get<uint64_t>()),
        "ideal " + std::to_string(plan.at("ideal_bytes").get<uint64_t>()), std::string("ratio "),
        std::string("MFLOP"), std::string("memory: arena ")})
    EXPECT_NE(text.out.find(part), std::string::npos) << "no '" << part << "'";
  // A line for each call and its places.
  size_t reads = 0;
  for (size_t at = 0; (at = text.out.find("\n      writes ", at)) != std::string::npos; ++at)
    ++reads;
  EXPECT_EQ(reads, plan.at("calls").size());
}

TEST(InspectPlan, OfAModelsStepAndEvaluation) {
  const Scratch scratch;
  write_tiny_model(scratch / "model");
  const std::string model = (scratch / "model").string();
  const Json step = inspect_json({"inspect", model, "--plan", "sample", "--batch", "3"});
  expect_sums(step);
  const Json of_options =
      inspect_json({"inspect", "--plan", "sample", "--channels", "8", "--image-size", "8"});
  expect_sums(of_options);
  const Outcome both = run_ito({"inspect", model, "--plan", "sample", "--channels", "8"});
  EXPECT_EQ(both.code, 2);
  EXPECT_NE(both.err.find("--channels is of a plan made from options"), std::string::npos)
      << both.err;
  const Json forward = inspect_json({"inspect", model, "--plan", "forward", "--batch", "3"});
  expect_sums(forward);
  const Json gradients =
      inspect_json({"inspect", model, "--plan", "forward", "--batch", "3", "--grad"});
  EXPECT_GT(gradients.at("flops"), forward.at("flops"));
}

}  // namespace
}  // namespace ito::test
