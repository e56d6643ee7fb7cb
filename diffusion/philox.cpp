#include "diffusion/philox.h"

namespace ito {

void philox_fill_normal(std::span<double> values, PhiloxKey key, uint32_t image, uint32_t step,
                        uint32_t stream) {
  for (size_t block = 0; block * 4 < values.size(); ++block) {
    const std::array<double, 4> normals =
        philox_normal({static_cast<uint32_t>(block), image, step, stream}, key);
    for (size_t lane = 0; lane < 4 && block * 4 + lane < values.size(); ++lane)
      values[block * 4 + lane] = normals[lane];
  }
}

}  // namespace ito
