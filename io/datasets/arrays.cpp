// Data sets as arrays: .npy, .npz (ours, Keras', MedMNIST's, those of metric tools) and
// .safetensors.
#include <algorithm>
#include <cctype>
#include <memory>
#include <set>

#include "base/error.h"
#include "io/datasets/array_values.h"
#include "io/datasets/picture_list.h"
#include "io/npy.h"
#include "io/safetensors.h"

namespace ito {
namespace {

struct ArrayNames {
  std::string images, labels, part;  // part: "train", "test", "val", or "all"
};
// In the order in which they are looked for, case aside: alone, or with a part before or behind.
constexpr std::string_view kImageNames[] = {"images", "x", "arr_0", "data", "image", "imgs"};
constexpr std::string_view kLabelNames[] = {"labels",  "y",      "classes", "label",
                                            "targets", "target", "class"};
constexpr std::string_view kLabelsOfFirst = "arr_1";  // of arr_0
struct PartRow {
  std::string_view name, part;
};
constexpr PartRow kParts[] = {
    {"train", "train"}, {"test", "test"}, {"val", "val"}, {"valid", "val"}, {"validation", "val"}};

std::string in_lower_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// The arrays of a file by name, read when they are asked for.
struct Arrays {
  std::string where;
  std::vector<std::string> names;
  std::function<Result<HostTensor>(std::string_view)> read;
  std::function<Result<NpyTexts>(std::string_view)> read_texts;  // null where there are none
  bool ours = false;                                             // written by `ito sample`

  bool has(std::string_view name) const {
    return std::find(names.begin(), names.end(), name) != names.end();
  }
  // The array of that name, whatever its case; empty without one.
  std::string called(std::string_view wanted) const {
    if (has(wanted)) return std::string(wanted);
    for (const std::string& name : names)
      if (in_lower_case(name) == wanted) return name;
    return {};
  }
};

Result<Arrays> open_arrays(const Path& path) {
  Arrays arrays;
  arrays.where = path.string();
  const std::string ending = path.extension().string();
  if (ending == ".safetensors") {
    ITO_ASSIGN(TensorFile file, read_safetensors(path));
    for (const auto& [name, tensor] : file.tensors) arrays.names.push_back(name);
    arrays.ours = file.metadata.contains("settings");
    auto shared = std::make_shared<TensorFile>(std::move(file));
    arrays.read = [shared, where = arrays.where](std::string_view name) -> Result<HostTensor> {
      ITO_ASSIGN(const HostTensor* tensor, find_tensor(*shared, std::string(name), where));
      return *tensor;
    };
    return arrays;
  }
  ITO_ASSIGN(NpzFile opened, NpzFile::open(path));
  auto file = std::make_shared<NpzFile>(std::move(opened));
  arrays.names = file->names();
  arrays.ours = file->has("seeds") && (file->has("images") || file->has("arr_0"));
  arrays.read = [file](std::string_view name) { return file->read(name); };
  arrays.read_texts = [file](std::string_view name) { return file->read_texts(name); };
  return arrays;
}

// Numbers of classes, or their names.
struct Labels {
  std::optional<HostTensor> numbers;
  NpyTexts names;

  int64_t count() const {
    const Shape& shape = numbers ? numbers->shape : names.shape;
    return shape.rank() > 0 ? shape[0] : -1;
  }
  // The classes, where they have names.
  std::vector<std::string> classes() const {
    return numbers ? std::vector<std::string>() : classes_of(names);
  }
};

Result<Labels> labels_of(Result<HostTensor> numbers,
                         const std::function<Result<NpyTexts>()>& read_texts) {
  if (numbers.ok()) return Labels{std::move(numbers).value(), {}};
  if (numbers.error().kind != ErrorKind::kUnsupported) return std::move(numbers).error();
  if (read_texts) {
    auto texts = read_texts();
    if (texts.ok()) return Labels{std::nullopt, std::move(texts).value()};
    if (texts.error().kind != ErrorKind::kUnsupported) return std::move(texts).error();
  }
  return unsupported("{}; labels are numbers or texts", numbers.error().message);
}

Result<Labels> read_labels(const Arrays& arrays, const std::string& name) {
  std::function<Result<NpyTexts>()> texts;
  if (arrays.read_texts) texts = [&] { return arrays.read_texts(name); };
  return labels_of(arrays.read(name), texts);
}

// Of a file of nothing but labels.
Result<Labels> read_label_file(const Path& path) {
  if (path.extension() == ".npy")
    return labels_of(read_npy(path), [&] { return read_npy_texts(path); });
  ITO_ASSIGN(const Arrays arrays, open_arrays(path));
  if (arrays.names.empty()) return corrupt("{}: there is no array in it", path.string());
  return read_labels(arrays, arrays.names[0]);
}

Status take(ImageDataset& data, const Labels& labels, const std::vector<std::string>& known,
            const std::string& where) {
  return labels.numbers ? take_labels(data, *labels.numbers, where)
                        : take_labels(data, labels.names, known, where);
}

std::string part_array(const Arrays& arrays, std::string_view part, std::string_view what) {
  const std::string before = arrays.called(fmt::format("{}_{}", part, what));
  return before.empty() ? arrays.called(fmt::format("{}_{}", what, part)) : before;
}

// The arrays that the split means; nothing where there are none. *parted: whether the file has
// parts.
std::optional<ArrayNames> names_for(const Arrays& arrays, Split split, bool* parted) {
  const auto first_of = [](std::span<const std::string_view> names, const auto& look) {
    std::string found;
    for (const std::string_view name : names)
      if (found.empty()) found = look(name);
    return found;
  };
  std::optional<ArrayNames> wanted;
  for (const PartRow& part : kParts) {
    const auto look = [&](std::string_view name) { return part_array(arrays, part.name, name); };
    const std::string images = first_of(kImageNames, look);
    if (images.empty()) continue;
    *parted = true;
    if ((part.part == "train") == (split == Split::kTrain) && !wanted)
      wanted = {images, first_of(kLabelNames, look), std::string(part.part)};
  }
  if (*parted) return wanted;
  const auto look = [&](std::string_view name) { return arrays.called(name); };
  const std::string images = first_of(kImageNames, look);
  if (images.empty()) return std::nullopt;
  std::string labels = first_of(kLabelNames, look);
  if (labels.empty() && images == "arr_0") labels = arrays.called(kLabelsOfFirst);
  return ArrayNames{images, labels, "all"};
}

// Says which arrays nobody looks at: not now, and not for the other part.
void note_unused(ImageDataset& data, const Arrays& arrays, const ArrayNames& used) {
  if (arrays.ours) return;
  const bool has_test =
      std::any_of(std::begin(kImageNames), std::end(kImageNames),
                  [&](std::string_view name) { return !part_array(arrays, "test", name).empty(); });
  const auto read_elsewhere = [&](const std::string& name) {
    return std::any_of(std::begin(kParts), std::end(kParts), [&](const PartRow& part) {
      return in_lower_case(name).find(part.name) != std::string::npos && part.part != used.part &&
             (part.part != "val" || !has_test);
    });
  };
  std::vector<std::string> unused;
  for (const std::string& name : arrays.names)
    if (name != used.images && name != used.labels && !read_elsewhere(name)) unused.push_back(name);
  if (unused.empty()) return;
  data.facts.notes.push_back(
      fmt::format("images are read from the array {}{}; not used: {}", used.images,
                  used.labels.empty() ? ", there are no labels" : ", labels from " + used.labels,
                  listed(unused)));
}

}  // namespace

Result<ImageDataset> read_array_dataset(const Path& path, Split split,
                                        const DatasetOptions& options) {
  if (path.extension() == ".npy") {
    ITO_ASSIGN(HostTensor images, read_npy(path));
    ITO_ASSIGN(ImageDataset data,
               dataset_from_tensor(std::move(images), options, false, -1, path.string()));
    data.facts.part = "all";
    return data;
  }
  ITO_ASSIGN(const Arrays arrays, open_arrays(path));
  bool parted = false;
  std::optional<ArrayNames> row = names_for(arrays, split, &parted);
  if (!row && parted)
    return not_found("{}: no array of {} images; there are {}", path.string(),
                     split == Split::kTrain ? "training" : "test", listed(arrays.names));
  if (!row && arrays.names.size() == 1) row = {arrays.names[0], "", "all"};
  if (!row)
    return not_found("{}: no array named images, x or arr_0; there are {}", path.string(),
                     arrays.names.empty() ? "none" : listed(arrays.names));
  ITO_ASSIGN(HostTensor images, arrays.read(row->images));
  std::optional<Labels> labels;
  std::vector<std::string> known;  // classes of the training images
  if (!row->labels.empty()) {
    ITO_ASSIGN(labels, read_labels(arrays, row->labels));
    const auto training = names_for(arrays, Split::kTrain, &parted);
    if (split == Split::kTest && !labels->numbers && training && !training->labels.empty()) {
      ITO_ASSIGN(const Labels trained, read_labels(arrays, training->labels));
      known = trained.classes();
    }
  }
  const int64_t count = labels ? labels->count() : -1;
  ITO_ASSIGN(ImageDataset data,
             dataset_from_tensor(std::move(images), options, arrays.ours && row->images == "images",
                                 count, path.string()));
  data.facts.part = row->part;
  if (labels) ITO_TRY(take(data, *labels, known, path.string()));
  note_unused(data, arrays, *row);
  name_known_classes(data, path);
  return data;
}

bool is_array_folder(const Path& folder) {
  int arrays = 0;
  for (const std::string& name : visible_names(folder)) {
    const std::string ending = Path(name).extension().string();
    arrays += ending == ".npz" || ending == ".npy" ? 1 : 0;
  }
  return arrays > 0 && !has_pictures(folder);
}

namespace {

// Whether they are the archives of `ito sample --form npz`: 00000.npz, 00001.npz, …
bool are_numbered(const std::vector<std::string>& files) {
  return std::all_of(files.begin(), files.end(), [](const std::string& name) {
    const std::string stem = Path(name).stem().string();
    return name.ends_with(".npz") && !stem.empty() &&
           stem.find_first_not_of("0123456789") == std::string::npos;
  });
}

// Gives both the classes of either. Error kInvalidArgument: one has names, the other has not.
Status join_names(ImageDataset& all, ImageDataset& part, const Path& path) {
  if (all.names.empty() || part.names.empty())
    return invalid_argument("{}: labels are {}, but those before are {}; expected one form",
                            path.string(), part.names.empty() ? "numbers" : "names",
                            all.names.empty() ? "numbers" : "names");
  std::set<std::string> both(all.names.begin(), all.names.end());
  both.insert(part.names.begin(), part.names.end());
  const std::vector<std::string> names = class_list(both, true);
  for (ImageDataset* data : {&all, &part}) {
    for (int32_t& label : *data->labels) {
      const std::string& name = data->names[static_cast<size_t>(label)];
      label = static_cast<int32_t>(std::find(names.begin(), names.end(), name) - names.begin());
    }
    data->names = names;
  }
  return {};
}

// Parts of one data set, one after another.
Result<ImageDataset> read_numbered(const Path& folder, const std::vector<std::string>& files,
                                   const DatasetOptions& options) {
  ITO_ASSIGN(ImageDataset all, read_array_dataset(folder / files[0], Split::kTrain, options));
  for (size_t k = 1; k < files.size(); ++k) {
    const Path path = folder / files[k];
    ITO_ASSIGN(ImageDataset part, read_array_dataset(path, Split::kTrain, options));
    if (part.h != all.h || part.w != all.w || part.c != all.c ||
        part.labels.has_value() != all.labels.has_value() ||
        part.floats.empty() != all.floats.empty())
      return corrupt("{}: images of {}x{}x{}{}, but {} has {}x{}x{}{}; expected one form",
                     path.string(), part.h, part.w, part.c, part.labels ? " with classes" : "",
                     files[0], all.h, all.w, all.c, all.labels ? " with classes" : "");
    if (part.names != all.names) {
      ITO_TRY(join_names(all, part, path));
    }
    all.count += part.count;
    all.pixels.insert(all.pixels.end(), part.pixels.begin(), part.pixels.end());
    all.floats.insert(all.floats.end(), part.floats.begin(), part.floats.end());
    if (all.labels) all.labels->insert(all.labels->end(), part.labels->begin(), part.labels->end());
    all.facts.least = std::min(all.facts.least, part.facts.least);
    all.facts.most = std::max(all.facts.most, part.facts.most);
    if (all.pixels.size() > kMaxDatasetBytes)
      return unsupported("{}: more than {} GB of pixels; give fewer archives", folder.string(),
                         kMaxDatasetBytes >> 30);
  }
  all.facts.part = "all";
  return all;
}

// With the first `from` in it as `to`.
std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

}  // namespace

// One file, or images and labels beside one another (Kuzushiji-49: k49-train-imgs.npz and
// k49-train-labels.npz).
Result<ImageDataset> read_array_folder(const Path& folder, Split split,
                                       const DatasetOptions& options) {
  std::vector<std::string> files;
  for (const std::string& name : visible_names(folder)) {
    const std::string ending = Path(name).extension().string();
    if (ending == ".npz" || ending == ".npy") files.push_back(name);
  }
  if (files.size() == 1) return read_array_dataset(folder / files[0], split, options);
  if (are_numbered(files)) return read_numbered(folder, files, options);
  const char* part = split == Split::kTrain ? "train" : "test";
  std::vector<std::string> images;
  for (const std::string& name : files)
    if (name.find(part) != std::string::npos &&
        (name.find("imgs") != std::string::npos || name.find("images") != std::string::npos ||
         name.starts_with("x_") || name.starts_with("X_")))
      images.push_back(name);
  if (images.size() != 1)
    return images.empty() && split == Split::kTest
               ? not_found("{}: no array of test images; there are {}", folder.string(),
                           listed(files))
               : invalid_argument("{} holds several arrays; give one of {}", folder.string(),
                                  listed(files));
  std::string labels = images[0];
  for (const auto& [from, to] : {std::pair<std::string_view, std::string_view>{"imgs", "labels"},
                                 {"images", "labels"},
                                 {"x_", "y_"},
                                 {"X_", "Y_"}}) {
    const size_t at = labels.find(from);
    if (at == std::string::npos) continue;
    labels.replace(at, from.size(), to);
    break;
  }
  ITO_ASSIGN(ImageDataset data, read_array_dataset(folder / images[0], split, options));
  data.facts.part = part;
  if (labels == images[0] || !file_exists(folder / labels)) {
    data.facts.notes.push_back(
        fmt::format("there are no labels beside {}", (folder / images[0]).string()));
    return data;
  }
  ITO_ASSIGN(const Labels found, read_label_file(folder / labels));
  std::vector<std::string> known;
  const std::string of_training = replaced(labels, part, "train");
  if (split == Split::kTest && !found.numbers && file_exists(folder / of_training)) {
    ITO_ASSIGN(const Labels trained, read_label_file(folder / of_training));
    known = trained.classes();
  }
  ITO_TRY(take(data, found, known, (folder / labels).string()));
  return data;
}

}  // namespace ito
