#include "api/sample_shards.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "base/error.h"

namespace ito {
namespace {

constexpr size_t kMaxShards = 1'000'000;

bool parse_number(std::string_view text, size_t* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

Result<Shard> parse_shard(const std::string& text) {
  const std::string_view all = text;
  const size_t slash = all.find('/');
  Shard shard;
  const bool numbers = slash != std::string_view::npos &&
                       parse_number(all.substr(0, slash), &shard.index) &&
                       parse_number(all.substr(slash + 1), &shard.count);
  if (!numbers || shard.count < 1 || shard.count > kMaxShards)
    return invalid_argument(
        "--shard is \"{}\", expected K/N, which is part K of N (0/N to N-1/N, N at most {})", text,
        kMaxShards);
  if (shard.index >= shard.count)
    return invalid_argument("--shard is {}, expected 0/{} to {}/{}", text, shard.count,
                            shard.count - 1, shard.count);
  return shard;
}

Span SampleBlocks::images_of(size_t block) const {
  return {block * per_block, std::min((block + 1) * per_block, images)};
}

Span SampleBlocks::blocks_of(Shard shard) const {
  return {shard.index * count() / shard.count, (shard.index + 1) * count() / shard.count};
}

Span SampleBlocks::images_of(Shard shard) const {
  const Span blocks = blocks_of(shard);
  return {std::min(blocks.first * per_block, images), std::min(blocks.last * per_block, images)};
}

}  // namespace ito
