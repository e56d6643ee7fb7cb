#include "io/host_tensor.h"

#include <bit>
#include <cmath>
#include <limits>

#include "io/layout.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::fails;

TEST(HostTensor, ConvertsEveryTypeToFloats) {
  auto floats = [](HostType type, std::vector<uint8_t> bytes) {
    auto count = static_cast<int64_t>(bytes.size() / host_type_size(type));
    return to_floats(HostTensor{type, Shape{count}, std::move(bytes)});
  };
  using V = std::vector<float>;
  EXPECT_EQ(floats(HostType::kBool, {0, 1, 2}), (V{0, 1, 1}));
  EXPECT_EQ(floats(HostType::kU8, {200}), V{200});
  EXPECT_EQ(floats(HostType::kI8, {200}), V{-56});
  EXPECT_EQ(floats(HostType::kU16, {0, 0x80}), V{32768});
  EXPECT_EQ(floats(HostType::kI16, {0, 0x80}), V{-32768});
  EXPECT_EQ(floats(HostType::kF16, {0x00, 0x3c}), V{1});
  EXPECT_EQ(floats(HostType::kBF16, {0x80, 0x3f}), V{1});
  EXPECT_EQ(floats(HostType::kU32, {0, 0, 0, 0x80}), V{2147483648.0f});
  EXPECT_EQ(floats(HostType::kI32, {0xfe, 0xff, 0xff, 0xff}), V{-2});
  EXPECT_EQ(floats(HostType::kF32, {0, 0, 0x80, 0x3f}), V{1});
  EXPECT_EQ(floats(HostType::kU64, {5, 0, 0, 0, 0, 0, 0, 0}), V{5});
  EXPECT_EQ(floats(HostType::kI64, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), V{-1});
  EXPECT_EQ(floats(HostType::kF64, {0, 0, 0, 0, 0, 0, 0xf8, 0x3f}), V{1.5f});
}

TEST(HostTensor, IntegersRefuseFloatsAndOverflow) {
  EXPECT_EQ(*to_int64(tensor_from_int64({2}, {-7, int64_t{1} << 40}), "t"),
            (std::vector<int64_t>{-7, int64_t{1} << 40}));
  EXPECT_TRUE(fails(to_int64(tensor_from_floats({1}, {1}), "step"), ErrorKind::kCorrupt, "step",
                    "expected integers, found F32"));
  HostTensor huge{HostType::kU64, Shape{1}, std::vector<uint8_t>(8, 0xff)};
  EXPECT_TRUE(fails(to_int64(huge, "seed"), ErrorKind::kCorrupt, "seed", "exceeds"));
  EXPECT_TRUE(fails(to_uint32(huge, "seed"), ErrorKind::kCorrupt, "expected U32, found U64"));
}

TEST(HostTensor, ShapesThatOverflowHaveNoSize) {
  EXPECT_EQ(checked_numel({}, 8), 1);
  EXPECT_EQ(checked_numel({3, 0, 5}, 4), 0);
  EXPECT_EQ(checked_numel({-1, 2}, 4), std::nullopt);
  EXPECT_EQ(checked_numel({int64_t{1} << 32, int64_t{1} << 31}, 1), std::nullopt);
  EXPECT_EQ(checked_numel({int64_t{1} << 31, int64_t{1} << 31}, 1), int64_t{1} << 62);
  EXPECT_EQ(checked_numel({int64_t{1} << 31, int64_t{1} << 31}, 2), std::nullopt);
  EXPECT_EQ(checked_numel({0, int64_t{1} << 62}, 4), std::nullopt);
}

TEST(Layout, NchwToNhwcMovesChannelsLast) {
  // Two channels of a 2x3 image: channel 0 counts, channel 1 counts from 10.
  std::vector<float> nchw = {0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15};
  std::vector<float> nhwc = {0, 10, 1, 11, 2, 12, 3, 13, 4, 14, 5, 15};
  EXPECT_EQ(nchw_to_nhwc(nchw, {1, 2, 2, 3}), nhwc);
  EXPECT_EQ(nhwc_to_nchw(nhwc, {1, 2, 3, 2}), nchw);
}

TEST(Layout, ConvolutionWeightsKeepTheirMeaning) {
  const Shape oihw{3, 2, 1, 4};
  std::vector<float> weights;
  for (int o = 0; o < 3; ++o)
    for (int i = 0; i < 2; ++i)
      for (int x = 0; x < 4; ++x) weights.push_back(static_cast<float>(100 * o + 10 * i + x));
  std::vector<float> inside = transpose(weights, oihw, {2, 3, 1, 0});
  for (int x = 0; x < 4; ++x)
    for (int i = 0; i < 2; ++i)
      for (int o = 0; o < 3; ++o)
        EXPECT_EQ(inside[static_cast<size_t>((x * 2 + i) * 3 + o)],
                  static_cast<float>(100 * o + 10 * i + x));
  EXPECT_EQ(transposed_shape(oihw, {2, 3, 1, 0}), (Shape{1, 4, 2, 3}));
  EXPECT_EQ(transpose(inside, {1, 4, 2, 3}, {3, 2, 0, 1}), weights);
}

TEST(Layout, MatrixAndDegenerateShapes) {
  EXPECT_EQ(transpose({1, 2, 3, 4, 5, 6}, {2, 3}, {1, 0}), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(transpose({}, {0, 3}, {1, 0}), std::vector<float>{});
  EXPECT_EQ(transpose({7}, {}, {}), std::vector<float>{7});
}

}  // namespace
}  // namespace ito
