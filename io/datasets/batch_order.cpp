#include "io/datasets/batch_order.h"

#include <cstddef>
#include <numeric>
#include <utility>

#include "base/philox.h"

namespace ito {
namespace {

// Last counter word of the shuffle; the streams of diffusion/streams.h are small numbers.
constexpr uint32_t kStreamShuffle = 0x10000, kStreamMirror = 0x10001, kStreamCut = 0x10002;

// Random words of a place in the sequence of epochs.
std::array<uint32_t, 4> words_at(int64_t place, uint32_t stream, uint64_t seed) {
  const uint64_t at = static_cast<uint64_t>(place);
  return philox4x32_10({static_cast<uint32_t>(at), static_cast<uint32_t>(at >> 32), 0, stream},
                       {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
}

}  // namespace

void BatchOrder::shuffle(int64_t epoch) {
  permutation_.resize(static_cast<size_t>(count_));
  std::iota(permutation_.begin(), permutation_.end(), int64_t{0});
  const PhiloxKey key = {static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32)};
  // Fisher and Yates. Scaling a 32-bit word favours no place by more than count / 2^32.
  for (uint64_t i = 0; i + 1 < permutation_.size(); ++i) {
    const auto words = philox4x32_10({static_cast<uint32_t>(i), static_cast<uint32_t>(i >> 32),
                                      static_cast<uint32_t>(epoch), kStreamShuffle},
                                     key);
    const uint64_t range = permutation_.size() - i;
    const uint64_t high = (uint64_t{words[0]} * range) >> 32;
    std::swap(permutation_[i], permutation_[i + high]);
  }
  epoch_ = epoch;
}

bool BatchOrder::mirrored(int64_t place) const {
  return (words_at(place, kStreamMirror, seed_)[0] & 1) != 0;
}

CutPlace BatchOrder::cut(int64_t place) const {
  const auto words = words_at(place, kStreamCut, seed_);
  return {words[0], words[1]};
}

std::vector<int64_t> BatchOrder::images(int64_t first, int64_t n) {
  std::vector<int64_t> indices;
  indices.reserve(static_cast<size_t>(n));
  for (int64_t place = first; place < first + n; ++place) {
    if (place / count_ != epoch_) shuffle(place / count_);
    indices.push_back(permutation_[static_cast<size_t>(place % count_)]);
  }
  return indices;
}

}  // namespace ito
