#include "diffusion/torch_rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace ito {
namespace {

// PyTorch's vectorised float32 logarithm and sine differ from exact ones by about 1e-6.
constexpr float kNormalTolerance = 2e-6f;

std::vector<float> randn(TorchGenerator& generator, size_t n) {
  std::vector<float> values(n);
  generator.randn(values);
  return values;
}

std::vector<float> randn_of_seed(uint64_t seed, size_t n) {
  TorchGenerator generator(seed);
  return randn(generator, n);
}

void expect_starts_with(const std::vector<float>& values, const std::vector<float>& expected) {
  ASSERT_GE(values.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(values[i], expected[i], kNormalTolerance) << i;
}

TEST(TorchRng, WordsAreThoseOfTheMersenneTwister) {
  for (uint64_t seed : {0ull, 1ull, 42ull, 1234567ull, 0xffffffffull}) {
    TorchGenerator generator(seed);
    std::mt19937 reference(static_cast<uint32_t>(seed));
    for (int i = 0; i < 2000; ++i) ASSERT_EQ(generator.next_word(), reference());
  }
}

TEST(TorchRng, SeedIsTakenModulo32Bits) {
  TorchGenerator a(5), b((uint64_t{1} << 32) + 5);
  EXPECT_EQ(a.next_word(), b.next_word());
}

TEST(TorchRng, RandMatchesTorchExactly) {
  TorchGenerator generator(0);
  std::vector<float> values(4);
  generator.rand(values);
  EXPECT_EQ(values, (std::vector<float>{0.49625658988952637f, 0.7682217955589294f,
                                        0.08847743272781372f, 0.13203048706054688f}));
}

// torch.randperm(10, generator=torch.Generator().manual_seed(0)), and of seed 42.
TEST(TorchRng, RandpermMatchesTorchExactly) {
  std::vector<int64_t> values(10);
  TorchGenerator(0).randperm(values);
  EXPECT_EQ(values, (std::vector<int64_t>{4, 1, 7, 5, 3, 9, 0, 8, 6, 2}));
  TorchGenerator(42).randperm(values);
  EXPECT_EQ(values, (std::vector<int64_t>{2, 6, 1, 8, 4, 5, 0, 9, 3, 7}));
}

TEST(TorchRng, RandintMatchesTorchExactly) {
  TorchGenerator generator(42);
  std::vector<int64_t> values(8);
  generator.randint(values, 1000);
  EXPECT_EQ(values, (std::vector<int64_t>{542, 67, 876, 414, 26, 335, 620, 924}));
}

TEST(TorchRng, FewNormalsUseDoublePairs) {
  expect_starts_with(randn_of_seed(0, 5),
                     {1.5409960746765137f, -0.293428897857666f, -2.1787893772125244f,
                      0.5684312582015991f, -1.0845223665237427f});
}

TEST(TorchRng, SixteenNormalsAndMoreUseBlocks) {
  expect_starts_with(
      randn_of_seed(42, 16),
      {1.9269152879714966f, 1.4872840642929077f, 0.9007171988487244f, -2.1055209636688232f,
       0.6784184575080872f, -1.2345448732376099f, -0.04306747764348984f, -1.6046669483184814f,
       -0.7521352767944336f, 1.6487230062484741f, -0.3924786448478699f, -1.4036071300506592f,
       -0.7278813123703003f, -0.5594301819801331f, -0.7688388824462891f, 0.7624453902244568f});
  const std::vector<float> many = randn_of_seed(0, 3072);
  expect_starts_with(many, {-1.1258398294448853f, -1.152360200881958f, -0.2505785822868347f});
  EXPECT_NEAR(many[3071], -0.8415489196777344f, kNormalTolerance);
}

TEST(TorchRng, AnIncompleteBlockRedrawsTheLastSixteen) {
  const std::vector<float> values = randn_of_seed(1, 17);
  expect_starts_with(values, {-1.5255959033966064f, -1.1607614755630493f, 0.6995424032211304f});
  EXPECT_NEAR(values[16], -0.7984398007392883f, kNormalTolerance);
}

TEST(TorchRng, TheSecondNormalOfAPairIsKeptAcrossCalls) {
  TorchGenerator generator(0);
  randn(generator, 7);
  const std::vector<float> block = randn(generator, 20);  // 16 and more ignore the kept one
  expect_starts_with(block, {-1.3526537418365479f, -1.6959311962127686f, 0.5666506290435791f});
  TorchGenerator split(0), whole(0);
  std::vector<float> joined = randn(split, 3);
  const std::vector<float> rest = randn(split, 4);
  joined.insert(joined.end(), rest.begin(), rest.end());
  EXPECT_EQ(joined, randn(whole, 7));
}

TEST(TorchRng, DefaultInitIsUniformWithinOneOverRootFanIn) {
  TorchGenerator generator(3), raw(3);
  std::vector<float> values(1000), uniforms(1000);
  generator.default_init(values, 16);
  raw.rand(uniforms);
  for (size_t i = 0; i < values.size(); ++i) ASSERT_FLOAT_EQ(values[i], uniforms[i] * 0.5f - 0.25f);
}

}  // namespace
}  // namespace ito
