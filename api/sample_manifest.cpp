#include "api/sample_manifest.h"

#include <charconv>
#include <string_view>

#include "base/error.h"

namespace ito {
namespace {

constexpr int64_t kVersion = 1;
constexpr std::string_view kBefore = "manifest-", kBetween = "-of-", kBehind = ".jsonl";

Result<SampleBlocks> read_blocks(JsonObject& object) {
  uint64_t images = 0, per_block = 0;
  for (const char* key : {"images", "images_per_block"}) ITO_TRY(object.require(key));
  ITO_TRY(object.read("images", &images));
  ITO_TRY(object.read("images_per_block", &per_block));
  if (per_block == 0) return object.wrong("images_per_block", "a positive number");
  return SampleBlocks{.images = images, .per_block = per_block};
}

Result<Json> find_object(JsonObject& object, const char* key) {
  const Json* found = object.find(key);
  if (found == nullptr || !found->is_object()) return object.wrong(key, "an object");
  return *found;
}

Result<ManifestSummary> parse_header(const Json& json, const std::string& where) {
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, where));
  ManifestSummary summary;
  int64_t version = 0;
  uint64_t index = 0, count = 1;
  for (const char* key : {"version", "key", "requests", "form", "settings", "remarks"})
    ITO_TRY(object.require(key));
  ITO_TRY(object.read("version", &version));
  if (version != kVersion)
    return unsupported("{}: a manifest of version {}, expected {}", where, version, kVersion);
  ITO_TRY(object.read("key", &summary.header.key));
  ITO_TRY(object.read("requests", &summary.header.requests));
  ITO_TRY(object.read("form", &summary.header.form));
  ITO_ASSIGN(summary.header.blocks, read_blocks(object));
  ITO_ASSIGN(summary.header.settings, find_object(object, "settings"));
  ITO_ASSIGN(summary.header.remarks, find_object(object, "remarks"));
  ITO_TRY(object.read("shard", &index));
  ITO_TRY(object.read("shards", &count));
  if (index >= count) return object.wrong("shard", "a number below that of the shards");
  summary.shard = {.index = index, .count = count};
  return summary;
}

// Files of the folder itself, which nothing else may be taken for.
Status check_name(const JsonObject& object, const char* key, const std::string& name) {
  const bool plain = !name.empty() &&
                     name.find_first_not_of("0123456789-.npztar") == std::string::npos &&
                     name.front() != '.';
  return plain ? Status{} : Status(object.wrong(key, "the name of a file of images"));
}

Result<ImageLine> parse_image(JsonObject& object) {
  ImageLine line;
  uint64_t image = 0, seed = 0, label = 0, context = 0;
  for (const char* key : {"seed", "name", "bytes", "sha256"}) ITO_TRY(object.require(key));
  ITO_TRY(object.read("image", &image));
  ITO_TRY(object.read("seed", &seed));
  ITO_TRY(object.read("class", &label));
  ITO_TRY(object.read("context_row", &context));
  ITO_TRY(object.read("name", &line.name));
  ITO_TRY(object.read("bytes", &line.bytes));
  ITO_TRY(object.read("sha256", &line.sha256));
  ITO_TRY(check_name(object, "name", line.name));
  line.image = image;
  line.request = {.seed = static_cast<uint32_t>(seed),
                  .label = static_cast<uint32_t>(label),
                  .context = static_cast<uint32_t>(context)};
  return line;
}

Result<BlockLine> parse_block(JsonObject& object) {
  BlockLine line;
  uint64_t block = 0, images = 0;
  ITO_TRY(object.require("images"));
  ITO_TRY(object.read("block", &block));
  ITO_TRY(object.read("images", &images));
  ITO_TRY(object.read("file", &line.file));
  ITO_TRY(object.read("bytes", &line.bytes));
  ITO_TRY(object.read("sha256", &line.sha256));
  if (!line.file.empty()) ITO_TRY(check_name(object, "file", line.file));
  line.block = block;
  line.images = images;
  return line;
}

// Reads the lines behind the first.
class Lines {
 public:
  Lines(ManifestSummary& summary, const ManifestReader& reader)
      : summary_(summary), reader_(reader) {
    next_ = summary.header.blocks.images_of(summary.shard).first;
  }

  Status take(const Json& json, const std::string& where, uint64_t end) {
    ITO_ASSIGN(JsonObject object, JsonObject::open(json, where));
    if (object.find("image") != nullptr) return take_image(object, end);
    if (object.find("block") != nullptr) return take_block(object, end);
    return corrupt("{}: expected a line of an image or a block", where);
  }

 private:
  Span block() const { return summary_.header.blocks.images_of(block_); }

  Status take_image(JsonObject& object, uint64_t end) {
    ITO_ASSIGN(const ImageLine line, parse_image(object));
    const Span shard = summary_.header.blocks.images_of(summary_.shard);
    if (line.image != next_ || line.image >= shard.last)
      return corrupt("{}: image {} where {} was expected", object.where(), line.image,
                     next_ < shard.last ? fmt::format("image {}", next_) : "none");
    if (open_ && next_ == block().last)
      return corrupt("{}: image {} before the line of block {}", object.where(), line.image,
                     block_);
    block_ = summary_.header.blocks.block_of(next_);
    open_ = true;
    ++next_;
    ++summary_.images;
    return reader_.image ? reader_.image(line, end) : Status{};
  }

  Status take_block(JsonObject& object, uint64_t end) {
    ITO_ASSIGN(const BlockLine line, parse_block(object));
    if (!open_ || line.block != block_ || line.images != block().size() || next_ != block().last)
      return corrupt("{}: block {} of {} images does not end here", object.where(), line.block,
                     line.images);
    open_ = false;
    ++summary_.blocks;
    return reader_.block ? reader_.block(line, end) : Status{};
  }

  ManifestSummary& summary_;
  const ManifestReader& reader_;
  size_t next_ = 0, block_ = 0;
  bool open_ = false;  // images of block_ came, its line did not
};

}  // namespace

std::string manifest_name(Shard shard) {
  return fmt::format("{}{}{}{}{}", kBefore, shard.index, kBetween, shard.count, kBehind);
}

std::optional<Shard> shard_of_manifest(const std::string& name) {
  std::string_view text = name;
  if (!text.starts_with(kBefore) || !text.ends_with(kBehind)) return std::nullopt;
  text = text.substr(kBefore.size(), text.size() - kBefore.size() - kBehind.size());
  const size_t between = text.find(kBetween);
  if (between == std::string_view::npos) return std::nullopt;
  const auto shard = parse_shard(
      fmt::format("{}/{}", text.substr(0, between), text.substr(between + kBetween.size())));
  if (!shard.ok() || manifest_name(*shard) != name) return std::nullopt;
  return *shard;
}

std::string dump_line(const ManifestHeader& header, std::optional<Shard> shard) {
  Json json = {{"version", kVersion},
               {"key", header.key},
               {"requests", header.requests},
               {"form", header.form},
               {"images", header.blocks.images},
               {"images_per_block", header.blocks.per_block},
               {"settings", header.settings},
               {"remarks", header.remarks}};
  if (shard) {
    json["shard"] = shard->index;
    json["shards"] = shard->count;
  }
  return dump_json_line(json) + "\n";
}

std::string dump_line(const ImageLine& line, bool labelled, bool with_context) {
  Json json = {{"image", line.image},
               {"seed", line.request.seed},
               {"name", line.name},
               {"bytes", line.bytes},
               {"sha256", line.sha256}};
  if (labelled) json["class"] = line.request.label;
  if (with_context) json["context_row"] = line.request.context;
  return dump_json_line(json) + "\n";
}

std::string dump_line(const BlockLine& line) {
  Json json = {{"block", line.block}, {"images", line.images}};
  if (!line.file.empty())
    json.update({{"file", line.file}, {"bytes", line.bytes}, {"sha256", line.sha256}});
  return dump_json_line(json) + "\n";
}

void RequestsHash::add(size_t image, const SampleRequest& request) {
  hash_.update(fmt::format("{} {} {} {}\n", image, request.seed, request.label, request.context));
}

Result<std::optional<ManifestSummary>> read_manifest(const Path& path,
                                                     const ManifestReader& reader) {
  ITO_ASSIGN(const MappedFile file, MappedFile::open(path));
  const std::string_view text = file.bytes();
  std::optional<ManifestSummary> summary;
  std::optional<Lines> lines;
  uint64_t at = 0;
  for (size_t number = 1;; ++number) {
    const size_t end = text.find('\n', at);
    if (end == std::string_view::npos) return summary;
    const std::string where = fmt::format("{}:{}", path.string(), number);
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    const auto take = [&]() -> Status {
      ITO_ASSIGN(const Json json, parse_json(line, where));
      if (lines) return lines->take(json, where, at);
      ITO_ASSIGN(summary, parse_header(json, where));
      summary->begin = at;
      lines.emplace(*summary, reader);
      return {};
    };
    const Status status = take();
    if (status.ok()) continue;
    if (status.error().kind != ErrorKind::kCorrupt || !reader.damage) return status.error();
    reader.damage(status.error());
    return summary;
  }
}

}  // namespace ito
