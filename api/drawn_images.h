// Which images stand for a data set where fewer are asked for than it has. Data sets often come in
// the order of their classes, so the first N would be one class: N images are a draw, the same
// every time, and one that PyTorch makes too. Not for the batches of a training
// (io/datasets/batch_order.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ito {

// All images, shuffled: torch.randperm(count, generator=torch.Generator().manual_seed(0)). Parts of
// it, one behind the other, are draws as well.
std::vector<int64_t> shuffled_images(int64_t count);

// The first `num` of these, or all images in their own order where there are no more.
std::vector<int64_t> drawn_images(int64_t count, int64_t num);

// "all 500 test images", or "100 test images, drawn from 500". kind: "test images".
std::string drawn_text(int64_t count, int64_t num, std::string_view kind);

}  // namespace ito
