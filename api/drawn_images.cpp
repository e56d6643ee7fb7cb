#include "api/drawn_images.h"

#include <fmt/format.h>

#include <numeric>

#include "diffusion/torch_rng.h"

namespace ito {

std::vector<int64_t> shuffled_images(int64_t count) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  TorchGenerator(0).randperm(order);
  return order;
}

std::vector<int64_t> drawn_images(int64_t count, int64_t num) {
  std::vector<int64_t> images;
  if (num < count) {
    images = shuffled_images(count);
    images.resize(static_cast<size_t>(num));
  } else {
    images.resize(static_cast<size_t>(count));
    std::iota(images.begin(), images.end(), int64_t{0});
  }
  return images;
}

std::string drawn_text(int64_t count, int64_t num, std::string_view kind) {
  return num < count ? fmt::format("{} {}, drawn from {}", num, kind, count)
                     : fmt::format("all {} {}", count, kind);
}

}  // namespace ito
