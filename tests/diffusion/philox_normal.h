// The normal numbers that programs draw on the device, on the host.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/philox.h"

namespace ito::test {

// The values that graph's random_normal gives one image: element e is word e % 4 of counter
// (e / 4, image, step, stream).
inline void philox_fill_normal(std::span<double> values, PhiloxKey key, uint32_t image,
                               uint32_t step, uint32_t stream) {
  for (size_t block = 0; block * 4 < values.size(); ++block) {
    const std::array<double, 4> normals =
        philox_normal({static_cast<uint32_t>(block), image, step, stream}, key);
    for (size_t lane = 0; lane < 4 && block * 4 + lane < values.size(); ++lane)
      values[block * 4 + lane] = normals[lane];
  }
}

}  // namespace ito::test
