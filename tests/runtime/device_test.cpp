#include "runtime/vk/device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "runtime/executor.h"
#include "tests/runtime/loader_hook.h"
#include "tests/runtime/plan_helper.h"
#include "tests/support/host_device.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

constexpr vk::DeviceFeatures kBaseline = {.buffer_device_address = true};

// Each test makes its own device; validation messages still fail it.
class PortableDevice : public ::testing::Test {
 protected:
  void TearDown() override {
    for (const std::string& message : log_.take())
      ADD_FAILURE() << "Vulkan validation: " << message;
  }
  vk::DeviceOptions options() { return device_options(log_); }

 private:
  ValidationLog log_;
};
using DeviceTest = PortableDevice;

void expect_error(const auto& result, ErrorKind kind, std::string_view part) {
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind, kind) << result.error().message;
  EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
}

// Runs the counter program and checks its result.
void expect_counts(vk::Device& device, uint32_t replays) {
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device, accumulate_plan(100)));
  ASSERT_OK(executor->enqueue_write("x", std::vector<float>(100, 1.0f)));
  ASSERT_OK(executor->run(replays));
  ASSERT_OK_AND_ASSIGN(const auto ticket, executor->enqueue_read("state"));
  std::vector<float> state(100);
  ASSERT_OK(ticket.read(writable_bytes_of(state)));
  EXPECT_EQ(state, std::vector<float>(100, static_cast<float>(replays)));
}

TEST_F(PortableDevice, ListsItselfAndIsFoundByAPartOfItsName) {
  ASSERT_OK_AND_ASSIGN(const auto infos, vk::list_devices(options()));
  ASSERT_FALSE(infos.empty());
  vk::DeviceOptions by_name = options();
  by_name.name = infos[0].name.substr(0, 6);
  for (char& c : by_name.name) c = static_cast<char>(std::toupper(c));
  ASSERT_OK_AND_ASSIGN(const auto device, vk::Device::create(by_name));
  EXPECT_EQ(device->info().name, infos[0].name);
  EXPECT_EQ(device->caps().is_cpu, infos[0].type == "CPU");
  EXPECT_GE(device->caps().max_workgroup_invocations, 128u);
}

TEST_F(DeviceTest, UnknownNameListsThoseFound) {
  vk::DeviceOptions wanted = options();
  wanted.name = "Voodoo 3";
  ASSERT_OK_AND_ASSIGN(const auto infos, vk::list_devices(options()));
  expect_error(vk::Device::create(wanted), ErrorKind::kNotFound,
               "no Vulkan device has 'Voodoo 3' in its name; found 0: " + infos[0].name);
  wanted.name.clear();
  wanted.index = 99;
  expect_error(vk::Device::create(wanted), ErrorKind::kNotFound,
               "there is no Vulkan device 99; found 0: ");
}

TEST_F(DeviceTest, AMissingLoaderIsOneSentence) {
  vk::DeviceOptions wanted = options();
  wanted.loader_path = "libno_such_loader.so.1";
  expect_error(vk::Device::create(wanted), ErrorKind::kNotFound,
               "no Vulkan loader: 'libno_such_loader.so.1' could not be opened");
}

TEST_F(DeviceTest, NoDeviceIsOneSentence) {
  LoaderHook hook;
  hook.hide_devices();
  vk::DeviceOptions wanted = options();
  wanted.loader = hook.loader();
  expect_error(vk::Device::create(wanted), ErrorKind::kNotFound, "no Vulkan device");
}

TEST_F(DeviceTest, MissingBufferDeviceAddressIsNamed) {
  vk::DeviceOptions wanted = options();
  wanted.allowed.buffer_device_address = false;
  expect_error(vk::Device::create(wanted), ErrorKind::kUnsupported, "it lacks bufferDeviceAddress");
}

TEST_F(PortableDevice, WorksWithNothingButTheBaseline) {
  vk::DeviceOptions wanted = options();
  wanted.allowed = kBaseline;
  ASSERT_OK_AND_ASSIGN(auto device, vk::Device::create(wanted));
  EXPECT_FALSE(device->features().timeline_semaphore);
  EXPECT_FALSE(device->caps().shader_float16);
  EXPECT_FALSE(device->caps().storage_16bit);
  EXPECT_FALSE(device->caps().cooperative_matrix);
  EXPECT_TRUE(device->caps().matrix_shapes.empty());
  EXPECT_FALSE(device->caps().required_subgroup_size);
  expect_counts(*device, 500);
}

TEST_F(DeviceTest, CapsSayWhatIsEnabledOneByOne) {
  ASSERT_OK_AND_ASSIGN(const auto whole, vk::Device::create(options()));
  const DeviceCaps& all = whole->caps();
  EXPECT_EQ(all.cooperative_matrix, !all.matrix_shapes.empty());
  EXPECT_LE(all.min_subgroup_size, all.subgroup_size);
  EXPECT_GE(all.max_subgroup_size, all.subgroup_size);
  vk::DeviceOptions wanted = options();
  wanted.allowed.shader_float16 = false;
  ASSERT_OK_AND_ASSIGN(const auto no_floats, vk::Device::create(wanted));
  EXPECT_FALSE(no_floats->caps().shader_float16);
  EXPECT_EQ(no_floats->caps().storage_16bit, all.storage_16bit);
  wanted = options();
  wanted.allowed.storage_16bit = false;
  ASSERT_OK_AND_ASSIGN(const auto no_storage, vk::Device::create(wanted));
  EXPECT_FALSE(no_storage->caps().storage_16bit);
  EXPECT_EQ(no_storage->caps().shader_float16, all.shader_float16);
  wanted = options();
  wanted.allowed.cooperative_matrix = false;
  ASSERT_OK_AND_ASSIGN(const auto no_matrices, vk::Device::create(wanted));
  EXPECT_FALSE(no_matrices->caps().cooperative_matrix);
  EXPECT_TRUE(no_matrices->caps().matrix_shapes.empty());
  EXPECT_EQ(no_matrices->caps().shader_float16, all.shader_float16);
  wanted = options();
  wanted.allowed.subgroup_size_control = false;
  ASSERT_OK_AND_ASSIGN(const auto no_sizes, vk::Device::create(wanted));
  EXPECT_FALSE(no_sizes->caps().required_subgroup_size);
  EXPECT_EQ(no_sizes->caps().min_subgroup_size, 0u);
}

// Mesa's CPU driver has 8x8x8 at its width of 256 bits, and at 512, where it would not survive
// them, they count as absent.
TEST_F(DeviceTest, TheTableOfMatricesIsTheDrivers) {
  ASSERT_OK_AND_ASSIGN(const auto device, vk::Device::create(options()));
  const DeviceCaps& caps = device->caps();
  if (!caps.is_cpu || !device->context().features.cooperative_matrix)
    GTEST_SKIP() << "not a CPU driver with cooperative matrices";
  const MatrixShape halves{.m = 8,
                           .n = 8,
                           .k = 8,
                           .a = MatrixElement::kF16,
                           .b = MatrixElement::kF16,
                           .c = MatrixElement::kF32,
                           .result = MatrixElement::kF32};
  const bool listed = std::find(caps.matrix_shapes.begin(), caps.matrix_shapes.end(), halves) !=
                      caps.matrix_shapes.end();
  EXPECT_EQ(listed, caps.subgroup_size == 8);
  EXPECT_EQ(caps.cooperative_matrix, caps.subgroup_size == 8);
}

TEST_F(DeviceTest, ThreadsShareADeviceWithTimelineOrFences) {
  for (const bool timeline : {true, false}) {
    vk::DeviceOptions wanted = options();
    wanted.allowed.timeline_semaphore = timeline;
    ASSERT_OK_AND_ASSIGN(auto device, vk::Device::create(wanted));
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t)
      threads.emplace_back([&] {
        for (uint32_t replays : {50u, 80u}) expect_counts(*device, replays);
      });
    for (std::thread& thread : threads) thread.join();
  }
}

TEST_F(DeviceTest, LossOfTheDeviceIsAResultEverywhere) {
  LoaderHook hook;
  vk::DeviceOptions wanted = options();
  wanted.loader = hook.loader();
  ASSERT_OK_AND_ASSIGN(auto device, vk::Device::create(wanted));
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(*device, accumulate_plan(10)));
  ASSERT_OK(executor->run(3));
  ASSERT_OK(executor->wait());
  hook.lose_device();
  ASSERT_OK(executor->enqueue_write("x", std::vector<float>(10, 1.0f)));
  expect_error(executor->run(), ErrorKind::kDeviceLost, "submitting work to the device failed");
  EXPECT_TRUE(device->lost());
  expect_error(executor->run(), ErrorKind::kDeviceLost, "the Vulkan device was lost earlier");
  expect_error(executor->read<float>("state"), ErrorKind::kDeviceLost, "lost");
  expect_error(executor->enqueue_read("state"), ErrorKind::kDeviceLost, "lost");
  expect_error(executor->enqueue_write("x", std::vector<float>(10, 1.0f)), ErrorKind::kDeviceLost,
               "lost");
}

TEST_F(DeviceTest, OutOfMemoryIsAResultAndNotTheEnd) {
  LoaderHook hook;
  vk::DeviceOptions wanted = options();
  wanted.loader = hook.loader();
  ASSERT_OK_AND_ASSIGN(auto device, vk::Device::create(wanted));
  hook.refuse_memory(true);
  expect_error(Executor::create(*device, chain_plan(100, 3)), ErrorKind::kOutOfMemory,
               "of device memory");
  hook.refuse_memory(false);
  expect_counts(*device, 3);
}

class WrapTest : public PortableDevice {
 protected:
  void SetUp() override {
    host_ = std::make_unique<HostDevice>(options());
    ASSERT_NE(host_->device, nullptr);
    features_ = vk::enabled_features(host_->features(), {});
  }
  void TearDown() override {
    host_.reset();
    PortableDevice::TearDown();
  }
  vk::WrapOptions wrap_options() {
    vk::WrapOptions wrap;
    wrap.instance = host_->instance->handle();
    wrap.physical_device = host_->physical;
    wrap.device = host_->device;
    wrap.features = features_;
    wrap.queues = {{host_->queue, host_->family, {}, {}}};
    return wrap;
  }

  std::unique_ptr<HostDevice> host_;
  vk::DeviceFeatures features_;
};

TEST_F(WrapTest, OnlyWhatIsEnabledCounts) {
  EXPECT_EQ(features_, kBaseline);
  ASSERT_OK_AND_ASSIGN(auto device, vk::Device::wrap(wrap_options()));
  EXPECT_FALSE(device->caps().shader_float16);
  EXPECT_FALSE(device->caps().storage_16bit);
  EXPECT_FALSE(device->caps().cooperative_matrix);
  expect_counts(*device, 200);
}

TEST_F(WrapTest, TheCallersLockIsHeldAroundEachSubmission) {
  std::mutex engine_lock;
  std::atomic<int> locked{0};
  vk::WrapOptions wrap = wrap_options();
  wrap.queues[0].lock = [&] {
    engine_lock.lock();
    ++locked;
  };
  wrap.queues[0].unlock = [&] { engine_lock.unlock(); };
  ASSERT_OK_AND_ASSIGN(auto device, vk::Device::wrap(wrap));
  expect_counts(*device, 20);
  EXPECT_EQ(static_cast<uint64_t>(locked), device->counters().submits);
}

TEST_F(WrapTest, BorrowsACallersBuffer) {
  ASSERT_OK_AND_ASSIGN(auto device, vk::Device::wrap(wrap_options()));
  // Stands for a buffer of the engine's.
  ASSERT_OK_AND_ASSIGN(const auto engine, device->memory().allocate(1024, vk::MemoryUse::kDevice));
  auto borrowed = std::make_shared<const vk::Buffer>(
      vk::Buffer::borrow(engine.handle(), engine.offset() + 512, 512, engine.address() + 512));
  ASSERT_OK_AND_ASSIGN(auto tensor,
                       DeviceTensor::view(*device, borrowed, 256, DType::kF32, Shape{16}));
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(*device, add_plan(16)));
  ASSERT_OK(executor->bind("c", tensor));
  ASSERT_OK(executor->write("a", std::vector<float>(16, 1.0f)));
  ASSERT_OK(executor->write("b", std::vector<float>(16, 2.0f)));
  ASSERT_OK(executor->run());
  ASSERT_OK_AND_ASSIGN(const auto c, executor->read<float>("c"));  // through a staging copy
  EXPECT_EQ(c, std::vector<float>(16, 3.0f));
}

TEST_F(WrapTest, WhatCannotBeWrappedIsNamed) {
  vk::WrapOptions wrap = wrap_options();
  wrap.features.buffer_device_address = false;
  expect_error(vk::Device::wrap(wrap), ErrorKind::kUnsupported,
               "bufferDeviceAddress is not enabled");
  wrap = wrap_options();
  wrap.api_version = VK_API_VERSION_1_1;
  expect_error(vk::Device::wrap(wrap), ErrorKind::kUnsupported, "is version 1.1; 1.2 or newer");
  wrap = wrap_options();
  wrap.queues.clear();
  expect_error(vk::Device::wrap(wrap), ErrorKind::kInvalidArgument, "none of the 0 queues");
  wrap = wrap_options();
  wrap.device = VK_NULL_HANDLE;
  expect_error(vk::Device::wrap(wrap), ErrorKind::kInvalidArgument, "must be given");
}

// A copy that races with another must be reported, or a clean run would prove nothing. Not under
// ITO_VALIDATION=1, where the wrapper of the whole run counts every message as a failure.
TEST(Validation, CatchesAMissingBarrier) {
  if (validation_wanted()) GTEST_SKIP() << "provokes a message on purpose";
  ValidationLog log;
  vk::DeviceOptions options = device_options(log);
  options.validation = true;
  auto device = vk::Device::create(options);
  if (!device.ok() && device.error().kind == ErrorKind::kNotFound)
    GTEST_SKIP() << device.error().message;
  ASSERT_OK(device);
  vk::Device& d = **device;
  ASSERT_OK_AND_ASSIGN(const auto a, d.memory().allocate(1024, vk::MemoryUse::kDevice));
  ASSERT_OK_AND_ASSIGN(const auto b, d.memory().allocate(1024, vk::MemoryUse::kDevice));
  for (const bool barrier : {true, false}) {
    ASSERT_OK_AND_ASSIGN(auto commands, vk::CommandBuffer::create(d));
    ASSERT_OK_AND_ASSIGN(auto recorder, commands.begin());
    recorder.fill(a, 0, 1024, 1);
    if (barrier) recorder.begin_barrier();
    recorder.copy(a, 0, b, 0, 1024);
    ASSERT_OK(commands.end());
    EXPECT_EQ(log.take().empty(), barrier);
  }
}

// And so must a kernel that reads a gigabyte beyond its buffer: by GPU-assisted validation, which
// then leaves the access out, and which the wrapper of the run reports
// (gpu_assisted_validation_layers of tests/CMakeLists.txt looks for that).
TEST(Validation, CatchesAnAddressBeyondABuffer) {
  const char* const value = std::getenv("ITO_VALIDATION");
  if (value == nullptr || std::string_view(value) != "gpu")
    GTEST_SKIP() << "provokes a message on purpose";
  ValidationLog log;
  ASSERT_OK_AND_ASSIGN(const auto device, vk::Device::create(device_options(log)));
  Plan plan = add_plan(32);
  plan.kernels[0] = make_kernel("beyond", 3, 32, "c.v[i] = a.v[i] + b.v[i + (1u << 28)];");
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(*device, plan));
  ASSERT_OK(executor->run());
}

}  // namespace
}  // namespace ito::test
