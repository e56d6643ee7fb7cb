#include "runtime/vk/memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "runtime/vk/staging.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

class MemoryTest : public VulkanTest {};

TEST_F(MemoryTest, LiveBuffersNeverOverlapAndAllBytesComeBack) {
  vk::Memory& memory = device().memory();
  const vk::MemoryStatistics before = memory.statistics();
  std::mt19937 random(7);
  std::vector<vk::Buffer> live;
  for (int step = 0; step < 2000; ++step) {
    if (live.size() > 40 || (!live.empty() && random() % 3 == 0)) {
      live.erase(live.begin() + static_cast<std::ptrdiff_t>(random() % live.size()));
    } else {
      const uint64_t size = random() % 50 == 0 ? 40u << 20 : random() % 100000;
      ASSERT_OK_AND_ASSIGN(auto buffer, memory.allocate(size, vk::MemoryUse::kDevice));
      EXPECT_EQ(buffer.address() % 256, 0u);
      EXPECT_EQ(buffer.size(), size);
      live.push_back(std::move(buffer));
    }
    std::vector<std::pair<uint64_t, uint64_t>> ranges;
    for (const vk::Buffer& buffer : live)
      ranges.emplace_back(buffer.address(), buffer.address() + buffer.size());
    std::sort(ranges.begin(), ranges.end());
    for (size_t i = 1; i < ranges.size(); ++i)
      ASSERT_GE(ranges[i].first, ranges[i - 1].second) << "at step " << step;
  }
  live.clear();
  const vk::MemoryStatistics after = memory.statistics();
  EXPECT_EQ(after.used_bytes, before.used_bytes);
  EXPECT_EQ(after.live_buffers, before.live_buffers);
  EXPECT_LE(after.block_bytes, before.block_bytes + (64u << 20)) << "empty blocks are given back";
  EXPECT_GE(after.peak_used_bytes, 40u << 20);
}

TEST_F(MemoryTest, SmallBuffersShareABlock) {
  std::vector<vk::Buffer> live;
  const uint64_t blocks = device().counters().memory_blocks;
  for (int i = 0; i < 500; ++i) {
    ASSERT_OK_AND_ASSIGN(auto buffer, device().memory().allocate(4096, vk::MemoryUse::kDevice));
    live.push_back(std::move(buffer));
  }
  EXPECT_LE(device().counters().memory_blocks, blocks + 1);
}

TEST_F(MemoryTest, AnAbsurdSizeIsOutOfMemory) {
  for (const uint64_t size : {uint64_t{1} << 50, UINT64_MAX - 100, UINT64_MAX}) {
    const auto buffer = device().memory().allocate(size, vk::MemoryUse::kDevice);
    ASSERT_FALSE(buffer.ok());
    EXPECT_EQ(buffer.error().kind, ErrorKind::kOutOfMemory) << buffer.error().message;
  }
  EXPECT_TRUE(device().memory().allocate(100, vk::MemoryUse::kDevice).ok());
}

TEST_F(MemoryTest, StagedCopiesRoundTripInEveryKindOfMemory) {
  std::vector<std::byte> data(100001);
  std::mt19937 random(3);
  for (std::byte& b : data) b = static_cast<std::byte>(random());
  for (const auto use :
       {vk::MemoryUse::kDevice, vk::MemoryUse::kUpload, vk::MemoryUse::kReadback}) {
    ASSERT_OK_AND_ASSIGN(const auto buffer, device().memory().allocate(200000, use));
    ASSERT_OK(vk::fill_now(device(), buffer, 0, 200000, 0x01020304));
    ASSERT_OK(vk::upload_now(device(), buffer, 37, data));
    std::vector<std::byte> back(data.size());
    ASSERT_OK(vk::download_now(device(), buffer, 37, back));
    EXPECT_EQ(back, data);
    std::vector<std::byte> edge(1);
    ASSERT_OK(vk::download_now(device(), buffer, 36, edge));
    EXPECT_EQ(edge[0], std::byte{0x04});
    ASSERT_OK(vk::download_now(device(), buffer, 37 + data.size(), edge));
    EXPECT_EQ(edge[0], std::byte{0x02});  // byte 2 of a word
  }
}

TEST(MemoryBudget, LimitsWhatIsTakenFromTheDevice) {
  ValidationLog log;
  vk::DeviceOptions options = device_options(log);
  options.memory_budget = 1 << 20;
  auto device = vk::Device::create(options);
  ASSERT_OK(device);
  vk::Memory& memory = (*device)->memory();
  {
    auto fits = memory.allocate(600 << 10, vk::MemoryUse::kDevice);
    ASSERT_OK(fits);
    const auto too_much = memory.allocate(600 << 10, vk::MemoryUse::kDevice);
    ASSERT_FALSE(too_much.ok());
    EXPECT_EQ(too_much.error().kind, ErrorKind::kOutOfMemory);
    EXPECT_NE(too_much.error().message.find("the budget of 1.0 MiB"), std::string::npos)
        << too_much.error().message;
  }
  EXPECT_TRUE(memory.allocate(600 << 10, vk::MemoryUse::kDevice).ok())
      << "freed memory counts again";
  for (const std::string& message : log.take()) ADD_FAILURE() << message;
}

}  // namespace
}  // namespace ito::test
