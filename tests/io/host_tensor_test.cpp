#include "io/host_tensor.h"

#include <bit>
#include <cmath>
#include <limits>

#include "io/layout.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::fails;

TEST(Half, KnownValues) {  // IEEE 754 binary16
  EXPECT_EQ(half_to_float(0x3c00), 1.0f);
  EXPECT_EQ(half_to_float(0xc000), -2.0f);
  EXPECT_EQ(half_to_float(0x7bff), 65504.0f);
  EXPECT_EQ(half_to_float(0x0400), 0x1p-14f);
  EXPECT_EQ(half_to_float(0x0001), 0x1p-24f);
  EXPECT_EQ(half_to_float(0x3555), 0.333251953125f);
  EXPECT_EQ(half_to_float(0x7c00), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(half_to_float(0x7e00)));
  EXPECT_TRUE(std::signbit(half_to_float(0x8000)));
}

TEST(Half, EveryValueSurvivesTheWayThere) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    auto half = static_cast<uint16_t>(bits);
    float value = half_to_float(half);
    if (std::isnan(value))
      EXPECT_TRUE(std::isnan(half_to_float(float_to_half(value))));
    else
      ASSERT_EQ(float_to_half(value), half);
  }
}

TEST(Half, RoundsToNearestEven) {
  EXPECT_EQ(float_to_half(1.0f + 0x1p-11f), 0x3c00);             // tie, to even below
  EXPECT_EQ(float_to_half(1.0f + 3 * 0x1p-11f), 0x3c02);         // tie, to even above
  EXPECT_EQ(float_to_half(1.0f + 0x1p-11f + 0x1p-20f), 0x3c01);  // just above the tie
  EXPECT_EQ(float_to_half(65519.0f), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0f), 0x7c00);
  EXPECT_EQ(float_to_half(0x1p-25f), 0x0000);             // tie between 0 and 2^-24
  EXPECT_EQ(float_to_half(0x1.8p-24f), 0x0002);           // tie, to even above
  EXPECT_EQ(float_to_half(0x1p-14f - 0x1p-26f), 0x0400);  // carries into the normals
}

TEST(Bfloat16, KnownValuesAndRounding) {
  EXPECT_EQ(bfloat16_to_float(0x3f80), 1.0f);
  EXPECT_EQ(bfloat16_to_float(0x4049), 3.140625f);
  EXPECT_EQ(float_to_bfloat16(3.14159265f), 0x4049);
  EXPECT_EQ(float_to_bfloat16(1.0f + 0x1p-8f), 0x3f80);      // tie, to even
  EXPECT_EQ(float_to_bfloat16(1.0f + 3 * 0x1p-8f), 0x3f82);  // tie, to even
  EXPECT_EQ(float_to_bfloat16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_TRUE(std::isnan(bfloat16_to_float(float_to_bfloat16(std::bit_cast<float>(0x7f800001u)))));
}

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
  std::vector<float> inside = oihw_to_hwio(weights, oihw);
  for (int x = 0; x < 4; ++x)
    for (int i = 0; i < 2; ++i)
      for (int o = 0; o < 3; ++o)
        EXPECT_EQ(inside[static_cast<size_t>((x * 2 + i) * 3 + o)],
                  static_cast<float>(100 * o + 10 * i + x));
  EXPECT_EQ(transposed_shape(oihw, {2, 3, 1, 0}), (Shape{1, 4, 2, 3}));
  EXPECT_EQ(hwio_to_oihw(inside, {1, 4, 2, 3}), weights);
}

TEST(Layout, MatrixAndDegenerateShapes) {
  EXPECT_EQ(swap_matrix({1, 2, 3, 4, 5, 6}, {2, 3}), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(transpose({}, {0, 3}, {1, 0}), std::vector<float>{});
  EXPECT_EQ(transpose({7}, {}, {}), std::vector<float>{7});
}

}  // namespace
}  // namespace ito
