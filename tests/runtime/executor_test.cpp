#include "runtime/executor.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "tests/runtime/plan_helper.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

std::vector<float> ramp(size_t n, float start) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), start);
  return values;
}

// Also run on SwiftShader and on older lavapipe.
class PortableExecutor : public VulkanTest {};

TEST_F(PortableExecutor, AddsTwoBuffers) {
  constexpr size_t kN = 1001;
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), add_plan(kN)));
  ASSERT_OK(executor->write("a", ramp(kN, 0)));
  ASSERT_OK(executor->write("b", ramp(kN, 1000)));
  ASSERT_OK(executor->run());
  ASSERT_OK_AND_ASSIGN(const auto c, executor->read<float>("c"));
  for (size_t i = 0; i < kN; ++i) ASSERT_EQ(c[i], 1000.0f + 2.0f * static_cast<float>(i)) << i;
}

TEST_F(PortableExecutor, StateInPlaceCountsReplays) {
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), accumulate_plan(33)));
  ASSERT_OK(executor->write("x", std::vector<float>(33, 1.0f)));
  ASSERT_OK(executor->run(1000));
  ASSERT_OK_AND_ASSIGN(const auto state, executor->read<float>("state"));
  EXPECT_EQ(state, std::vector<float>(33, 1000.0f));
}

TEST_F(PortableExecutor, BarriersOrderAChainOfCalls) {
  constexpr size_t kN = 5000;
  for (const int length : {1, 2, 15}) {
    ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), chain_plan(kN, length)));
    ASSERT_OK(executor->write("x", ramp(kN, 0)));
    ASSERT_OK(executor->run(3));
    ASSERT_OK_AND_ASSIGN(const auto y, executor->read<float>("y"));
    for (size_t i = 0; i < kN; ++i) {
      const size_t from = length % 2 == 1 ? kN - 1 - i : i;
      ASSERT_EQ(y[i], static_cast<float>(from + static_cast<size_t>(length))) << i;
    }
  }
}

TEST_F(PortableExecutor, ConstantsReachTheKernel) {
  Plan plan = add_plan(4);
  const std::vector<float> constants = {10, 20, 30, 40};
  plan.constants.resize(32);
  std::memcpy(plan.constants.data() + 16, constants.data(), 16);
  plan.calls[0].arguments[1] = constant_range(16, 4);
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), plan));
  ASSERT_OK(executor->write("a", ramp(4, 1)));
  ASSERT_OK(executor->run());
  ASSERT_OK_AND_ASSIGN(const auto c, executor->read<float>("c"));
  EXPECT_EQ(c, (std::vector<float>{11, 22, 33, 44}));
}

TEST_F(PortableExecutor, TwoExecutorsShareATensor) {
  ASSERT_OK_AND_ASSIGN(auto state, DeviceTensor::create(device(), DType::kF32, Shape{8}));
  ASSERT_OK_AND_ASSIGN(auto adds, Executor::create(device(), accumulate_plan(8)));
  ASSERT_OK_AND_ASSIGN(auto reads, Executor::create(device(), add_plan(8)));
  ASSERT_OK(adds->bind("state", state));
  ASSERT_OK(reads->bind("a", state));
  ASSERT_OK(adds->write("x", std::vector<float>(8, 2.0f)));
  ASSERT_OK(reads->write("b", std::vector<float>(8, 100.0f)));
  for (int k = 0; k < 5; ++k) {
    ASSERT_OK(adds->run(3));
    ASSERT_OK(reads->run());
  }
  ASSERT_OK_AND_ASSIGN(const auto c, reads->read<float>("c"));
  EXPECT_EQ(c, std::vector<float>(8, 130.0f));
  std::vector<float> values(8);
  ASSERT_OK(state.read(writable_bytes_of(values)));
  EXPECT_EQ(values, std::vector<float>(8, 30.0f));
}

TEST_F(PortableExecutor, RebindingRecordsAnew) {
  ASSERT_OK_AND_ASSIGN(auto first, DeviceTensor::create(device(), DType::kF32, Shape{8}));
  ASSERT_OK_AND_ASSIGN(auto second, DeviceTensor::create(device(), DType::kF32, Shape{8}));
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), accumulate_plan(8)));
  ASSERT_OK(executor->write("x", std::vector<float>(8, 1.0f)));
  ASSERT_OK(executor->bind("state", first));
  ASSERT_OK(executor->run(2));
  ASSERT_OK(executor->bind("state", second));
  ASSERT_OK(executor->run(5));
  std::vector<float> a(8), b(8);
  ASSERT_OK(first.read(writable_bytes_of(a)));
  ASSERT_OK(second.read(writable_bytes_of(b)));
  EXPECT_EQ(a, std::vector<float>(8, 2.0f));
  EXPECT_EQ(b, std::vector<float>(8, 5.0f));
}

TEST_F(PortableExecutor, LongDispatchIsSplitWithoutChangingTheResult) {
  constexpr size_t kN = 4096;
  Plan plan = chain_plan(kN, 4);
  for (KernelCall& call : plan.calls) call.flops = 100'000'000'000;  // pretends to take seconds
  ExecutorOptions options;
  options.max_submit_ms = 1000;
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), plan, options));
  ASSERT_OK(executor->write("x", ramp(kN, 0)));
  ASSERT_OK(executor->run(1));
  if (device().caps().is_cpu) {  // a CPU driver measures from the second replay on
    EXPECT_GE(executor->slice_count(), 4u);
  }
  ASSERT_OK_AND_ASSIGN(auto y, executor->read<float>("y"));
  for (size_t i = 0; i < kN; ++i) ASSERT_EQ(y[i], static_cast<float>(i + 4)) << i;
  ASSERT_OK(executor->run(5));
  EXPECT_EQ(executor->slice_count(), 1u) << "measured times must replace the guess";
  ASSERT_OK_AND_ASSIGN(y, executor->read<float>("y"));
  for (size_t i = 0; i < kN; ++i) ASSERT_EQ(y[i], static_cast<float>(i + 4)) << i;
}

class ExecutorTest : public VulkanTest {};

TEST_F(ExecutorTest, ReplaysDoNoHostWork) {
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), chain_plan(4096, 10)));
  ASSERT_OK(executor->write("x", ramp(4096, 0)));
  ASSERT_OK(executor->run(5));  // records, and measures itself
  ASSERT_OK(executor->wait());
  const vk::Counters before = device().counters();
  ASSERT_OK(executor->run(100));
  const vk::Counters after = device().counters();
  EXPECT_EQ(after.allocations, before.allocations);
  EXPECT_EQ(after.memory_blocks, before.memory_blocks);
  EXPECT_EQ(after.pipelines_created, before.pipelines_created);
  EXPECT_EQ(after.glsl_compilations, before.glsl_compilations);
  EXPECT_EQ(after.host_waits, before.host_waits);
  EXPECT_EQ(after.recordings, before.recordings);
  EXPECT_EQ(after.submits, before.submits + 100);
}

TEST_F(ExecutorTest, EnqueuedWritesTakeEffectInOrder) {
  constexpr size_t kN = 1000;
  ExecutorOptions options;
  options.upload_ring_bytes = 3 * 4096;  // three writes fill it: it wraps and waits
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), accumulate_plan(kN), options));
  double expected = 0;
  for (int k = 0; k < 200; ++k) {
    const auto value = static_cast<float>(k % 7);
    ASSERT_OK(executor->enqueue_write("x", std::vector<float>(kN, value)));
    ASSERT_OK(executor->run(k % 3));
    expected += value * (k % 3);
  }
  ASSERT_OK_AND_ASSIGN(const auto state, executor->read<float>("state"));
  for (size_t i = 0; i < kN; ++i) ASSERT_EQ(state[i], static_cast<float>(expected)) << i;
}

TEST_F(ExecutorTest, TheLastOfSeveralEnqueuedWritesCounts) {
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), accumulate_plan(64)));
  for (int k = 1; k <= 5; ++k)
    ASSERT_OK(executor->enqueue_write("x", std::vector<float>(64, static_cast<float>(k))));
  ASSERT_OK(executor->run());
  ASSERT_OK_AND_ASSIGN(const auto state, executor->read<float>("state"));
  EXPECT_EQ(state, std::vector<float>(64, 5.0f));
}

TEST_F(ExecutorTest, AnEnqueuedWriteLargerThanTheRingMakesItGrow) {
  ExecutorOptions options;
  options.upload_ring_bytes = 256;
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), accumulate_plan(1000), options));
  ASSERT_OK(executor->enqueue_write("x", ramp(1000, 5)));
  ASSERT_OK(executor->run(2));
  ASSERT_OK_AND_ASSIGN(const auto state, executor->read<float>("state"));
  for (size_t i = 0; i < 1000; ++i) ASSERT_EQ(state[i], 2.0f * static_cast<float>(i + 5));
}

TEST_F(ExecutorTest, EnqueuedWritesAndReadsNeverWaitWhileThereIsRoom) {
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), accumulate_plan(256)));
  const std::vector<float> ones(256, 1.0f);
  std::vector<float> state(256);
  for (int k = 0; k < 4; ++k) {  // warm up
    ASSERT_OK(executor->enqueue_write("x", ones));
    ASSERT_OK(executor->run());
    ASSERT_OK_AND_ASSIGN(const auto ticket, executor->enqueue_read("state"));
    ASSERT_OK(ticket.read(writable_bytes_of(state)));
  }
  const vk::Counters before = device().counters();
  for (int k = 0; k < 100; ++k) {
    ASSERT_OK(executor->enqueue_write("x", ones));
    ASSERT_OK(executor->run());
  }
  const vk::Counters after = device().counters();
  EXPECT_EQ(after.allocations, before.allocations);
  EXPECT_EQ(after.host_waits, before.host_waits);
  EXPECT_EQ(after.submits, before.submits + 100) << "an upload rides with its replay";
  ASSERT_OK(executor->read("state", writable_bytes_of(state)));
  EXPECT_EQ(state, std::vector<float>(256, 104.0f));
}

TEST_F(ExecutorTest, TicketsSeeTheReplayThatPrecedesThem) {
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), accumulate_plan(16)));
  ASSERT_OK(executor->write("x", std::vector<float>(16, 1.0f)));
  std::vector<vk::ReadTicket> tickets;
  for (int k = 0; k < 20; ++k) {
    ASSERT_OK(executor->run());
    ASSERT_OK_AND_ASSIGN(auto ticket, executor->enqueue_read("state"));
    tickets.push_back(std::move(ticket));
  }
  std::vector<float> state(16);
  for (size_t k = 0; k < tickets.size(); ++k) {
    ASSERT_OK(tickets[k].read(writable_bytes_of(state)));
    EXPECT_EQ(state, std::vector<float>(16, static_cast<float>(k + 1)));
    ASSERT_OK_AND_ASSIGN(const bool ready, tickets[k].ready());
    EXPECT_TRUE(ready);
  }
  // Their host memory is used again.
  tickets.clear();
  const uint64_t allocations = device().counters().allocations;
  for (int k = 0; k < 20; ++k) {
    ASSERT_OK_AND_ASSIGN(auto ticket, executor->enqueue_read("state"));
    tickets.push_back(std::move(ticket));
  }
  EXPECT_EQ(device().counters().allocations, allocations);
}

TEST_F(ExecutorTest, ReservedReadsAllocateNothingHoweverManyAreUnderWay) {
  ExecutorOptions options;
  options.max_submits_in_flight = 4;
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), accumulate_plan(16), options));
  ASSERT_OK(executor->prepare());
  ASSERT_OK(executor->run(8));  // which measures
  ASSERT_OK(executor->reserve_reads("state"));
  ASSERT_OK(executor->reserve_reads("state"));
  const vk::Counters before = device().counters();
  std::vector<vk::ReadTicket> tickets;  // as many as can be under way, and none given back
  for (uint32_t k = 0; k < options.max_submits_in_flight + 2; ++k) {
    ASSERT_OK(executor->run());
    ASSERT_OK_AND_ASSIGN(auto ticket, executor->enqueue_read("state"));
    tickets.push_back(std::move(ticket));
  }
  EXPECT_EQ(device().counters().allocations, before.allocations);
  EXPECT_EQ(device().counters().recordings, before.recordings);
  ASSERT_OK_AND_ASSIGN(const auto ticket, executor->enqueue_read("state"));
  EXPECT_GT(device().counters().allocations, before.allocations) << "one more than was reserved";
}

TEST_F(ExecutorTest, ATicketMayOutliveItsExecutor) {
  vk::ReadTicket ticket;
  {
    ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), accumulate_plan(4)));
    ASSERT_OK(executor->write("x", std::vector<float>(4, 3.0f)));
    ASSERT_OK(executor->run());
    ASSERT_OK_AND_ASSIGN(ticket, executor->enqueue_read("state"));
  }
  std::vector<float> state(4);
  ASSERT_OK(ticket.read(writable_bytes_of(state)));
  EXPECT_EQ(state, std::vector<float>(4, 3.0f));
}

TEST_F(ExecutorTest, WrongSizesAndNamesAreErrors) {
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), add_plan(4)));
  const Status wrong_name = executor->write("d", ramp(4, 0));
  ASSERT_FALSE(wrong_name.ok());
  EXPECT_EQ(wrong_name.error().message, "the program 'add' has no external 'd'");
  const Status wrong_size = executor->write("a", ramp(3, 0));
  ASSERT_FALSE(wrong_size.ok());
  EXPECT_EQ(wrong_size.error().message,
            "external 'a' (f32 [4]) holds 16 bytes, but the host's copy has 12");
  ASSERT_OK_AND_ASSIGN(auto tensor, DeviceTensor::create(device(), DType::kF32, Shape{2, 2}));
  const Status wrong_shape = executor->bind("a", tensor);
  ASSERT_FALSE(wrong_shape.ok());
  EXPECT_EQ(wrong_shape.error().message, "external 'a' is f32 [4]; the tensor given is f32 [2,2]");
}

TEST_F(ExecutorTest, ProfileTimesEveryCall) {
  const Plan plan = chain_plan(4096, 3);
  ExecutorOptions options;
  options.profile = true;
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), plan, options));
  ASSERT_OK(executor->run(4));
  const Profile& profile = executor->profile();
  EXPECT_EQ(profile.replays, 4u);
  ASSERT_EQ(profile.calls.size(), 3u);
  for (const CallTime& time : profile.calls) {
    EXPECT_EQ(time.runs, 4u);
    EXPECT_GT(time.total_us, 0);
  }
  EXPECT_NE(profile.kernel_table(plan).find("reverse"), std::string::npos);
  EXPECT_NE(profile.trace_json(plan).find("\"name\":\"reverse 2\""), std::string::npos);
}

TEST_F(ExecutorTest, RecordsIntoACallersCommandBuffer) {
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), chain_plan(100, 4)));
  ASSERT_OK(executor->write("x", ramp(100, 0)));
  ASSERT_OK(executor->prepare());
  ASSERT_OK_AND_ASSIGN(auto commands, vk::CommandBuffer::create(device()));
  const vk::Counters before = device().counters();
  ASSERT_OK_AND_ASSIGN(auto recorder, commands.begin());
  ASSERT_OK(executor->record_into(recorder, 0, 2));  // two slices of the program
  ASSERT_OK(executor->record_into(recorder, 2));
  ASSERT_OK(commands.end());
  const vk::Counters after = device().counters();
  EXPECT_EQ(after.allocations, before.allocations);
  EXPECT_EQ(after.pipelines_created, before.pipelines_created);
  EXPECT_EQ(after.submits, before.submits);
  EXPECT_EQ(after.host_waits, before.host_waits);
  ASSERT_OK_AND_ASSIGN(const uint64_t value, device().queue().submit({&commands}));
  ASSERT_OK(device().queue().wait(value, vk::WaitReason::kResult));
  ASSERT_OK_AND_ASSIGN(const auto y, executor->read<float>("y"));
  for (size_t i = 0; i < 100; ++i) ASSERT_EQ(y[i], static_cast<float>(i + 4));
}

TEST_F(ExecutorTest, CanariesCatchAWriteBeyondTheEnd) {
  ExecutorOptions options;
  options.canary = true;
  ASSERT_OK_AND_ASSIGN(auto good, Executor::create(device(), add_plan(7), options));
  ASSERT_OK(good->run());
  Plan plan = add_plan(7);
  plan.kernels[0] = make_kernel("add", 3, 8, "c.v[i] = a.v[i] + b.v[i];");  // one too many
  ASSERT_OK_AND_ASSIGN(auto bad, Executor::create(device(), plan, options));
  const Status status = bad->run();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message,
            "a kernel of 'add' wrote behind external 'c': byte 0 of its guard is changed");
}

}  // namespace
}  // namespace ito::test
