// SampleFarm: one shard of a job of many images, and the files of it that a process writes. Images
// come from the device batch by batch; threads encode and write them behind a bounded queue while
// it goes on. Where a process was stopped or killed, the next one goes on from the manifest, and
// the files at the end are the same bytes. Not for what is drawn (api/sample_run.h), nor for
// putting shards together (api/sample_merge.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/control_files.h"
#include "api/ordered_work.h"
#include "api/sample_manifest.h"
#include "api/sample_stores.h"
#include "io/append_file.h"

namespace ito {

struct FarmOptions {
  Path out;
  Shard shard = {};
  const SampleStoreRow* form = nullptr;
  size_t per_block = kBlockOfPictures;  // images of one archive
  size_t threads = 2;                   // that write
  size_t queue = 64;                    // images that wait for them
  // How long a process that has the shard is waited for: a killed one takes a moment to end.
  std::chrono::milliseconds patience{5000};
};

// Error kInvalidArgument: fewer archives than shards.
Status check_farm(const FarmOptions& options, size_t images);

// The blocks of a job. Where every image is a file of its own they are made small enough for every
// shard to have its part.
SampleBlocks farm_blocks(const FarmOptions& options, size_t images);

struct FarmProgress {
  size_t done = 0, images = 0;          // of the shard; handed to the writers, at least
  size_t all_done = 0, all_images = 0;  // of all shards, as their manifests say
};

class SampleFarm {
 public:
  // Makes the folder; finds out what is done. What a damaged or lost manifest does not say is
  // recognised by its content where that names the image's key, else made anew; a note says so.
  // Errors: as of check_farm; a manifest of another job; somebody else's file in the way; another
  // process that works on this shard.
  static Result<std::unique_ptr<SampleFarm>> open(FarmOptions options, SampleIdentity images,
                                                  std::vector<SampleRequest> requests,
                                                  const NoteFunction& note = {});
  ~SampleFarm();

  // The next images to be drawn, at most `most`; none: all are. Images that are there already are
  // skipped.
  Result<std::vector<SampleRequest>> next(size_t most);
  // What next() asked for, [requests, h, w, c]. Waits for room in the queue.
  Status add(std::vector<float> images, const Shape& shape);
  // Waits until all that was added is written. What of a block is not complete stays for later.
  Status finish();

  size_t found() const { return found_; }  // images that were there when it was opened
  size_t remaining() const { return last_ - next_; }
  FarmProgress progress() const;

 private:
  struct Pending {
    size_t image = 0;
    bool present = false;
  };
  // Of the manifest: what is done, and of the block under way its images.
  struct Found;

  SampleFarm() = default;
  Status open_manifest();
  Status read_found(Found& found, const NoteFunction& note);
  Status resume(const Found& found, const NoteFunction& note);
  Status push(const Pending& pending, std::shared_ptr<const std::vector<float>> images,
              const Shape& shape, int64_t which);
  // In order, on whatever thread.
  Status write(size_t image, const EncodedImage& encoded, const Shape& shape);
  Status commit(size_t block, const Shape& image);
  Path manifest_path(Shard shard) const { return context_.out / manifest_name(shard); }

  FarmOptions options_;
  StoreContext context_;
  ManifestHeader header_;
  std::optional<AppendFile> manifest_;
  std::unique_ptr<SampleStore> store_;
  size_t first_ = 0, next_ = 0, last_ = 0;  // images: of the shard, not handed out yet
  size_t found_ = 0;
  std::vector<Pending> pending_;
  std::unique_ptr<OrderedWork> writers_;  // last: its threads use the rest
};

// How many images of a shard its manifest has, from its last line; 0 without a manifest.
size_t images_in_manifest(const Path& path, const SampleBlocks& blocks, Shard shard);

}  // namespace ito
