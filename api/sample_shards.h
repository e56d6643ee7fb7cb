// How a job of many images is cut: into blocks, each kept as one file (or, where every image is a
// file, made durable together), and the blocks into shards, one a process. Blocks are of the job,
// not of the shard: what a file holds does not depend on how many processes share the work. Not for
// what a manifest says of them (api/sample_manifest.h).
#pragma once

#include <cstddef>
#include <string>

#include "base/integer.h"
#include "base/result.h"

namespace ito {

// Shard `index` (from 0) of `count`.
struct Shard {
  size_t index = 0, count = 1;
  bool operator==(const Shard&) const = default;
};

// "3/64". Error kInvalidArgument: no such pair of numbers, or an index that is not below the count.
Result<Shard> parse_shard(const std::string& text);

// Images of a block where every image is a file: what is made sure of together.
inline constexpr size_t kBlockOfPictures = 1000;

// [first, last).
struct Span {
  size_t first = 0, last = 0;
  size_t size() const { return last - first; }
  bool operator==(const Span&) const = default;
};

struct SampleBlocks {
  size_t images = 0;     // of the job
  size_t per_block = 1;  // the last block may have fewer

  size_t count() const { return ceil_div(images, per_block); }
  size_t block_of(size_t image) const { return image / per_block; }
  Span images_of(size_t block) const;
  // Contiguous: shard k of n has the blocks ⌊kB/n⌋ to ⌊(k+1)B/n⌋ - 1 of B, so that the shards
  // follow each other and differ by one block at most.
  Span blocks_of(Shard shard) const;
  Span images_of(Shard shard) const;
  bool operator==(const SampleBlocks&) const = default;
};

}  // namespace ito
