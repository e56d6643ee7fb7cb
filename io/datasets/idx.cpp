// IDX files (yann.lecun.com/exdb/mnist): MNIST, Fashion-MNIST, KMNIST, EMNIST, QMNIST, under the
// names that their distributors and unpackers give them.
#include <algorithm>
#include <array>
#include <set>

#include "base/error.h"
#include "io/compress.h"
#include "io/datasets/readers.h"
#include "io/file_kind.h"

namespace ito {
namespace {

// One IDX file: extents, and numbers that fill them exactly.
struct Idx {
  std::vector<int64_t> dims;
  std::string bytes;  // with the header
  size_t offset = 0;  // of the first element
  size_t width = 1;   // bytes of an element, big-endian
};

Result<Idx> read_idx_file(const Path& path) {
  ITO_ASSIGN(std::string bytes, read_file(path, kMaxDatasetBytes));
  if (is_gzip(bytes)) {
    ITO_ASSIGN(bytes, inflate(bytes, Compression::kGzip, path.string(), kMaxDatasetBytes));
  }
  auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  // Magic: two zero bytes, element type (8 = u8, 9 = i8, 11 = i16, 12 = i32), number of extents;
  // then big-endian extents.
  if (bytes.size() < 4) return corrupt("{}: {} bytes are no IDX file", path.string(), bytes.size());
  const size_t width = byte(2) == 8 ? 1 : byte(2) == 12 ? 4 : 0;
  if (byte(0) != 0 || byte(1) != 0 || width == 0)
    return corrupt(
        "{}: magic number {:02x}{:02x}{:02x}{:02x}; expected 000008NN, an IDX file of "
        "unsigned bytes{}",
        path.string(), byte(0), byte(1), byte(2), byte(3),
        kind_remark(kind_of_bytes(std::string_view(bytes).substr(0, kFileKindBytes))));
  Idx idx;
  idx.width = width;
  size_t rank = byte(3);
  idx.offset = 4 + 4 * rank;
  if (bytes.size() < idx.offset) return corrupt("{}: IDX header is truncated", path.string());
  for (size_t i = 0; i < rank; ++i) {
    size_t at = 4 + 4 * i;
    idx.dims.push_back(int64_t{byte(at)} << 24 | byte(at + 1) << 16 | byte(at + 2) << 8 |
                       byte(at + 3));
  }
  std::optional<int64_t> numel = checked_numel(idx.dims, width);
  const uint64_t found = bytes.size() - idx.offset;
  if (!numel || static_cast<uint64_t>(*numel) * width != found)
    return corrupt("{}: extents {} do not fit its {} bytes of data; the file is {}", path.string(),
                   Shape(idx.dims).to_string(), found,
                   !numel || static_cast<uint64_t>(*numel) * width > found
                       ? "truncated"
                       : "followed by other bytes");
  idx.bytes = std::move(bytes);
  return idx;
}

// A name taken apart: "emnist-letters-train-images-idx3-ubyte.gz".
struct IdxName {
  std::string prefix;  // "emnist-letters-"
  std::string part;    // "train", "t10k", "test"
  std::string what;    // "images", "labels"
  bool gzipped = false;
};

std::optional<IdxName> parse_name(std::string name) {
  IdxName out;
  if (name.ends_with(".gz")) {
    out.gzipped = true;
    name.resize(name.size() - 3);
  }
  for (const char* what : {"images", "labels"}) {
    const size_t at = name.rfind(what);
    if (at == std::string::npos) continue;
    // Unpackers put a dot for the dash: "train-images.idx3-ubyte".
    const std::string tail = name.substr(at + 6);
    const bool known =
        tail.size() >= 6 && (tail[0] == '-' || tail[0] == '.') && tail.substr(1, 3) == "idx" &&
        tail[4] >= '1' && tail[4] <= '4' &&
        (tail.substr(5) == "-ubyte" || tail.substr(5) == "-int" || tail.substr(5) == ".ubyte");
    if (!known) continue;
    for (const char* part : {"train", "t10k", "test"}) {
      const std::string end = std::string(part) + "-";
      if (at < end.size() || name.compare(at - end.size(), end.size(), end) != 0) continue;
      out.prefix = name.substr(0, at - end.size());
      out.part = part;
      out.what = what;
      return out;
    }
  }
  return std::nullopt;
}

bool is_part(const IdxName& name, Split split) {
  return (name.part == "train") == (split == Split::kTrain);
}

// The file of a folder that has the given prefix, part and content; empty if there is none. One
// that is not gzipped comes first.
Path file_of(const Path& folder, const std::string& prefix, Split split, const char* what) {
  Path found;
  for (const std::string& name : visible_names(folder)) {
    const auto parsed = parse_name(name);
    if (!parsed || parsed->prefix != prefix || parsed->what != what || !is_part(*parsed, split))
      continue;
    if (found.empty() || !parsed->gzipped) found = folder / name;
  }
  return found;
}

std::set<std::string> prefixes_in(const Path& folder) {
  std::set<std::string> prefixes;
  for (const std::string& name : visible_names(folder))
    if (const auto parsed = parse_name(name); parsed && parsed->what == "images")
      prefixes.insert(parsed->prefix);
  return prefixes;
}

void note_of(ImageDataset& data, const std::string& prefix, const Path& images,
             const Path& labels) {
  if (labels.empty())
    data.facts.notes.push_back(fmt::format("there are no labels beside {}", images.string()));
  if (prefix.find("emnist") != std::string::npos)
    data.facts.notes.push_back(
        "EMNIST stores its pictures with rows and columns exchanged; they are read as stored");
}

Result<ImageDataset> read_set(const Path& folder, const std::string& prefix, Split split) {
  const Path images = file_of(folder, prefix, split, "images");
  if (images.empty())
    return not_found("{}: {}{}-images-idx3-ubyte or .gz is missing", folder.string(), prefix,
                     split == Split::kTrain ? "train" : "t10k");
  const Path labels = file_of(folder, prefix, split, "labels");
  ITO_ASSIGN(ImageDataset data, read_idx(images, labels));
  data.facts.part = split == Split::kTrain ? "train" : "test";
  note_of(data, prefix, images, labels);
  return data;
}

}  // namespace

bool is_idx_folder(const Path& folder) { return !prefixes_in(folder).empty(); }

Result<ImageDataset> read_idx_folder(const Path& folder, Split split, const DatasetOptions&) {
  const std::set<std::string> prefixes = prefixes_in(folder);
  if (prefixes.size() > 1) {
    std::vector<std::string> names;
    for (const std::string& prefix : prefixes) names.push_back(prefix + "train-images");
    return invalid_argument("{} holds several data sets; give the file of images of one: {}",
                            folder.string(), listed(names, 12));
  }
  return read_set(folder, *prefixes.begin(), split);
}

// "…images-idx3…" names its labels and, by "train" or "t10k", its counterpart.
Result<ImageDataset> read_idx_file_set(const Path& images, Split split) {
  const auto name = parse_name(images.filename().string());
  if (!name || name->what != "images") {
    ITO_ASSIGN(ImageDataset data, read_idx(images, {}));
    data.facts.part = "all";
    return data;
  }
  const Path folder = images.parent_path().empty() ? Path(".") : images.parent_path();
  if (name->part == "train" && is_part(*name, split)) {
    const Path labels = file_of(folder, name->prefix, split, "labels");
    ITO_ASSIGN(ImageDataset data, read_idx(images, labels));
    data.facts.part = "train";
    note_of(data, name->prefix, images, labels);
    return data;
  }
  if (file_of(folder, name->prefix, split, "images").empty() || name->part != "train") {
    // A single file stands for itself.
    const Path labels =
        file_of(folder, name->prefix, is_part(*name, Split::kTrain) ? Split::kTrain : Split::kTest,
                "labels");
    ITO_ASSIGN(ImageDataset data, read_idx(images, labels));
    data.facts.part = "all";
    note_of(data, name->prefix, images, labels);
    return data;
  }
  return read_set(folder, name->prefix, split);
}

Result<ImageDataset> read_idx(const Path& images, const Path& labels) {
  ITO_ASSIGN(Idx idx, read_idx_file(images));
  if (idx.width != 1)
    return corrupt(
        "{}: magic number of 32-bit integers; expected 000008NN, an IDX file of unsigned "
        "bytes",
        images.string());
  if (idx.dims.size() == 1)
    return corrupt("{}: extents [{}] are no images but labels; expected a file of images",
                   images.string(), idx.dims[0]);
  ImageDataset data;
  ITO_TRY(set_extents(data, idx.dims, images.string()));
  data.pixels.assign(idx.bytes.begin() + static_cast<ptrdiff_t>(idx.offset), idx.bytes.end());
  data.facts.format = "IDX";
  if (labels.empty()) return data;
  ITO_ASSIGN(Idx list, read_idx_file(labels));
  const bool table = list.dims.size() == 2 && list.dims[1] >= 1;  // QMNIST: the class comes first
  if (list.dims.size() != 1 && !table)
    return corrupt("{}: extents {} are no labels; expected [count]", labels.string(),
                   Shape(list.dims).to_string());
  if (list.dims[0] != data.count)
    return corrupt("{}: {} labels, but {} has {} images", labels.string(), list.dims[0],
                   images.string(), data.count);
  data.labels.emplace();
  const size_t stride = list.width * static_cast<size_t>(table ? list.dims[1] : 1);
  for (size_t i = 0; i < static_cast<size_t>(data.count); ++i) {
    uint32_t value = 0;
    for (size_t b = 0; b < list.width; ++b)
      value = value << 8 | static_cast<unsigned char>(list.bytes[list.offset + i * stride + b]);
    if (value > 0x7fffffffu) return corrupt("{}: label {} is negative", labels.string(), i);
    data.labels->push_back(static_cast<int32_t>(value));
  }
  name_known_classes(data, images);
  return data;
}

}  // namespace ito
