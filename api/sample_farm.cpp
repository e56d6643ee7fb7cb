#include "api/sample_farm.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/sha256.h"

namespace ito {
namespace {

constexpr std::chrono::milliseconds kPause{50};

std::string requests_hash(const std::vector<SampleRequest>& requests) {
  RequestsHash hash;
  for (size_t i = 0; i < requests.size(); ++i) hash.add(i, requests[i]);
  return hash.hex();
}

ManifestHeader header_of(const StoreContext& context, const SampleStoreRow& form) {
  const SampleIdentity& images = context.images;
  ManifestHeader header{.key = {},
                        .requests = requests_hash(context.requests),
                        .form = std::string(form.name.name),
                        .blocks = context.blocks,
                        .settings = images.settings,
                        .remarks = images.remarks};
  Json all = {{"model", images.model},       {"settings", images.settings},
              {"classes", images.labelled},  {"contexts", images.with_context},
              {"requests", header.requests}, {"form", header.form}};
  // Of archives it decides what each holds; else only how often a process makes sure of its files.
  if (form.archives) all["images_per_block"] = context.blocks.per_block;
  header.key = sha256_hex(dump_json_line(all));
  return header;
}

// Error kInvalidArgument: the folder has a manifest of the same job cut otherwise.
Status check_count(const Path& out, Shard shard) {
  std::error_code error;
  std::filesystem::directory_iterator it(out, error), end;
  for (; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    const std::optional<Shard> other = shard_of_manifest(name);
    if (other && other->count != shard.count)
      return invalid_argument(
          "{} holds {}, of a job cut in {}, and --shard {}/{} cuts it in {}; choose another --out",
          out.string(), name, other->count, shard.index, shard.count, shard.count);
  }
  return {};
}

}  // namespace

struct SampleFarm::Found {
  struct Block {
    BlockLine line;
    uint64_t end = 0;  // of its line in the manifest
  };
  uint64_t begin = 0;             // behind the manifest's first line
  std::vector<Block> blocks;      // committed
  std::vector<ImageLine> images;  // of the block under way
  std::vector<uint64_t> ends;     // of their lines
};

SampleBlocks farm_blocks(const FarmOptions& options, size_t images) {
  size_t per_block = options.per_block;
  if (!options.form->archives)
    per_block = std::min(per_block, (images + options.shard.count - 1) / options.shard.count);
  return {.images = images, .per_block = std::max<size_t>(per_block, 1)};
}

Status check_farm(const FarmOptions& options, size_t images) {
  const SampleBlocks blocks = farm_blocks(options, images);
  const size_t shards = options.shard.count;
  if (!options.form->archives || blocks.count() >= shards) return {};
  if (images < shards)
    return invalid_argument("--shard {}/{}: {} images are too few for {} shards",
                            options.shard.index, shards, images, shards);
  return invalid_argument(
      "--shard {}/{}: {} images, {} a file, make {} files, too few for {} shards; give "
      "--images-per-file {} or fewer",
      options.shard.index, shards, images, blocks.per_block, blocks.count(), shards,
      images / shards);
}

Result<std::unique_ptr<SampleFarm>> SampleFarm::open(FarmOptions options, SampleIdentity images,
                                                     std::vector<SampleRequest> requests,
                                                     const NoteFunction& note) {
  ITO_TRY(check_farm(options, requests.size()));
  ITO_TRY(images.know(requests));
  std::unique_ptr<SampleFarm> farm(new SampleFarm);
  farm->context_ = {.out = options.out,
                    .images = std::move(images),
                    .requests = std::move(requests),
                    .blocks = {}};
  farm->options_ = std::move(options);
  StoreContext& context = farm->context_;
  const Shard shard = farm->options_.shard;
  context.blocks = farm_blocks(farm->options_, context.requests.size());
  farm->header_ = header_of(context, *farm->options_.form);
  farm->store_ = farm->options_.form->make(context);
  const Span span = context.blocks.images_of(shard);
  farm->first_ = farm->next_ = span.first;
  farm->last_ = span.last;
  ITO_TRY(make_folders(context.out));
  ITO_TRY(check_count(context.out, shard));
  ITO_TRY(farm->open_manifest());
  Found found;
  ITO_TRY(farm->read_found(found, note));
  ITO_TRY(farm->resume(found, note));
  farm->writers_ = std::make_unique<OrderedWork>(farm->options_.threads, farm->options_.queue);
  return farm;
}

SampleFarm::~SampleFarm() = default;

// The manifest's lock is the shard's.
Status SampleFarm::open_manifest() {
  const Path path = manifest_path(options_.shard);
  const auto deadline = std::chrono::steady_clock::now() + options_.patience;
  while (true) {
    ITO_ASSIGN(manifest_, AppendFile::open(path));
    if (manifest_) return {};
    if (std::chrono::steady_clock::now() >= deadline) break;
    std::this_thread::sleep_for(kPause);
  }
  return invalid_argument(
      "another process draws shard {}/{} into {}; wait for it or choose another --shard",
      options_.shard.index, options_.shard.count, context_.out.string());
}

Status SampleFarm::read_found(Found& found, const NoteFunction& note) {
  const Path path = manifest_path(options_.shard);
  const ManifestReader reader{.image = [&](const ImageLine& line, uint64_t end) -> Status {
                                found.images.push_back(line);
                                found.ends.push_back(end);
                                return {};
                              },
                              .block = [&](const BlockLine& line, uint64_t end) -> Status {
                                found.blocks.push_back({line, end});
                                found.images.clear();
                                found.ends.clear();
                                return {};
                              },
                              .damage =
                                  [&](const Error& error) {
                                    if (!note) return;
                                    note(fmt::format(
                                        "{}; the manifest is read up to there, and what follows is "
                                        "recognised by its content or made anew",
                                        error.message));
                                  }};
  ITO_ASSIGN(const std::optional<ManifestSummary> summary, read_manifest(path, reader));
  if (!summary) {
    ITO_TRY(manifest_->cut(0));
    return {};
  }
  found.begin = summary->begin;
  const ManifestHeader& header = summary->header;
  if (header.key == header_.key) return {};
  const std::string why = header.form != header_.form ? fmt::format("in the form {}", header.form)
                          : header.blocks.per_block != header_.blocks.per_block
                              ? fmt::format("of {} images a file", header.blocks.per_block)
                          : header.requests != header_.requests
                              ? fmt::format("of other seeds or classes")
                              : fmt::format("of another model or other settings");
  return invalid_argument("{} is of a job {}; choose another --out", path.string(), why);
}

Status SampleFarm::resume(const Found& found, const NoteFunction& note) {
  const SampleBlocks& blocks = context_.blocks;
  const Span mine = blocks.blocks_of(options_.shard);
  if (found.begin == 0) {
    if (mine.size() > 0) ITO_TRY(store_->check_free(mine, first_));
    ITO_TRY(manifest_->append(dump_line(header_, options_.shard)));
    return manifest_->sync();
  }
  size_t done = 0;
  while (done < found.blocks.size() && store_->stands(found.blocks[done].line)) ++done;
  uint64_t end = done == 0 ? found.begin : found.blocks[done - 1].end;
  const bool back = done < found.blocks.size();
  if (back) {
    if (note)
      note(fmt::format(
          "{} is not there as it was written and is made anew; what follows is recognised by its "
          "content or made anew",
          found.blocks[done].line.file));
    ITO_TRY(manifest_->cut(end));
    for (size_t i = done; i < found.blocks.size(); ++i)
      if (!store_->stands(found.blocks[i].line))
        ITO_TRY(remove_tree(context_.out / found.blocks[i].line.file));
  }
  const size_t block = mine.first + done;
  next_ = std::min(block * blocks.per_block, last_);
  if (!back && !found.images.empty()) {
    ITO_ASSIGN(const size_t kept, store_->begin(block, found.images));
    if (kept > 0) end = found.ends[kept - 1];
    next_ += kept;
    ITO_TRY(manifest_->cut(end));
    if (next_ == blocks.images_of(block).last) ITO_TRY(commit(block, {}));
  } else {
    ITO_TRY(manifest_->cut(end));
  }
  found_ = next_ - first_;
  if (next_ == last_) return {};
  return store_->check_free(mine, next_);
}

Result<std::vector<SampleRequest>> SampleFarm::next(size_t most) {
  CHECK(pending_.empty(), "what was asked for is added first");
  std::vector<SampleRequest> requests;
  while (next_ < last_ && requests.size() < most) {
    const size_t image = next_++;
    ITO_ASSIGN(const auto present, store_->present(image));
    pending_.push_back({image, present.has_value()});
    if (!present) {
      requests.push_back(context_.requests[image]);
    } else if (requests.empty()) {  // so that no long row of them waits
      ITO_TRY(push(pending_.back(), nullptr, {}, 0));
      pending_.clear();
      ++found_;
    } else {
      ++found_;
    }
  }
  return requests;
}

Status SampleFarm::add(std::vector<float> images, const Shape& shape) {
  const auto shared = std::make_shared<const std::vector<float>>(std::move(images));
  int64_t which = 0;
  for (const Pending& pending : std::exchange(pending_, {})) {
    ITO_TRY(push(pending, shared, shape, which));
    if (!pending.present) ++which;
  }
  return {};
}

Status SampleFarm::push(const Pending& pending, std::shared_ptr<const std::vector<float>> images,
                        const Shape& shape, int64_t which) {
  const SampleRequest& request = context_.requests[pending.image];
  auto encoded = std::make_shared<EncodedImage>();
  const auto prepare = [this, encoded, pending, request, images, shape, which]() -> Status {
    if (!pending.present) {
      *encoded = store_->encode(request, *images, shape, which);
      return {};
    }
    ITO_ASSIGN(auto found, store_->present(pending.image));
    if (!found)
      return io_error("{}: image of seed {} was changed meanwhile", context_.out.string(),
                      request.seed);
    *encoded = std::move(*found);
    return {};
  };
  const Shape image = shape.rank() == 4 ? Shape{1, shape[1], shape[2], shape[3]} : Shape{};
  return writers_->push({.prepare = prepare, .finish = [this, encoded, pending, image] {
                           return write(pending.image, *encoded, image);
                         }});
}

Status SampleFarm::write(size_t image, const EncodedImage& encoded, const Shape& shape) {
  const size_t block = context_.blocks.block_of(image);
  const Span span = context_.blocks.images_of(block);
  if (image == span.first) {
    ITO_TRY(store_->begin(block, {}));
  }
  const SampleRequest& request = context_.requests[image];
  ITO_TRY(store_->add(request, encoded));
  const ImageLine line{.image = image,
                       .request = request,
                       .name = context_.images.name_of(request),
                       .bytes = encoded.content.size(),
                       .sha256 = sha256_hex(encoded.content)};
  ITO_TRY(
      manifest_->append(dump_line(line, context_.images.labelled, context_.images.with_context)));
  return image + 1 == span.last ? commit(block, shape) : Status{};
}

// The images' lines are durable before their block has its name, so that the name is never without.
Status SampleFarm::commit(size_t block, const Shape& image) {
  ITO_TRY(manifest_->sync());
  ITO_ASSIGN(const BlockLine line, store_->commit(block, image));
  ITO_TRY(manifest_->append(dump_line(line)));
  return manifest_->sync();
}

Status SampleFarm::finish() {
  ITO_TRY(writers_->wait());
  return manifest_->sync();
}

FarmProgress SampleFarm::progress() const {
  FarmProgress progress{.done = next_ - first_ - pending_.size(),
                        .images = last_ - first_,
                        .all_done = 0,
                        .all_images = context_.blocks.images};
  progress.all_done = progress.done;
  for (size_t k = 0; k < options_.shard.count; ++k) {
    const Shard shard{.index = k, .count = options_.shard.count};
    if (k != options_.shard.index)
      progress.all_done += images_in_manifest(manifest_path(shard), context_.blocks, shard);
  }
  return progress;
}

size_t images_in_manifest(const Path& path, const SampleBlocks& blocks, Shard shard) {
  constexpr size_t kTail = 4096;  // more than any line but the first
  const auto file = MappedFile::open(path);
  if (!file.ok()) return 0;
  std::string_view text = file->bytes();
  if (text.size() > kTail) text.remove_prefix(text.size() - kTail);
  const size_t end = text.rfind('\n');
  if (end == std::string_view::npos || end == 0) return 0;
  const size_t before = text.rfind('\n', end - 1);
  const size_t begin = before == std::string_view::npos ? 0 : before + 1;
  const auto json = parse_json(text.substr(begin, end - begin), "");
  if (!json.ok() || !json->is_object()) return 0;
  const Span images = blocks.images_of(shard);
  const auto number = [&](const char* key) -> std::optional<size_t> {
    const auto found = json->find(key);
    if (found == json->end() || !found->is_number_unsigned()) return std::nullopt;
    return found->get<size_t>();
  };
  std::optional<size_t> last;
  if (const auto image = number("image")) last = *image + 1;
  if (const auto block = number("block")) last = blocks.images_of(*block).last;
  return last ? std::clamp(*last, images.first, images.last) - images.first : 0;
}

}  // namespace ito
