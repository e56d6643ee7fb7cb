// Data sets as arrays: .npy, .npz (ours, Keras', MedMNIST's, those of metric tools) and
// .safetensors.
#include <algorithm>
#include <cctype>
#include <memory>
#include <set>

#include "base/error.h"
#include "io/class_names.h"
#include "io/datasets/array_labels.h"
#include "io/datasets/picture_list.h"
#include "io/json.h"
#include "io/npy.h"
#include "io/safetensors.h"

namespace ito {
namespace {

struct ArrayNames {
  std::string images, labels, part;  // part: "train", "test", "val", or "all"
};
// Alone, or with a part before or behind.
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
  std::vector<std::string> class_names;  // by number, where the file has them

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

// What samples say of themselves in a file whose arrays are numbers only.
std::vector<std::string> names_in_settings(const std::string& settings) {
  std::vector<std::string> names;
  const auto json = parse_json(settings, "");
  if (!json.ok() || !json->is_object()) return names;
  for (const Json& name : json->value(kClassNames, Json::array())) {
    if (!name.is_string()) return {};
    names.push_back(name);
  }
  return names;
}

Result<Arrays> open_arrays(const Path& path) {
  Arrays arrays;
  arrays.where = path.string();
  const std::string ending = path.extension().string();
  if (ending == ".safetensors") {
    ITO_ASSIGN(TensorFile file, read_safetensors(path));
    for (const auto& [name, tensor] : file.tensors) arrays.names.push_back(name);
    if (const auto settings = file.metadata.find("settings"); settings != file.metadata.end()) {
      arrays.ours = true;
      arrays.class_names = names_in_settings(settings->second);
    }
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
  if (file->has(kClassNames))
    if (auto names = file->read_texts(kClassNames); names.ok() && names->shape.rank() == 1)
      arrays.class_names = std::move(names->texts);
  return arrays;
}

Result<Labels> read_labels(const Arrays& arrays, const std::string& name) {
  std::function<Result<NpyTexts>()> texts;
  if (arrays.read_texts) texts = [&] { return arrays.read_texts(name); };
  return labels_of(arrays.read(name), texts);
}

std::string part_array(const Arrays& arrays, std::string_view part, std::string_view what) {
  std::string found;
  for (const std::string& name :
       {fmt::format("{}_{}", part, what), fmt::format("{}_{}", what, part),
        fmt::format("{}{}", part, what), fmt::format("{}{}", what, part)})
    if (found.empty()) found = arrays.called(name);
  return found;
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
    const std::string images = first_of(kImageArrays, look);
    if (images.empty()) continue;
    *parted = true;
    if ((part.part == "train") == (split == Split::kTrain) && !wanted)
      wanted = {images, first_of(kLabelArrays, look), std::string(part.part)};
  }
  if (*parted) return wanted;
  const auto look = [&](std::string_view name) { return arrays.called(name); };
  const std::string images = first_of(kImageArrays, look);
  if (images.empty()) return std::nullopt;
  std::string labels = first_of(kLabelArrays, look);
  if (labels.empty() && images == "arr_0") labels = arrays.called(kLabelsOfFirst);
  return ArrayNames{images, labels, "all"};
}

// Error kNotFound: none that could be meant.
Result<ArrayNames> arrays_meant(const Arrays& arrays, Split split) {
  bool parted = false;
  const std::optional<ArrayNames> row = names_for(arrays, split, &parted);
  if (row) return *row;
  if (parted)
    return not_found("{}: no array of {} images; there are {}", arrays.where,
                     split == Split::kTrain ? "training" : "test", listed(arrays.names));
  if (arrays.names.size() == 1) return ArrayNames{arrays.names[0], "", "all"};
  return not_found("{}: no array named images, x or arr_0; there are {}", arrays.where,
                   arrays.names.empty() ? "none" : listed(arrays.names));
}

// Those of the training images, if the file has such beside `row`.
std::optional<ArrayNames> trained_beside(const Arrays& arrays, const ArrayNames& row) {
  bool parted = false;
  const std::optional<ArrayNames> training = names_for(arrays, Split::kTrain, &parted);
  return parted && training && training->images != row.images ? training : std::nullopt;
}

bool are_ours(const Arrays& arrays, const ArrayNames& row) {
  return arrays.ours && row.images == "images";
}

// The scale of the training images, which holds for all parts where the numbers are of its kind.
Result<ArrayScale> scale_for(const ArrayValues& values, const std::optional<ArrayScale>& trained,
                             const DatasetOptions& options, const std::string& where) {
  const bool alike = trained && of_one_kind(values, trained->of);
  if (alike && (!values.ours || trained->black < 0)) return *trained;
  ITO_ASSIGN(ArrayScale scale, scale_of(values, options, where));
  if (trained && !alike)
    scale.notes.push_back(fmt::format(
        "the numbers are of the type {}, those of the training images {}: each have a range of "
        "their own",
        host_type_name(values.type), host_type_name(trained->of.type)));
  return scale;
}

// Gives classes that are numbers the file's names for them. Names that are not one for each, all
// different, are none, which is said.
void name_classes(ImageDataset& data, const Arrays& arrays) {
  const std::vector<std::string>& names = arrays.class_names;
  if (names.empty() || !data.labels || !called_by_number(data.names)) return;
  const std::set<std::string> different(names.begin(), names.end());
  const auto classes = static_cast<size_t>(data.num_classes());
  if (names.size() >= classes && different.size() == names.size() && !different.contains("")) {
    data.names = names;
    return;
  }
  data.facts.notes.push_back(
      fmt::format("{} has {} names, {} of them different, of {} classes, so that these have none",
                  kClassNames, names.size(), different.size(), classes));
}

// Says which arrays nobody looks at: not now, and not for the other part.
void note_unused(ImageDataset& data, const Arrays& arrays, const ArrayNames& used) {
  if (arrays.ours) return;
  const bool has_test =
      std::any_of(std::begin(kImageArrays), std::end(kImageArrays),
                  [&](std::string_view name) { return !part_array(arrays, "test", name).empty(); });
  const auto read_elsewhere = [&](const std::string& name) {
    return std::any_of(std::begin(kParts), std::end(kParts), [&](const PartRow& part) {
      return in_lower_case(name).find(part.name) != std::string::npos && part.part != used.part &&
             (part.part != "val" || !has_test);
    });
  };
  std::vector<std::string> unused;
  for (const std::string& name : arrays.names)
    if (name != used.images && name != used.labels && !read_elsewhere(name) &&
        (name != kClassNames || arrays.class_names.empty()))
      unused.push_back(name);
  if (unused.empty()) return;
  data.facts.notes.push_back(
      fmt::format("images are read from the array {}{}; not used: {}", used.images,
                  used.labels.empty() ? ", there are no labels" : ", labels from " + used.labels,
                  listed(unused)));
}

}  // namespace

Result<std::vector<std::string>> training_classes_in(const Path& path) {
  std::vector<std::string> none;
  if (path.extension() == ".npy") return none;
  ITO_ASSIGN(const Arrays arrays, open_arrays(path));
  bool parted = false;
  const auto training = names_for(arrays, Split::kTrain, &parted);
  if (!training || training->labels.empty()) return none;
  ITO_ASSIGN(const Labels labels, read_labels(arrays, training->labels));
  return labels.classes();
}

bool holds_images(const Path& path) {
  const auto arrays = open_arrays(path);
  if (!arrays.ok()) return false;
  bool parted = false;
  return names_for(*arrays, Split::kTrain, &parted).has_value() || parted;
}

Result<ArrayValues> array_values_in(const Path& path, Split split) {
  if (path.extension() == ".npy") {
    ITO_ASSIGN(const HostTensor images, read_npy(path));
    return values_of(images, false, path.string());
  }
  ITO_ASSIGN(const Arrays arrays, open_arrays(path));
  ITO_ASSIGN(const ArrayNames row, arrays_meant(arrays, split));
  ITO_ASSIGN(const HostTensor images, arrays.read(row.images));
  return values_of(images, are_ours(arrays, row), path.string());
}

Result<ImageDataset> read_array_file(const Path& path, Split split, const DatasetOptions& options,
                                     const KnownOfFile& known) {
  const std::string where = path.string();
  if (path.extension() == ".npy") {
    ITO_ASSIGN(HostTensor images, read_npy(path));
    ITO_ASSIGN(const ArrayValues values, values_of(images, false, where));
    ITO_ASSIGN(const ArrayScale scale, scale_for(values, known.scale, options, where));
    ITO_ASSIGN(ImageDataset data,
               dataset_from_tensor(std::move(images), scale, false, known.labels, where));
    data.facts.part = "all";
    return data;
  }
  ITO_ASSIGN(const Arrays arrays, open_arrays(path));
  ITO_ASSIGN(ArrayNames row, arrays_meant(arrays, split));
  const std::optional<ArrayNames> training =
      split == Split::kTest ? trained_beside(arrays, row) : std::nullopt;
  ITO_ASSIGN(HostTensor images, arrays.read(row.images));
  std::optional<Labels> labels;
  std::vector<std::string> classes = known.classes;
  if (!wants_classes(options.labels)) row.labels.clear();
  if (!row.labels.empty()) {
    ITO_ASSIGN(labels, read_labels(arrays, row.labels));
    if (classes.empty() && !labels->numbers && training && !training->labels.empty()) {
      ITO_ASSIGN(const Labels trained, read_labels(arrays, training->labels));
      classes = trained.classes();
    }
  }
  std::optional<ArrayScale> trained = known.scale;
  if (!trained && training) {
    ITO_ASSIGN(const HostTensor others, arrays.read(training->images));
    ITO_ASSIGN(const ArrayValues values, values_of(others, are_ours(arrays, *training), where));
    ITO_ASSIGN(trained, scale_of(values, options, where));
  }
  const bool ours = are_ours(arrays, row);
  ITO_ASSIGN(const ArrayValues values, values_of(images, ours, where));
  ITO_ASSIGN(const ArrayScale scale, scale_for(values, trained, options, where));
  ITO_ASSIGN(ImageDataset data,
             dataset_from_tensor(std::move(images), scale, ours,
                                 labels ? labels->count() : known.labels, where));
  data.facts.part = row.part;
  if (labels) ITO_TRY(take(data, *labels, classes, where));
  name_classes(data, arrays);
  note_unused(data, arrays, row);
  return data;
}

}  // namespace ito
