#include "api/sample_merge.h"

#include <memory>
#include <optional>
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
        return not_found("{} is missing: shard {}/{} has not begun; run it",
                         path_of(shard).string(), k, first->count);
    }
    return first->count;
  }

  Status check(Shard shard) {
    const Path path = path_of(shard);
    ITO_ASSIGN(const auto begin, read_manifest(path, {}));
    if (!begin)
      return corrupt("{}: it is empty; run shard {}/{}", path.string(), shard.index, shard.count);
    ITO_TRY(accept(*begin, shard));
    const SampleBlocks& blocks = header_->blocks;
    if (begin->blocks != blocks.blocks_of(shard).size())
      return invalid_argument("{}: shard {}/{} has {} of {} images; run it again, and it goes on",
                              path.string(), shard.index, shard.count, begin->images,
                              blocks.images_of(shard).size());
    std::vector<ImageLine> images;
    const ManifestReader reader{.image = [&](const ImageLine& line, uint64_t) -> Status {
                                  requests_.add(line.image, line.request);
                                  images.push_back(line);
                                  return {};
                                },
                                .block = [&](const BlockLine& line, uint64_t) -> Status {
                                  const Status same = store_->verify(line, images);
                                  if (!same.ok()) return advised(same.error(), line, shard);
                                  done_ += images.size();
                                  files_ += line.file.empty() ? 0 : 1;
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
      ITO_ASSIGN(const SampleStoreRow* row,
                 row_called(sample_store_rows(), header_->form, path.string() + ": key 'form'"));
      context_.out = out_;
      context_.blocks = header_->blocks;
      store_ = row->make(context_);
    }
    if (summary.header.key != header_->key || summary.header.form != header_->form ||
        summary.header.requests != header_->requests || summary.header.blocks != header_->blocks)
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

  Status write(size_t count) const {
    return write_file_atomic(out_ / kMergedManifest, [&](const ByteSink& sink) -> Status {
      ITO_TRY(sink(dump_line(*header_, std::nullopt)));
      for (size_t k = 0; k < count; ++k) {
        const Path path = path_of({.index = k, .count = count});
        ITO_ASSIGN(const auto summary, read_manifest(path, {}));
        ITO_ASSIGN(const MappedFile file, MappedFile::open(path));
        const std::string_view text = file.bytes();
        ITO_TRY(sink(text.substr(summary->begin, text.rfind('\n') + 1 - summary->begin)));
      }
      return {};
    });
  }

  Path path_of(Shard shard) const { return out_ / manifest_name(shard); }

  const Path& out_;
  const MergeProgress& progress_;
  std::optional<ManifestHeader> header_;
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
