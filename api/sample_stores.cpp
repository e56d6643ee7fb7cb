#include "api/sample_stores.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "io/append_file.h"
#include "io/class_names.h"
#include "io/image.h"
#include "io/npy.h"
#include "io/npz_bytes.h"
#include "io/png.h"
#include "io/tar.h"

namespace ito {
namespace {

constexpr const char* kUnfinished = ".part";
constexpr const char* kPixels = "arr_0";  // of an NPZ archive

Path unfinished(const Path& path) {
  Path result = path;
  result += kUnfinished;
  return result;
}

bool is_content(std::string_view content, const ImageLine& line) {
  return content.size() == line.bytes && sha256_hex(content) == line.sha256;
}

Error differs(const Path& file, const ImageLine& line) {
  return corrupt("{}: image {} (seed {}) is not what the manifest says", file.string(), line.image,
                 line.request.seed);
}

std::string png_of(const SampleIdentity& identity, const SampleRequest& request,
                   const std::vector<float>& images, const Shape& shape, int64_t which) {
  const Json settings = identity.settings_of(request);
  return encode_png(image_from_floats(images, shape, which), &settings);
}

// NNNNNN.png, one an image. Made durable together at the end of a block.
class PngStore : public SampleStore {
 public:
  explicit PngStore(const StoreContext& context) : context_(context) {}

  EncodedImage encode(const SampleRequest& request, const std::vector<float>& images,
                      const Shape& shape, int64_t which) const override {
    return {.content = png_of(context_.images, request, images, shape, which), .entry = {}};
  }

  Status check_free(Span blocks, size_t from) const override {
    const Span images{std::max(from, context_.blocks.images_of(blocks.first).first),
                      context_.blocks.images_of(blocks.last - 1).last};
    for (size_t i = images.first; i < images.last; ++i) ITO_TRY(found(context_.requests[i]));
    return {};
  }

  Result<std::optional<EncodedImage>> present(size_t image) const override {
    const SampleRequest& request = context_.requests[image];
    ITO_ASSIGN(const std::optional<Json> settings, found(request));
    if (!settings || !same_key(*settings, context_.images.settings_of(request)))
      return std::optional<EncodedImage>();
    ITO_ASSIGN(std::string bytes, read_file(path_of(request)));
    if (!decode_image(bytes, "").ok()) return std::optional<EncodedImage>();
    return std::optional<EncodedImage>({.content = std::move(bytes), .entry = {}});
  }

  Result<size_t> begin(size_t, std::span<const ImageLine> lines) override {
    for (written_ = 0; written_ < lines.size(); ++written_) {
      const ImageLine& line = lines[written_];
      const auto bytes = read_file(path_of(line.request));
      if (!bytes.ok() || !is_content(*bytes, line)) break;
    }
    return written_;
  }

  Status add(const SampleRequest& request, const EncodedImage& image) override {
    const Path path = path_of(request), temporary = unfinished(path);
    {
      ITO_ASSIGN(std::optional<AppendFile> file, AppendFile::open(temporary));
      if (!file) return io_error("cannot write {}: another process does", path.string());
      ITO_TRY(file->cut(0));
      ITO_TRY(file->append(image.content));
    }
    ITO_TRY(rename_path(temporary, path));
    ++written_;
    return {};
  }

  Result<BlockLine> commit(size_t block, const Shape&) override {
    ITO_TRY(sync_file_system(context_.out));
    return BlockLine{.block = block, .images = written_};
  }

  bool stands(const BlockLine&) const override { return true; }  // thousands of files: verify

  Status verify(const BlockLine&, std::span<const ImageLine> images) const override {
    for (const ImageLine& line : images) {
      const Path path = context_.out / (line.name + ".png");
      ITO_ASSIGN(const MappedFile file, MappedFile::open(path));
      if (!is_content(file.bytes(), line)) return differs(path, line);
    }
    return {};
  }

 private:
  Path path_of(const SampleRequest& request) const {
    return context_.out / (context_.images.name_of(request) + ".png");
  }

  // The settings of a file of this name, if there is one.
  Result<std::optional<Json>> found(const SampleRequest& request) const {
    const Path path = path_of(request);
    if (!file_exists(path)) return std::optional<Json>();
    auto settings = read_png_settings(path);
    if (settings.ok() && is_own(*settings)) return std::optional<Json>(std::move(*settings));
    return invalid_argument(
        "{} is there already and is no whole picture of ito sample; move it away or choose another "
        "--out",
        path.string());
  }

  const StoreContext& context_;
  size_t written_ = 0;  // images of the block
};

// The images of a block in one file, which grows under another name until it is whole.
class BlockStore : public SampleStore {
 public:
  BlockStore(const StoreContext& context, const char* ending)
      : context_(context), ending_(ending) {}

  Status check_free(Span blocks, size_t from) const override {
    // A file of the block under way is looked at when that begins.
    const size_t under_way = context_.blocks.block_of(from);
    for (size_t block = blocks.first; block < blocks.last; ++block) {
      const bool begun = block == under_way && from > context_.blocks.images_of(block).first;
      if (block >= under_way && !begun && file_exists(path_of(block)) && !may_be_own(block))
        return in_the_way(block);
    }
    return {};
  }

  Result<std::optional<EncodedImage>> present(size_t) const override {
    return std::optional<EncodedImage>();
  }

  Result<size_t> begin(size_t block, std::span<const ImageLine> lines) override {
    const Path path = path_of(block), part = unfinished(path);
    part_.reset();
    whole_ = false;
    ITO_TRY(remove_leftovers(path.filename().string()));
    if (!file_exists(part) && file_exists(path)) {
      // Killed before the manifest could say that the block is done.
      whole_ = lines.size() == context_.blocks.images_of(block).size() &&
               verify_content(path, lines).ok();
      if (whole_) return lines.size();
      if (!may_be_own(block)) return in_the_way(block);
    }
    ITO_ASSIGN(part_, AppendFile::open(part));
    if (!part_) return io_error("cannot write {}: another process does", part.string());
    uint64_t size = 0;
    size_t kept = 0;
    {
      ITO_ASSIGN(const MappedFile mapped, MappedFile::open(part));
      // Not the last image of all: what finishes a block is its last image.
      const size_t most = std::min(lines.size(), context_.blocks.images_of(block).size() - 1);
      for (; kept < most; ++kept) {
        const uint64_t entry = entry_size(mapped.bytes().substr(size), lines[kept]);
        if (entry == 0) break;
        size += entry;
      }
    }
    ITO_TRY(part_->cut(size));
    return kept;
  }

  Status add(const SampleRequest&, const EncodedImage& image) override {
    return part_->append(image.entry.empty() ? image.content : image.entry);
  }

  Result<BlockLine> commit(size_t block, const Shape& image) override {
    const Path path = path_of(block);
    if (!whole_) {
      ITO_TRY(finish(*part_, block, image));
      part_.reset();
    }
    ITO_ASSIGN(const MappedFile file, MappedFile::open(path));
    return BlockLine{.block = block,
                     .images = context_.blocks.images_of(block).size(),
                     .file = path.filename().string(),
                     .bytes = file.bytes().size(),
                     .sha256 = sha256_hex(file.bytes())};
  }

  bool stands(const BlockLine& line) const override {
    std::error_code error;
    const auto size = std::filesystem::file_size(context_.out / line.file, error);
    return !error && size == line.bytes;
  }

  Status verify(const BlockLine& line, std::span<const ImageLine> images) const override {
    const Path path = context_.out / line.file;
    ITO_ASSIGN(const MappedFile file, MappedFile::open(path));
    if (file.bytes().size() != line.bytes || sha256_hex(file.bytes()) != line.sha256)
      return corrupt("{}: its content is not what the manifest says", path.string());
    return verify_content(path, images);
  }

 protected:
  // Whether the file of a block, of which the manifest does not tell, holds this job's images as
  // far as can be seen.
  virtual bool may_be_own(size_t block) const = 0;
  // Bytes of the image's entry at the beginning of `rest` if it is there whole, or 0.
  virtual uint64_t entry_size(std::string_view rest, const ImageLine& line) const = 0;
  // Turns the entries into the block's file, durably.
  virtual Status finish(AppendFile& part, size_t block, const Shape& image) = 0;
  virtual Status verify_content(const Path& path, std::span<const ImageLine> images) const = 0;

  Path path_of(size_t block) const { return context_.out / fmt::format("{:05}{}", block, ending_); }

  Error in_the_way(size_t block) const {
    return invalid_argument(
        "{} is there already and holds other images than this job's; move it away or choose "
        "another --out",
        path_of(block).string());
  }

  const StoreContext& context_;

 private:
  // What a process that was killed while it wrote NAME left of it.
  Status remove_leftovers(const std::string& name) const {
    ITO_ASSIGN(const std::vector<std::string> found, list_folder(context_.out));
    for (const std::string& other : found)
      if (other.starts_with(name + ".") && other.ends_with(".tmp"))
        ITO_TRY(remove_tree(context_.out / other));
    return {};
  }

  const char* ending_;
  std::optional<AppendFile> part_;
  bool whole_ = false;  // the block has its name already
};

// NAME.png, NAME.cls where there are classes, and NAME.json: a sample of a WebDataset.
class TarStore : public BlockStore {
 public:
  explicit TarStore(const StoreContext& context) : BlockStore(context, ".tar") {}

  EncodedImage encode(const SampleRequest& request, const std::vector<float>& images,
                      const Shape& shape, int64_t which) const override {
    EncodedImage image{.content = png_of(context_.images, request, images, shape, which),
                       .entry = {}};
    image.entry = entry_of(request, image.content);
    return image;
  }

  Result<std::optional<EncodedImage>> present(size_t image) const override {
    std::optional<std::string> png = own_png(image);
    if (!png || !decode_image(*png, "").ok()) return std::optional<EncodedImage>();
    std::string entry = entry_of(context_.requests[image], *png);
    return std::optional<EncodedImage>({.content = std::move(*png), .entry = std::move(entry)});
  }

 protected:
  // By the keys that its pictures carry.
  bool may_be_own(size_t block) const override {
    const Span images = context_.blocks.images_of(block);
    for (size_t image = images.first; image < images.last; ++image)
      if (!own_png(image)) return false;
    return true;
  }

  uint64_t entry_size(std::string_view rest, const ImageLine& line) const override {
    constexpr size_t kHeader = 512;
    if (rest.size() < kHeader || rest.size() - kHeader < line.bytes) return 0;
    const std::string_view content = rest.substr(kHeader, line.bytes);
    if (!is_content(content, line)) return 0;
    const std::string entry = entry_of(line.request, content);
    return rest.starts_with(entry) ? entry.size() : 0;
  }

  Status finish(AppendFile& part, size_t block, const Shape&) override {
    const Path path = path_of(block);
    if (file_exists(path) && !may_be_own(block)) return in_the_way(block);
    ITO_TRY(part.append(tar_end()));
    ITO_TRY(part.sync());
    ITO_TRY(rename_path(unfinished(path), path));
    return sync_folder(context_.out);
  }

  Status verify_content(const Path& path, std::span<const ImageLine> images) const override {
    ITO_ASSIGN(const MappedFile file, MappedFile::open(path));
    ITO_ASSIGN(const std::vector<TarEntry> entries, parse_tar(file.bytes(), path.string()));
    size_t next = 0;
    for (const TarEntry& entry : entries) {
      if (!entry.name.ends_with(".png")) continue;
      if (next == images.size())
        return corrupt("{}: {} is not in the manifest", path.string(), entry.name);
      const ImageLine& line = images[next++];
      if (entry.name != line.name + ".png" || !is_content(entry.content, line))
        return differs(path, line);
    }
    if (next < images.size())
      return corrupt("{}: image {} (seed {}) is missing", path.string(), images[next].image,
                     images[next].request.seed);
    return {};
  }

 private:
  std::string entry_of(const SampleRequest& request, std::string_view png) const {
    const std::string name = context_.images.name_of(request);
    std::string entry = tar_entry(name + ".png", png);
    if (context_.images.labelled) entry += tar_entry(name + ".cls", std::to_string(request.label));
    entry += tar_entry(name + ".json", dump_json_line(context_.images.settings_of(request)));
    return entry;
  }

  // The image in its block's file, if that is there and the image's key is this job's.
  std::optional<std::string> own_png(size_t image) const {
    const size_t block = context_.blocks.block_of(image);
    const SampleRequest& request = context_.requests[image];
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!there_ || there_->block != block) {
      there_.reset();
      auto file = MappedFile::open(path_of(block));
      if (!file.ok()) return std::nullopt;
      there_.emplace(Archive{block, std::move(file).value(), {}});
      const auto entries = parse_tar(there_->file.bytes(), "");
      if (entries.ok())
        for (const TarEntry& entry : *entries) there_->entries.emplace(entry.name, entry.content);
    }
    const auto found = there_->entries.find(context_.images.name_of(request) + ".png");
    if (found == there_->entries.end()) return std::nullopt;
    const auto settings = png_settings(found->second, "");
    if (!settings.ok() || !is_own(*settings) ||
        !same_key(*settings, context_.images.settings_of(request)))
      return std::nullopt;
    return std::string(found->second);
  }

  // The block's file that was looked at last, of which the manifest does not tell.
  struct Archive {
    size_t block = 0;
    MappedFile file;
    std::map<std::string, std::string_view, std::less<>> entries;
  };
  mutable std::mutex mutex_;
  mutable std::optional<Archive> there_;
};

// arr_0 [n, h, w, c] of bytes, as programs that measure samples read them, and the images' seeds
// and classes.
class NpzStore : public BlockStore {
 public:
  explicit NpzStore(const StoreContext& context) : BlockStore(context, ".npz") {}

  EncodedImage encode(const SampleRequest&, const std::vector<float>& images, const Shape& shape,
                      int64_t which) const override {
    const Image image = image_from_floats(images, shape, which);
    return {.content = {image.pixels.begin(), image.pixels.end()}, .entry = {}};
  }

 protected:
  uint64_t entry_size(std::string_view rest, const ImageLine& line) const override {
    return rest.size() >= line.bytes && is_content(rest.substr(0, line.bytes), line) ? line.bytes
                                                                                     : 0;
  }

  Status finish(AppendFile&, size_t block, const Shape& image) override {
    const Path path = path_of(block), part = unfinished(path);
    const Span images = context_.blocks.images_of(block);
    const auto count = static_cast<int64_t>(images.size());
    TensorFile file;
    std::vector<uint32_t> seeds, labels;
    for (size_t i = images.first; i < images.last; ++i) {
      seeds.push_back(context_.requests[i].seed);
      labels.push_back(context_.requests[i].label);
    }
    file.tensors.emplace("seeds", tensor_from_uint32({count}, seeds));
    if (context_.images.labelled)
      file.tensors.emplace("classes", tensor_from_uint32({count}, labels));
    TextArrays texts;
    if (context_.images.labelled && !context_.images.class_names.empty())
      texts.emplace(kClassNames, context_.images.class_names);
    const bool again = file_exists(path);
    const Path written = again ? Path(path.string() + ".again.tmp") : path;
    {
      ITO_ASSIGN(const MappedFile pixels, MappedFile::open(part));
      ITO_TRY(write_npz_of_bytes(written, kPixels, {count, image[1], image[2], image[3]},
                                 pixels.bytes(), file, texts));
    }
    if (again) ITO_TRY(keep_if_same(block, written));
    return remove_tree(part);
  }

  // Pixels have no key: what is there is this job's if it has the same seeds and, once they are
  // drawn again, the same bytes.
  bool may_be_own(size_t block) const override {
    const Span images = context_.blocks.images_of(block);
    const auto numbers = [&](const char* name) -> std::optional<std::vector<uint32_t>> {
      const auto file = NpzFile::open(path_of(block));
      if (!file.ok() || !file->has(name) || !file->has(kPixels)) return std::nullopt;
      const auto tensor = file->read(name);
      if (!tensor.ok()) return std::nullopt;
      auto values = to_uint32(*tensor, name);
      return values.ok() ? std::optional(std::move(values).value()) : std::nullopt;
    };
    std::vector<uint32_t> seeds;
    for (size_t i = images.first; i < images.last; ++i) seeds.push_back(context_.requests[i].seed);
    return numbers("seeds") == seeds;
  }

  Status keep_if_same(size_t block, const Path& written) const {
    const auto there = MappedFile::open(path_of(block));
    const auto drawn = MappedFile::open(written);
    const bool same = there.ok() && drawn.ok() && there->bytes() == drawn->bytes();
    ITO_TRY(remove_tree(written));
    return same ? Status{} : Status(in_the_way(block));
  }

  Status verify_content(const Path& path, std::span<const ImageLine> images) const override {
    ITO_ASSIGN(const MappedFile mapped, MappedFile::open(path));
    ITO_ASSIGN(const NpzFile file, NpzFile::open(path));
    ITO_ASSIGN(const HostTensor seeds, file.read("seeds"));
    ITO_ASSIGN(const std::vector<uint32_t> numbers, to_uint32(seeds, "seeds"));
    uint64_t size = 0;
    for (const ImageLine& line : images) size += line.bytes;
    // The pixels are the last bytes of the first entry, uncompressed; mapped, for they may be many.
    ITO_ASSIGN(const std::vector<ZipEntry> entries, parse_zip(mapped.bytes(), path.string()));
    std::string_view rest = entries.empty() ? std::string_view() : entries.front().data;
    if (rest.size() < size)
      return corrupt("{}: {} does not hold the images", path.string(), kPixels);
    rest.remove_prefix(rest.size() - size);
    if (numbers.size() != images.size())
      return corrupt("{}: {} images, expected {}", path.string(), numbers.size(), images.size());
    for (size_t i = 0; i < images.size(); ++i) {
      if (numbers[i] != images[i].request.seed ||
          !is_content(rest.substr(0, images[i].bytes), images[i]))
        return differs(path, images[i]);
      rest.remove_prefix(images[i].bytes);
    }
    return {};
  }
};

template <typename Store>
std::unique_ptr<SampleStore> make(const StoreContext& context) {
  return std::make_unique<Store>(context);
}

constexpr SampleStoreRow kRows[] = {
    {{"png", "a PNG an image, NNNNNN.png, in one folder", "", "folder"}, false, make<PngStore>},
    {{"tar", "tar archives of NNNNNN.png, NNNNNN.cls and NNNNNN.json", "WebDataset's layout",
      "webdataset"},
     true,
     make<TarStore>},
    {{"npz", "NPZ archives with arr_0 [n,h,w,c] of bytes, seeds and classes",
      "guided-diffusion's sample files", ""},
     true,
     make<NpzStore>},
};

}  // namespace

std::span<const SampleStoreRow> sample_store_rows() { return kRows; }

}  // namespace ito
