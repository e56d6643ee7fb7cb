// The manifest of a shard: manifest-K-of-N.jsonl in the job's folder, a line for the job, one for
// each image in order with a hash of its content, and one behind each block, written when the block
// is durable. A restarted shard reads it, and no image but those of the block that was under way.
// Not for the images' files (api/sample_stores.h).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/sample_identity.h"
#include "api/sample_shards.h"
#include "base/sha256.h"
#include "io/file.h"
#include "io/json.h"

namespace ito {

inline constexpr const char* kMergedManifest = "manifest.jsonl";

// Of the job, the same in all its manifests.
struct ManifestHeader {
  std::string key;       // SHA-256 of all that decides the job's files
  std::string requests;  // SHA-256 of what requests_hash is told
  std::string form;      // name of the images' form
  SampleBlocks blocks;
  Json settings = Json::object();  // what the images have in common
  Json remarks = Json::object();   // as SampleIdentity has them
};

struct ImageLine {
  size_t image = 0;  // its place in the job, from 0
  SampleRequest request;
  std::string name;    // without ending
  uint64_t bytes = 0;  // of its content: a PNG file, or bare pixels
  std::string sha256;  // of its content
};

struct BlockLine {
  size_t block = 0, images = 0;
  std::string file = {};  // empty where every image is a file
  uint64_t bytes = 0;
  std::string sha256 = {};
};

std::string manifest_name(Shard shard);
// The shard whose manifest has this name, or nothing.
std::optional<Shard> shard_of_manifest(const std::string& name);

// shard: nothing for the joined manifest.
std::string dump_line(const ManifestHeader& header, std::optional<Shard> shard);
std::string dump_line(const ImageLine& line, bool labelled, bool with_context);
std::string dump_line(const BlockLine& line);

// Of the requests of a job, one after the other.
class RequestsHash {
 public:
  void add(size_t image, const SampleRequest& request);
  std::string hex() { return hash_.hex(); }

 private:
  Sha256 hash_;
};

// What read_manifest tells.
struct ManifestReader {
  // end: bytes of the manifest up to the end of this line. Either may be empty.
  std::function<Status(const ImageLine&, uint64_t end)> image = {};
  std::function<Status(const BlockLine&, uint64_t end)> block = {};
  // Of the first line that is damaged, at which reading ends; empty: it is an error.
  std::function<void(const Error&)> damage = {};
};

struct ManifestSummary {
  ManifestHeader header;
  Shard shard;                    // 0 of 1 for the joined manifest
  uint64_t begin = 0;             // bytes of the first line
  size_t images = 0, blocks = 0;  // lines
};

// Reads line by line; a last line without an end, which a killed process leaves, is left out.
// Images have to follow each other from the shard's first, and each block has its line behind its
// last image. Nothing for a file without a whole first line. Errors: kNotFound, kIo; kUnsupported
// for another version; kCorrupt naming file and line; what `reader` returns.
Result<std::optional<ManifestSummary>> read_manifest(const Path& path,
                                                     const ManifestReader& reader);

}  // namespace ito
