#include "api/sample_merge.h"

#include <memory>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "api/sample_manifest.h"
#include "api/sample_stores.h"
#include "base/error.h"

namespace ito {
namespace {

class Merge {
 public:
  Merge(const Path& out, const MergeProgress& progress) : out_(out), progress_(progress) {}

  Result<MergeSummary> run() {
    ITO_ASSIGN(const size_t count, shards());
    for (size_t k = 0; k < count; ++k) ITO_TRY(check({.index = k, .count = count}));
    if (requests_.hex() != header_->requests)
      return corrupt("{}: the images of the {} manifests are not those of the job", out_.string(),
                     count);
    ITO_TRY(check_strangers());
    ITO_TRY(write(count));
    return MergeSummary{.images = header_->blocks.images,
                        .shards = count,
                        .files = files_,
                        .form = header_->form,
                        .manifest = out_ / kMergedManifest};
  }

 private:
  // How many shards there are.
  Result<size_t> shards() const {
    ITO_ASSIGN(const std::vector<std::string> names, list_folder(out_));
    std::optional<Shard> first;
    for (const std::string& name : names) {
      const std::optional<Shard> shard = shard_of_manifest(name);
      if (!shard) continue;
      if (first && first->count != shard->count)
        return invalid_argument("{} holds {} and {}, of jobs that are cut otherwise", out_.string(),
                                manifest_name(*first), name);
      first = shard;
    }
    if (!first)
      return not_found(
          "{} holds no manifest-K-of-N.jsonl, which ito sample writes with --shard or --form",
          out_.string());
    for (size_t k = 0; k < first->count; ++k) {
      const Shard shard{.index = k, .count = first->count};
      if (!file_exists(path_of(shard)))
        return not_found(
            "{} is missing: shard {}/{} has not begun, or its manifest is lost; run it",
            path_of(shard).string(), k, first->count);
    }
    return first->count;
  }

  Status check(Shard shard) {
    const Path path = path_of(shard);
    const auto read = read_manifest(path, {});
    if (!read.ok() && read.error().kind == ErrorKind::kCorrupt)
      return corrupt("{}; run shard {}/{} again, and it goes on from the lines before that",
                     read.error().message, shard.index, shard.count);
    ITO_TRY(read);
    const std::optional<ManifestSummary>& begin = *read;
    if (!begin)
      return corrupt("{}: it has no whole first line; remove it and run shard {}/{}", path.string(),
                     shard.index, shard.count);
    ITO_TRY(accept(*begin, shard));
    const SampleBlocks& blocks = begin->header.blocks;
    if (begin->blocks != blocks.blocks_of(shard).size())
      return invalid_argument("{}: shard {}/{} has {} of {} images; run it again, and it goes on",
                              path.string(), shard.index, shard.count, begin->images,
                              blocks.images_of(shard).size());
    std::vector<ImageLine> images;
    const ManifestReader reader{.image = [&](const ImageLine& line, uint64_t) -> Status {
                                  requests_.add(line.image, line.request);
                                  if (!row_->archives) known_.insert(line.name + ".png");
                                  images.push_back(line);
                                  return {};
                                },
                                .block = [&](const BlockLine& line, uint64_t) -> Status {
                                  const Status same = store_->verify(line, images);
                                  if (!same.ok()) return advised(same.error(), line, shard);
                                  done_ += images.size();
                                  files_ += line.file.empty() ? 0 : 1;
                                  if (!line.file.empty()) known_.insert(line.file);
                                  images.clear();
                                  if (progress_) progress_(done_, header_->blocks.images);
                                  return {};
                                }};
    ITO_TRY(read_manifest(path, reader));
    return {};
  }

  // The manifest is this shard's, and of the same job as the ones before it.
  Status accept(const ManifestSummary& summary, Shard shard) {
    const Path path = path_of(shard);
    if (summary.shard != shard)
      return corrupt("{}: it is of shard {}/{}", path.string(), summary.shard.index,
                     summary.shard.count);
    if (!header_) {
      header_ = summary.header;
      ITO_ASSIGN(row_,
                 row_called(sample_store_rows(), header_->form, path.string() + ": key 'form'"));
      context_.out = out_;
      context_.blocks = header_->blocks;
      store_ = row_->make(context_);
    }
    if (summary.header.key != header_->key || summary.header.form != header_->form ||
        summary.header.requests != header_->requests ||
        summary.header.blocks.images != header_->blocks.images)
      return invalid_argument("{} is of another job than {} (key {}, expected {})", path.string(),
                              manifest_name({.index = 0, .count = shard.count}), summary.header.key,
                              header_->key);
    return {};
  }

  Error advised(const Error& error, const BlockLine& line, Shard shard) const {
    const std::string what =
        line.file.empty() ? manifest_name(shard) + " and the picture, if it is there" : line.file;
    return {error.kind, fmt::format("{}; remove {} and run shard {}/{} again", error.message, what,
                                    shard.index, shard.count)};
  }

  // Files that whoever reads the folder would take for images of the job.
  Status check_strangers() const {
    ITO_ASSIGN(const std::vector<std::string> names, list_folder(out_));
    const std::string ending = "." + header_->form;
    for (const std::string& name : names) {
      const std::string stem = Path(name).stem().string();
      const bool numbered = !stem.empty() && Path(name).extension() == ending &&
                            stem.find_first_not_of("0123456789-") == std::string::npos;
      if (numbered && !known_.contains(name))
        return invalid_argument("{} is of no shard of this job; move it away",
                                (out_ / name).string());
    }
    return {};
  }

  // One manifest, whatever the number of shards. Where every image is a file, blocks say how often
  // a process made sure of them, and those of all are as one of many images has them.
  Status write(size_t count) const {
    ManifestHeader header = *header_;
    if (!row_->archives) header.blocks.per_block = kBlockOfPictures;
    return write_file_atomic(out_ / kMergedManifest, [&](const ByteSink& sink) -> Status {
      ITO_TRY(sink(dump_line(header, std::nullopt)));
      for (size_t k = 0; k < count; ++k) {
        const Path path = path_of({.index = k, .count = count});
        ITO_ASSIGN(const MappedFile file, MappedFile::open(path));
        const std::string_view text = file.bytes();
        uint64_t at = 0;
        const auto pass = [&](uint64_t end) {
          const std::string_view lines = text.substr(at, end - at);
          at = end;
          return sink(lines);
        };
        const ManifestReader reader{
            .image = [&](const ImageLine& line, uint64_t end) -> Status {
              ITO_TRY(pass(end));
              const size_t block = header.blocks.block_of(line.image);
              const Span images = header.blocks.images_of(block);
              if (row_->archives || line.image + 1 != images.last) return {};
              return sink(dump_line(BlockLine{.block = block, .images = images.size()}));
            },
            .block = [&](const BlockLine&, uint64_t end) -> Status {
              if (row_->archives) return pass(end);
              at = end;
              return {};
            }};
        at = text.find('\n') + 1;
        ITO_TRY(read_manifest(path, reader));
      }
      return {};
    });
  }

  Path path_of(Shard shard) const { return out_ / manifest_name(shard); }

  const Path& out_;
  const MergeProgress& progress_;
  std::optional<ManifestHeader> header_;
  const SampleStoreRow* row_ = nullptr;
  std::unordered_set<std::string> known_;  // files of the job
  StoreContext context_;
  std::unique_ptr<SampleStore> store_;
  RequestsHash requests_;
  size_t done_ = 0, files_ = 0;
};

}  // namespace

Result<MergeSummary> merge_samples(const Path& out, const MergeProgress& progress) {
  return Merge(out, progress).run();
}

}  // namespace ito
