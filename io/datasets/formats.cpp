// The table of formats, and how the one of a path is found: in the folder itself, or below it.
#include <algorithm>
#include <cctype>
#include <filesystem>

#include "base/error.h"
#include "io/compress.h"
#include "io/datasets/array_values.h"
#include "io/datasets/picture_list.h"
#include "io/diffusers.h"
#include "io/file_kind.h"

namespace ito {
namespace {

constexpr const char* kTakes =
    "ito train takes a folder of pictures, MNIST's IDX files, CIFAR's batches, arrays (.npy, .npz, "
    ".safetensors) or tar archives of pictures";
// What only a folder that `ito train` writes to has, both of them.
constexpr const char* kOfRuns[] = {"run.json", "metrics.jsonl"};
// Roots of torchvision hold a folder of the data set's name and in it "raw".
constexpr int kDepth = 3;
constexpr size_t kMostFolders = 2000;

const FolderFormat* format_of(const Path& folder) {
  for (const FolderFormat& format : folder_formats())
    if (format.is_here(folder)) return &format;
  return nullptr;
}

// Error kIo: a folder that cannot be looked into, which may hold anything.
Status find_below(const Path& folder, int depth, size_t& visited, std::vector<Path>& found) {
  if (depth == 0 || ++visited > kMostFolders) return {};
  for (const std::string& name : visible_names(folder)) {
    const Path inner = folder / name;
    if (!folder_exists(inner)) continue;
    ITO_TRY(check_reachable(inner));
    ITO_TRY(list_folder(inner));
    if (format_of(inner) != nullptr) {
      found.push_back(inner);
    } else {
      ITO_TRY(find_below(inner, depth - 1, visited, found));
    }
  }
  return {};
}

// A model and what training drew beside it are no images to train on.
Status check_is_no_model(const Path& folder) {
  const auto there = [&](const char* name) { return file_exists(folder / name); };
  if (std::all_of(std::begin(kOfRuns), std::end(kOfRuns), there))
    return invalid_argument(
        "{} is the folder of a run of ito train, no images; its model is what ito train --init "
        "begins with",
        folder.string());
  const std::optional<std::string> found = model_file_in(folder);
  if (!found) return {};
  return invalid_argument(
      "{} is a model's folder, it holds {}, and no images; a model is what ito train --init begins "
      "with",
      folder.string(), *found);
}

// Parts of a data set that cannot be looked into would be taken for absent.
Status check_parts_open(const Path& folder) {
  ITO_ASSIGN(const std::vector<std::string> names, list_folder(folder));
  for (const std::string& name : names) {
    if (part_of_name(name) == DataPart::kAll || !folder_exists(folder / name)) continue;
    ITO_TRY(check_reachable(folder / name));
    ITO_TRY(list_folder(folder / name));
  }
  return {};
}

// Two zero bytes, a type of numbers, how many extents.
bool has_idx_magic(std::string_view head) {
  return head.size() >= 4 && head[0] == 0 && head[1] == 0 && head[2] >= 8 && head[2] <= 14 &&
         head[3] >= 1 && head[3] <= 4;
}

Result<ImageDataset> open_file(const Path& path, Split split, const DatasetOptions& options) {
  ITO_ASSIGN(const std::string head, read_head(path, 4096));
  const FileKind kind = kind_of_bytes(head, path.filename().string());
  std::string packed;  // what a gzip file begins with
  switch (kind) {
    case FileKind::kNpy:
    case FileKind::kNpz:
    case FileKind::kSafetensors:
      return read_array_dataset(path, split, options);
    case FileKind::kTar:
      return read_picture_tars(path, split, options);
    case FileKind::kGzip:
      packed = inflated_head(head, Compression::kGzip, kFileKindBytes);
      if (const FileKind inner = kind_of_bytes(packed, path.stem().string());
          inner != FileKind::kTar && inner != FileKind::kUnknown && inner != FileKind::kEmpty)
        return invalid_argument("{} is {} packed by gzip, unpack it first: gunzip; {}",
                                path.string(), kind_name(inner), kTakes);
      else if (inner == FileKind::kTar)
        return invalid_argument(
            "{} is a tar archive packed by gzip, unpack it first: tar -xzf makes the folder, "
            "gunzip the "
            "archive",
            path.string());
      [[fallthrough]];
    case FileKind::kUnknown:
    case FileKind::kZeros:
    case FileKind::kEmpty: {
      if (is_cifar_batch_name(path.filename().string())) {
        ITO_ASSIGN(ImageDataset data, read_cifar10({path}));
        data.facts.part = "all";
        return data;
      }
      if (path.filename().string().find("idx") != std::string::npos ||
          has_idx_magic(kind == FileKind::kGzip ? packed : head) ||
          (kind == FileKind::kGzip && packed.empty()))
        return read_idx_file_set(path, split);
      const std::string name(kind_name(kind));
      return invalid_argument("{} is {}; {}", path.string(),
                              kind == FileKind::kUnknown || kind == FileKind::kGzip
                                  ? "no kind of file that Ito reads"
                                  : name,
                              kTakes);
    }
    case FileKind::kPickle:
      if (is_cifar_batch_name(path.filename().string()) || is_cifar_pickle(path.parent_path()))
        return invalid_argument("{} is one of several batches; give the folder that it lies in",
                                path.string());
      [[fallthrough]];
    default:
      if (is_picture(kind))
        return invalid_argument("{} is a single picture; give the folder that it lies in",
                                path.string());
      return invalid_argument("{} is {}; {}", path.string(), kind_name(kind), kTakes);
  }
}

bool are_pictures(const ImageDataset& data) {
  const std::string& format = data.facts.format;
  return format == kPictureFormat || format == kTarFormat || format == kTarsFormat;
}

// What --labels asks for goes with the format.
Status check_label_source(const ImageDataset& data, LabelSource source, const Path& path) {
  if (!insists(source) || are_pictures(data)) return {};
  for (const LabelSourceRow& row : label_sources())
    if (row.source == source)
      return invalid_argument("--labels {} is for pictures; {} holds {}", row.name.name,
                              path.string(), data.facts.format);
  return {};
}

// So does what says how pictures are decoded and kept; a background is also what --pad surrounds
// images of any format with.
Status check_for_pictures(const ImageDataset& data, const DatasetOptions& options,
                          const Path& path) {
  if (are_pictures(data)) return {};
  const char* option = !options.reading.cache.empty()                          ? "--cache"
                       : options.reading.memory                                ? "--memory"
                       : !options.pad && !(options.background == Background{}) ? "--background"
                                                                               : nullptr;
  if (option == nullptr) return {};
  return invalid_argument("{} is for pictures; {} holds {}", option, path.string(),
                          data.facts.format);
}

Status check_labels(ImageDataset& data) {
  if (!data.labels) return {};
  std::vector<std::string> without;
  const std::vector<int64_t> counts = data.class_counts();
  for (size_t k = 0; k < counts.size(); ++k)
    if (counts[k] == 0) without.push_back(data.class_name(static_cast<int>(k)));
  if (!without.empty())
    data.facts.notes.push_back(fmt::format("{} of {} classes {} no images: {}", without.size(),
                                           counts.size(), without.size() == 1 ? "has" : "have",
                                           listed(without)));
  return {};
}

Result<ImageDataset> open_any(const Path& path, Split split, const DatasetOptions& options) {
  ITO_TRY(check_reachable(path));
  if (!folder_exists(path)) {
    if (!file_exists(path))
      return not_found(
          "there is no file or folder {}; a data set of a hub or an address has to be "
          "downloaded first",
          path.string());
    ITO_ASSIGN(ImageDataset data, open_file(path, split, options));
    data.facts.from = path;
    return data;
  }
  ITO_TRY(check_is_no_model(path));
  ITO_TRY(check_parts_open(path));
  Path folder = path;
  const FolderFormat* format = format_of(folder);
  if (format == nullptr) {
    const bool pictures = has_pictures(folder);
    std::vector<Path> found;
    size_t visited = 0;
    ITO_TRY(find_below(folder, kDepth, visited, found));
    // Arrays beside pictures are somebody's features or boxes; MNIST beside a picture may be meant.
    if (pictures)
      std::erase_if(found,
                    [](const Path& inner) { return format_of(inner)->read == read_array_folder; });
    std::vector<std::string> names;
    for (const Path& inner : found) names.push_back(inner.string());
    if (pictures && !found.empty())
      return invalid_argument(
          "{} holds pictures, and data sets of other forms in {}; give the folder of one of them",
          path.string(), listed(names));
    if (found.size() > 1)
      return invalid_argument("{} holds several data sets; give one of {}", path.string(),
                              listed(names));
    if (found.size() == 1) {
      folder = found[0];
      format = format_of(folder);
    }
  }
  if (format != nullptr) {
    ITO_ASSIGN(ImageDataset data, format->read(folder, split, options));
    data.facts.from = folder;
    return data;
  }
  return read_picture_folder(path, split, options);
}

}  // namespace

std::span<const FolderFormat> folder_formats() {
  static constexpr FolderFormat kFormats[] = {
      {{"IDX", "MNIST and its relatives", "yann.lecun.com/exdb/mnist", ""},
       is_idx_folder,
       read_idx_folder},
      {{"CIFAR-10", "binary version", "Krizhevsky 2009", ""},
       is_cifar10_binary,
       read_cifar10_binary},
      {{"CIFAR-100", "binary version", "Krizhevsky 2009", ""},
       is_cifar100_binary,
       read_cifar100_binary},
      {{"CIFAR pickles", "the Python version of CIFAR-10 and CIFAR-100", "Krizhevsky 2009", ""},
       is_cifar_pickle,
       read_cifar_pickle},
      {{"arrays", "one .npz, .npy or .safetensors file, or one each of images and labels",
        "numpy.lib.format", ""},
       is_array_folder,
       read_array_folder},
      {{"tar archives", "pictures and their classes", "WebDataset", ""},
       is_tar_folder,
       read_tar_folder}};
  return kFormats;
}

std::vector<Name> data_set_formats() {
  std::vector<Name> names = names_of(folder_formats());
  names.push_back({"pictures",
                   "a folder of them, or one in it for each class, or with train/ and test/",
                   "torchvision's ImageFolder", ""});
  return names;
}

bool is_hidden(const std::string& name) {
  return name.starts_with(".") || name == "__MACOSX" || name == "Thumbs.db" ||
         name == "desktop.ini" || name == "Icon\r" || name == "@eaDir" || name == "lost+found";
}

std::vector<std::string> visible_names(const Path& folder) {
  const auto names = list_folder(folder);
  std::vector<std::string> visible;
  if (names.ok())
    for (const std::string& name : *names)
      if (!is_hidden(name)) visible.push_back(name);
  return visible;
}

namespace {

// What a cache keeps would be taken for files of the data set, but under a hidden name.
Status check_cache_place(const Path& data, const Path& cache) {
  std::error_code error;
  const Path inner = std::filesystem::weakly_canonical(cache, error);
  const Path relative = inner.lexically_relative(std::filesystem::weakly_canonical(data, error));
  if (error || cache.empty() || relative.empty() || *relative.begin() == "..") return {};
  if (std::any_of(relative.begin(), relative.end(),
                  [](const Path& name) { return name != "." && is_hidden(name.string()); }))
    return {};
  return invalid_argument("--cache {} lies in {}, where the images are; choose another folder",
                          cache.string(), data.string());
}

}  // namespace

Result<ImageDataset> open_dataset(const Path& path, Split split, const DatasetOptions& options) {
  ITO_TRY(check_cache_place(path, options.reading.cache));
  ITO_ASSIGN(ImageDataset data, open_any(path, split, options));
  if (data.facts.most == 0 && data.facts.least == 0 && !data.pixels.empty()) {
    const auto [least, most] = std::minmax_element(data.pixels.begin(), data.pixels.end());
    data.facts.least = *least;
    data.facts.most = *most;
  }
  if (asks_for_range(options) && data.facts.format != kArrayFormat)
    return invalid_argument("--range is for arrays of numbers; {} holds {}", path.string(),
                            data.facts.format);
  ITO_TRY(check_label_source(data, options.labels, path));
  ITO_TRY(check_for_pictures(data, options, path));
  if (!wants_classes(options.labels)) {
    data.labels.reset();
    data.names.clear();
  }
  if (data.facts.least == data.facts.most && data.count > 1)
    data.facts.notes.push_back("all pixels of all images have one value");
  if (options.width > 0 && data.c != 1 && data.c != 3)
    return unsupported("{}: --resize takes images of 1 or 3 channels, found {}", path.string(),
                       data.c);
  data = fitted(std::move(data), options);
  // Pictures have been read so; what lies in arrays is grey or not.
  if (options.channels == 3 && data.c == 1) make_coloured(data);
  ITO_TRY(check_labels(data));
  return data;
}

Result<std::optional<ImageDataset>> open_test_images(const Path& path,
                                                     const DatasetOptions& options) {
  auto data = open_dataset(path, Split::kTest, options);
  if (!data.ok()) {
    if (data.error().kind == ErrorKind::kNotFound) return std::optional<ImageDataset>();
    return std::move(data).error();
  }
  if (data->facts.part == "all") return std::optional<ImageDataset>();
  return std::optional<ImageDataset>(std::move(data).value());
}

}  // namespace ito
