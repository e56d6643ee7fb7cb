#include "base/philox.h"

#include <cmath>
#include <numbers>

namespace ito {

std::array<uint32_t, 4> philox4x32_10(PhiloxCounter counter, PhiloxKey key) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53u;
  constexpr uint64_t kMultiplier1 = 0xCD9E8D57u;
  constexpr uint32_t kWeyl0 = 0x9E3779B9u;  // golden ratio
  constexpr uint32_t kWeyl1 = 0xBB67AE85u;  // √3 - 1
  std::array<uint32_t, 4> c = counter;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = kMultiplier0 * c[0];
    const uint64_t p1 = kMultiplier1 * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ key[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ key[1], static_cast<uint32_t>(p0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return c;
}

double philox_uniform(uint32_t word) { return (static_cast<double>(word) + 0.5) * 0x1p-32; }

std::array<double, 4> philox_normal(PhiloxCounter counter, PhiloxKey key) {
  const std::array<uint32_t, 4> words = philox4x32_10(counter, key);
  std::array<double, 4> normals;
  for (size_t pair = 0; pair < 4; pair += 2) {
    const double radius = std::sqrt(-2 * std::log(philox_uniform(words[pair])));
    const double angle = 2 * std::numbers::pi * philox_uniform(words[pair + 1]);
    normals[pair] = radius * std::cos(angle);
    normals[pair + 1] = radius * std::sin(angle);
  }
  return normals;
}

}  // namespace ito
