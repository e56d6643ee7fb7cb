// When an executor runs the prologue of its plan: once, and again when what it reads was changed,
// whoever changed it.
#include <gtest/gtest.h>

#include <random>

#include "graph/builder.h"
#include "graph/compile.h"
#include "runtime/executor.h"
#include "tests/runtime/plan_helper.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

constexpr int64_t kN = 96;

// y = (2 p) + x, of which 2 p is the prologue.
Plan doubled_plan() {
  Plan plan;
  plan.name = "doubled";
  plan.kernels = {make_kernel("twice", 2, kN, "b.v[i] = 2.0 * a.v[i];"),
                  make_kernel("add", 3, kN, "c.v[i] = a.v[i] + b.v[i];")};
  plan.externals = {make_external("p", ExternalRole::kInput, kN),
                    make_external("x", ExternalRole::kInput, kN),
                    make_external("y", ExternalRole::kOutput, kN)};
  plan.arena_size = plan.kept_bytes = kN * 4;
  plan.calls = {
      make_call(0, {external_range(0, kN), arena_range(0, kN)}, 0b01, 0b10, kN, false, "2 p"),
      make_call(1, {arena_range(0, kN), external_range(1, kN), external_range(2, kN)}, 0b011, 0b100,
                kN, true, "2 p + x")};
  plan.prologue = 1;
  return plan;
}

std::vector<float> all(float value) { return std::vector<float>(kN, value); }

class PortablePrologue : public VulkanTest {
 protected:
  void SetUp() override {
    VulkanTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    ASSERT_OK_AND_ASSIGN(executor_, Executor::create(device(), doubled_plan()));
    ASSERT_OK(executor_->write("p", all(1)));
    ASSERT_OK(executor_->write("x", all(100)));
    ASSERT_OK(executor_->run(6));  // measured by now
    ASSERT_OK(executor_->wait());
  }

  // Submissions of `replays`, one each, and those of the prologue.
  uint64_t submits(uint32_t replays) {
    const uint64_t before = device().counters().submits;
    EXPECT_TRUE((executor_->run(replays)).ok());
    return device().counters().submits - before;
  }

  void expect_y(float value) {
    ASSERT_OK_AND_ASSIGN(const auto y, executor_->read<float>("y"));
    EXPECT_EQ(y, all(value));
  }

  std::unique_ptr<Executor> executor_;
};

TEST_F(PortablePrologue, RunsOnceForManyReplays) {
  EXPECT_EQ(submits(10), 10u);
  expect_y(102);
  ASSERT_OK(executor_->write("x", all(7)));  // which it does not read
  ASSERT_OK(executor_->enqueue_write("x", all(8)));
  EXPECT_EQ(submits(10), 10u);
  expect_y(10);
}

TEST_F(PortablePrologue, SeesWrites) {
  ASSERT_OK(executor_->write("p", all(5)));
  EXPECT_EQ(submits(3), 4u);
  expect_y(110);
  ASSERT_OK(executor_->enqueue_write("p", all(6)));
  EXPECT_LE(submits(3), 5u);
  expect_y(112);
  EXPECT_EQ(submits(3), 3u);
  ASSERT_OK_AND_ASSIGN(const DeviceTensor p, executor_->tensor("p"));
  ASSERT_OK(p.write(bytes_of(all(7))));
  EXPECT_EQ(submits(3), 4u);
  expect_y(114);
  ASSERT_OK(vk::fill_now(device(), *p.buffer(), p.offset(), p.size(), 0));
  ASSERT_OK(executor_->run());
  expect_y(100);
}

// Whose copy is submitted only with the other's next replay.
TEST_F(PortablePrologue, SeesWhatAnotherExecutorUploads) {
  ASSERT_OK_AND_ASSIGN(auto other, Executor::create(device(), add_plan(kN)));
  ASSERT_OK_AND_ASSIGN(const DeviceTensor p, executor_->tensor("p"));
  ASSERT_OK(other->bind("a", p));
  ASSERT_OK(other->enqueue_write("a", all(30)));
  ASSERT_OK(executor_->run());
  expect_y(102);
  ASSERT_OK(other->run());
  ASSERT_OK(executor_->run());
  expect_y(160);
  ASSERT_OK(other->write("a", all(31)));
  ASSERT_OK(executor_->run());
  expect_y(162);
}

TEST_F(PortablePrologue, SeesOtherMemory) {
  ASSERT_OK_AND_ASSIGN(auto first, DeviceTensor::create(device(), DType::kF32, Shape{kN}));
  ASSERT_OK_AND_ASSIGN(auto second, DeviceTensor::create(device(), DType::kF32, Shape{kN}));
  ASSERT_OK(first.write(bytes_of(all(10))));
  ASSERT_OK(second.write(bytes_of(all(20))));
  for (int k = 0; k < 2; ++k) {
    ASSERT_OK(executor_->bind("p", first));
    ASSERT_OK(executor_->run());
    expect_y(120);
    ASSERT_OK(executor_->bind("p", second));
    ASSERT_OK(executor_->run());
    expect_y(140);
  }
  ASSERT_OK(executor_->bind("x", first));
  ASSERT_OK(executor_->run());
  expect_y(50);
}

// As training does the average that samples are drawn with.
TEST_F(PortablePrologue, SeesWhatAnotherExecutorMakes) {
  ASSERT_OK_AND_ASSIGN(auto adds, Executor::create(device(), accumulate_plan(kN)));
  ASSERT_OK_AND_ASSIGN(const DeviceTensor p, executor_->tensor("p"));
  ASSERT_OK(adds->bind("state", p));
  ASSERT_OK(adds->write("x", all(1)));
  for (int k = 1; k <= 3; ++k) {
    ASSERT_OK(adds->run(2));
    EXPECT_EQ(submits(2), 3u);
    expect_y(100 + 2 * (1 + 2.0f * static_cast<float>(k)));
    EXPECT_EQ(submits(2), 2u);
  }
  ASSERT_OK(adds->run_call(0));
  ASSERT_OK(executor_->run());
  expect_y(116);
}

// Two of one plan: what one knows, the other need not.
TEST_F(PortablePrologue, TwoExecutorsOnOneParameter) {
  ASSERT_OK_AND_ASSIGN(auto other, Executor::create(device(), doubled_plan()));
  ASSERT_OK_AND_ASSIGN(const DeviceTensor p, executor_->tensor("p"));
  ASSERT_OK(other->bind("p", p));
  for (int k = 2; k < 5; ++k) {
    ASSERT_OK((k % 2 == 0 ? *executor_ : *other).write("p", all(static_cast<float>(k))));
    ASSERT_OK(other->run());
    ASSERT_OK(executor_->run());
    expect_y(100 + 2 * static_cast<float>(k));
    ASSERT_OK_AND_ASSIGN(const auto y, other->read<float>("y"));
    EXPECT_EQ(y, all(2 * static_cast<float>(k)));
  }
}

// Memory that its owner may change without a word.
TEST_F(PortablePrologue, RunsEachTimeOnACallersBuffer) {
  ASSERT_OK_AND_ASSIGN(const auto engine,
                       device().memory().allocate(kN * 4, vk::MemoryUse::kDevice));
  auto borrowed = std::make_shared<const vk::Buffer>(
      vk::Buffer::borrow(engine.handle(), engine.offset(), kN * 4, engine.address()));
  ASSERT_OK_AND_ASSIGN(auto p, DeviceTensor::view(device(), borrowed, 0, DType::kF32, Shape{kN}));
  ASSERT_OK(executor_->bind("p", p));
  for (int k = 1; k < 4; ++k) {
    ASSERT_OK(vk::upload_now(device(), engine, 0, bytes_of(all(static_cast<float>(k)))));
    EXPECT_EQ(submits(2), 4u);
    expect_y(100 + 2 * static_cast<float>(k));
  }
}

// Commands of a caller's that change a parameter, executed nobody knows when.
TEST_F(PortablePrologue, SeesWhatACallersCommandsChange) {
  ASSERT_OK_AND_ASSIGN(auto adds, Executor::create(device(), accumulate_plan(kN)));
  ASSERT_OK_AND_ASSIGN(const DeviceTensor p, executor_->tensor("p"));
  ASSERT_OK(adds->bind("state", p));
  ASSERT_OK(adds->write("x", all(1)));
  ASSERT_OK(adds->prepare());
  ASSERT_OK_AND_ASSIGN(auto commands, vk::CommandBuffer::create(device()));
  ASSERT_OK_AND_ASSIGN(auto recorder, commands.begin());
  ASSERT_OK(adds->record_into(recorder));
  ASSERT_OK(commands.end());
  for (int k = 1; k < 4; ++k) {
    ASSERT_OK(device().queue().submit({&commands}));
    ASSERT_OK(executor_->run());
    expect_y(102 + 2 * static_cast<float>(k));
  }
}

TEST_F(PortablePrologue, IsInWhatIsRecordedForACaller) {
  ASSERT_OK_AND_ASSIGN(auto whole, vk::CommandBuffer::create(device()));
  ASSERT_OK_AND_ASSIGN(auto rest, vk::CommandBuffer::create(device()));
  const auto execute = [&](const vk::CommandBuffer& commands) {
    const auto value = device().queue().submit({&commands});
    ASSERT_OK(value);
    ASSERT_OK(device().queue().wait(*value, vk::WaitReason::kResult));
  };
  {
    ASSERT_OK_AND_ASSIGN(auto recorder, whole.begin());
    ASSERT_OK(executor_->record_into(recorder, 0, 1));
    ASSERT_OK(executor_->record_into(recorder, 1));
    ASSERT_OK(whole.end());
  }
  {
    ASSERT_OK_AND_ASSIGN(auto recorder, rest.begin());
    ASSERT_OK(executor_->record_into(recorder, executor_->plan().prologue));
    ASSERT_OK(rest.end());
  }
  ASSERT_OK(executor_->write("p", all(3)));
  execute(whole);
  expect_y(106);
  ASSERT_OK(executor_->write("x", all(0)));
  execute(rest);
  expect_y(6);
  // And the executor's own replays hold whatever the caller's commands did.
  ASSERT_OK(executor_->write("p", all(4)));
  ASSERT_OK(executor_->run());
  expect_y(8);
  ASSERT_OK(executor_->run());
  expect_y(8);
}

TEST_F(PortablePrologue, SingleCallsAndProfilesKnowIt) {
  ASSERT_OK(executor_->write("p", all(9)));
  ASSERT_OK(executor_->run_call(1));  // without the prologue: on the old result
  expect_y(102);
  ASSERT_OK(executor_->run_call(0));
  ASSERT_OK(executor_->run_call(1));
  expect_y(118);
  ASSERT_OK(executor_->run());
  expect_y(118);

  ExecutorOptions options;
  options.profile = true;
  auto timed = Executor::create(device(), doubled_plan(), options);
  ASSERT_OK(timed);
  ASSERT_OK((*timed)->run(4));
  const Profile& profile = (*timed)->profile();
  ASSERT_EQ(profile.calls.size(), 2u);
  EXPECT_EQ(profile.calls[0].runs, 1u);
  EXPECT_EQ(profile.calls[1].runs, 4u);
  EXPECT_EQ(profile.spans.size(), 1u) << "of the newest replay";
}

// Compiled programs: bit by bit what an executor gives that has seen nothing before.
class ProloguePrograms : public VulkanTest {
 protected:
  static constexpr int64_t kC = 32, kWeights = 2 * 9 * kC * kC;

  static Tensor layers(Tensor flat, Tensor x) {
    for (int k = 0; k < 2; ++k) {
      const int64_t one = kWeights / 2;
      x = tanh(conv2d(x, reshape(slice_axis(flat, 0, k * one, (k + 1) * one), {3, 3, kC, kC}),
                      ConvAttr{.pad = {1, 1, 1, 1}}));
    }
    return x;
  }

  static Program evaluation(int64_t n) {
    Program program;
    Graph& graph = *program.graph;
    program.output("y", layers(parameter_input(graph, "params", {kWeights}),
                               input(graph, "x", {n, 16, 16, kC})));
    return program;
  }

  // A step of training, without a prologue.
  static Program training() {
    Program program;
    Graph& graph = *program.graph;
    const Tensor flat = parameter_input(graph, "params", {kWeights});
    const Tensor y = layers(flat, input(graph, "x", {1, 16, 16, kC}));
    const Tensor loss = mean_all(square(y - 0.5));
    program.update(flat, flat - grad(loss, {flat})[0] * 10.0);
    return program;
  }

  Result<std::unique_ptr<Executor>> executor(const Program& program, bool canary = false) {
    ITO_ASSIGN(Plan plan, compile(program, device().caps()));
    ExecutorOptions options;
    options.canary = canary;
    return Executor::create(device(), std::move(plan), options);
  }

  std::vector<float> random(int64_t n, float scale) {
    std::normal_distribution<float> normal(0, scale);
    std::vector<float> values(static_cast<size_t>(n));
    for (float& value : values) value = normal(random_);
    return values;
  }

  // Of an executor made for the purpose.
  std::vector<float> fresh(int64_t n, const std::vector<float>& weights,
                           const std::vector<float>& x) {
    auto made = executor(evaluation(n), true);
    EXPECT_TRUE((made).ok());
    if (!made.ok()) return {};
    EXPECT_TRUE(((*made)->write("params", weights)).ok());
    EXPECT_TRUE(((*made)->write("x", x)).ok());
    EXPECT_TRUE(((*made)->run()).ok());
    auto y = (*made)->read<float>("y");
    EXPECT_TRUE((y).ok());
    return y.ok() ? *y : std::vector<float>();
  }

  std::mt19937 random_{11};
};

TEST_F(ProloguePrograms, GiveWhatAFreshExecutorGives) {
  ASSERT_OK_AND_ASSIGN(auto evaluates, executor(evaluation(2)));
  if (device().caps().is_cpu) {
    EXPECT_EQ(evaluates->plan().prologue, 1u) << "both transforms are one dispatch";
  }
  ASSERT_OK_AND_ASSIGN(auto trains, executor(training()));
  EXPECT_EQ(trains->plan().prologue, 0u);
  ASSERT_OK_AND_ASSIGN(const DeviceTensor weights, trains->tensor("params"));
  ASSERT_OK(evaluates->bind("params", weights));

  std::vector<float> w = random(kWeights, 0.1f);
  const std::vector<float> x = random(2 * 16 * 16 * kC, 1);
  const auto expect_fresh = [&](const char* why) {
    SCOPED_TRACE(why);
    std::vector<float> now(static_cast<size_t>(kWeights));
    ASSERT_OK(weights.read(writable_bytes_of(now)));
    ASSERT_OK(evaluates->run(2));
    ASSERT_OK_AND_ASSIGN(const auto y, evaluates->read<float>("y"));
    EXPECT_EQ(y, fresh(2, now, x));
  };
  ASSERT_OK(evaluates->write("x", x));
  ASSERT_OK(trains->write("x", random(16 * 16 * kC, 1)));
  ASSERT_OK(weights.write(bytes_of(w)));
  expect_fresh("written");
  for (int k = 0; k < 2; ++k) {
    ASSERT_OK(trains->run(2));
    expect_fresh("trained");
  }
  ASSERT_OK(evaluates->enqueue_write("params", random(kWeights, 0.1f)));
  ASSERT_OK(evaluates->run());
  expect_fresh("uploaded");
}

TEST_F(ProloguePrograms, AnImageDoesNotDependOnOthers) {
  const std::vector<float> w = random(kWeights, 0.1f), x = random(3 * 16 * 16 * kC, 1);
  const std::vector<float> three = fresh(3, w, x);
  const size_t one = 16 * 16 * kC;
  ASSERT_EQ(three.size(), 3 * one);
  for (size_t i = 0; i < 3; ++i) {
    const auto begin = static_cast<std::ptrdiff_t>(i * one), end = begin + std::ptrdiff_t{one};
    EXPECT_EQ(fresh(1, w, {x.begin() + begin, x.begin() + end}),
              std::vector<float>(three.begin() + begin, three.begin() + end));
  }
}

}  // namespace
}  // namespace ito::test
