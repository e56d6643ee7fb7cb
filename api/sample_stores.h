// How a farm keeps images, a row each: a PNG an image, or the images of a block in one file, a tar
// archive as WebDataset reads it or an NPZ array. A store knows how to go on where a killed process
// left it, so that the files' bytes do not depend on that. Not for what is drawn when
// (api/sample_farm.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/sample_identity.h"
#include "api/sample_manifest.h"
#include "api/sample_shards.h"
#include "base/registry.h"
#include "base/shape.h"
#include "io/file.h"

namespace ito {

struct EncodedImage {
  std::string content;  // a PNG file, or pixels [h, w, c] of 8 bits
  std::string entry;    // what stands for it in an archive; empty where that is the content
};

// What stores look at; outlives them.
struct StoreContext {
  Path out;
  SampleIdentity images;
  std::vector<SampleRequest> requests;  // of the job
  SampleBlocks blocks;
};

class SampleStore {
 public:
  virtual ~SampleStore() = default;

  // Of image `which` of `images` [n, h, w, c] in [-1, 1]. On any thread.
  virtual EncodedImage encode(const SampleRequest& request, const std::vector<float>& images,
                              const Shape& shape, int64_t which) const = 0;

  // Whether blocks [first, last) from image `from` on may be written. Error kInvalidArgument: a
  // file of somebody else is in the way.
  virtual Status check_free(Span blocks, size_t from) const = 0;
  // Image `image` of the job if it is there already, whole and of the same key, in no block of
  // which the manifest tells. On any thread. The same error.
  virtual Result<std::optional<EncodedImage>> present(size_t image) const = 0;

  // Begins a block, or goes on with one of which the manifest has `lines`: how many of these images
  // are there whole. What is behind them is dropped.
  virtual Result<size_t> begin(size_t block, std::span<const ImageLine> lines) = 0;
  virtual Status add(const SampleRequest& request, const EncodedImage& image) = 0;
  // Makes the block durable under its name, where an older file of the same content may be. The
  // same error.
  virtual Result<BlockLine> commit(size_t block, const Shape& image) = 0;

  // Whether the file of a block that was committed is there with as many bytes.
  virtual bool stands(const BlockLine& line) const = 0;
  // Reads a block that was committed and compares it with the manifest. Errors naming what differs.
  virtual Status verify(const BlockLine& line, std::span<const ImageLine> images) const = 0;
};

struct SampleStoreRow {
  Name name;
  bool archives;  // one file a block
  std::unique_ptr<SampleStore> (*make)(const StoreContext& context);
};
std::span<const SampleStoreRow> sample_store_rows();

}  // namespace ito
