// Folders of arrays: which files hold images, which their labels, which part of the data set each
// is; and archives that are parts of one set. By the names that people give them: X_train.npy and
// y_train.npy, images.npy and labels.npy, train.npz and test.npz, k49-train-imgs.npz.
#include <algorithm>
#include <cctype>
#include <set>

#include "base/error.h"
#include "io/datasets/array_labels.h"
#include "io/datasets/manifest_files.h"
#include "io/datasets/part_names.h"
#include "io/datasets/picture_list.h"

namespace ito {
namespace {

enum class ArrayRole { kImages, kLabels, kUnsaid };

// What a file's name says.
struct ArrayFile {
  std::string name;  // in the folder
  ArrayRole role = ArrayRole::kUnsaid;
  DataPart part = DataPart::kAll;
  std::string family;  // what is left of the name: "k49" of k49-train-imgs.npz
};

// Weights are kept in .safetensors, too.
bool is_array(const Path& path) {
  const std::string ending = path.extension().string();
  return ending == ".npz" || ending == ".npy" || (ending == ".safetensors" && holds_images(path));
}

std::vector<std::string> arrays_in(const Path& folder) {
  return files_of_parts(folder, [&](const std::string& name) { return is_array(folder / name); });
}

bool says_images(const std::string& word) {
  return word == "img" || std::find(std::begin(kImageArrays), std::end(kImageArrays), word) !=
                              std::end(kImageArrays);
}

bool says_labels(const std::string& word) {
  return std::find(std::begin(kLabelArrays), std::end(kLabelArrays), word) !=
         std::end(kLabelArrays);
}

ArrayFile array_file(const std::string& name) {
  ArrayFile file;
  file.name = name;
  file.part = part_of_file(name);
  const std::string stem = Path(name).stem().string();
  std::string rest;
  for (const char c : stem)
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      rest += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  size_t from = 0;  // words follow each other in it
  const auto take_word = [&](const std::string& word) {
    const bool images = says_images(word), labels = says_labels(word);
    if (file.role == ArrayRole::kUnsaid && (images || labels))
      file.role = images ? ArrayRole::kImages : ArrayRole::kLabels;
    const bool said = images || labels || part_of_word(word) != DataPart::kAll;
    const size_t at = rest.find(word, from);
    if (at == std::string::npos) return;
    if (said) rest.erase(at, word.size());
    from = said ? at : at + word.size();
  };
  for (const std::string& word : words_of(stem)) {
    // "Xtrain" is "x" and "train".
    const bool joined = word.size() > 1 && (word[0] == 'x' || word[0] == 'y') &&
                        part_of_word(word.substr(1)) != DataPart::kAll;
    if (joined && file.part == DataPart::kAll) file.part = part_of_word(word.substr(1));
    take_word(joined ? word.substr(0, 1) : word);
    if (joined) take_word(word.substr(1));
  }
  file.family = rest;
  return file;
}

std::vector<std::string> names_in(const std::vector<ArrayFile>& files) {
  std::vector<std::string> names;
  for (const ArrayFile& file : files) names.push_back(file.name);
  return names;
}

// Whether they are parts of one set, as `ito sample --form npz` numbers them: 00000.npz, 00001.npz.
bool are_numbered(const std::vector<ArrayFile>& files) {
  const auto without_digits = [](std::string name) {
    std::erase_if(name, [](unsigned char c) { return std::isdigit(c) != 0; });
    return name;
  };
  return std::all_of(files.begin(), files.end(), [&](const ArrayFile& file) {
    return !file.name.ends_with(".npy") &&
           without_digits(file.name) == without_digits(files[0].name);
  });
}

// Gives both the classes of either. Error kInvalidArgument: one has names, the other has not.
Status join_names(ImageDataset& all, ImageDataset& part, const Path& path) {
  const bool numbers = called_by_number(all.names);
  if (numbers != called_by_number(part.names))
    return invalid_argument("{}: labels are {}, but those before are {}; expected one form",
                            path.string(), numbers ? "names" : "numbers",
                            numbers ? "numbers" : "names");
  if (numbers) {
    const int classes = std::max(all.num_classes(), part.num_classes());
    for (int k = static_cast<int>(all.names.size()); k < classes; ++k)
      all.names.push_back(std::to_string(k));
    return {};
  }
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
                                   const DatasetOptions& options, const KnownOfFile& known) {
  ITO_ASSIGN(ImageDataset all, read_array_file(folder / files[0], Split::kTrain, options, known));
  for (size_t k = 1; k < files.size(); ++k) {
    const Path path = folder / files[k];
    ITO_ASSIGN(ImageDataset part, read_array_file(path, Split::kTrain, options, known));
    if (part.h != all.h || part.w != all.w || part.c != all.c ||
        part.labels.has_value() != all.labels.has_value())
      return corrupt("{}: images of {}x{}x{}{}, but {} has {}x{}x{}{}; expected one form",
                     path.string(), part.h, part.w, part.c, part.labels ? " with classes" : "",
                     files[0], all.h, all.w, all.c, all.labels ? " with classes" : "");
    if (part.names != all.names) {
      ITO_TRY(join_names(all, part, path));
    }
    if (!part.floats.empty()) add_floats(all);
    if (!all.floats.empty()) add_floats(part);
    all.count += part.count;
    all.pixels.insert(all.pixels.end(), part.pixels.begin(), part.pixels.end());
    all.floats.insert(all.floats.end(), part.floats.begin(), part.floats.end());
    if (all.labels) all.labels->insert(all.labels->end(), part.labels->begin(), part.labels->end());
    all.facts.least = std::min(all.facts.least, part.facts.least);
    all.facts.most = std::max(all.facts.most, part.facts.most);
    std::vector<std::string>& notes = all.facts.notes;
    for (const std::string& note : part.facts.notes)
      if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(note);
    if (all.pixels.size() > kMaxDatasetBytes)
      return unsupported("{}: more than {} GB of pixels; give fewer archives", folder.string(),
                         kMaxDatasetBytes >> 30);
  }
  all.facts.part = "all";
  return all;
}

// The files of one part: one of images, or several archives that are numbered.
struct ArrayPart {
  DataPart part;
  std::vector<ArrayFile> images, labels;
};

class ArrayFiles {
 public:
  ArrayFiles(Path folder, std::vector<ArrayFile> files)
      : folder_(std::move(folder)), files_(std::move(files)) {}

  Result<ImageDataset> read(Split split, const DatasetOptions& options) const;

 private:
  ArrayPart part(DataPart name) const;
  Result<ArrayPart> part_of(Split split) const;
  Result<std::optional<ArrayFile>> label_file(const ArrayPart& part) const;
  // What the training images' labels have names for.
  Result<std::vector<std::string>> trained_classes() const;
  // Of the training images beside a part, or of all files of a part; nothing where it is of one.
  Result<std::optional<ArrayScale>> scale_of_files(const ArrayPart& part, Split split,
                                                   const DatasetOptions& options) const;
  void note_unused(ImageDataset& data) const;

  Path folder_;
  std::vector<ArrayFile> files_;
};

ArrayPart ArrayFiles::part(DataPart name) const {
  ArrayPart part{name, {}, {}};
  std::vector<ArrayFile> unsaid;
  for (const ArrayFile& file : files_) {
    if (file.part != name) continue;
    auto& among = file.role == ArrayRole::kImages   ? part.images
                  : file.role == ArrayRole::kLabels ? part.labels
                                                    : unsaid;
    among.push_back(file);
  }
  if (part.images.empty()) part.images = std::move(unsaid);
  return part;
}

Result<ArrayPart> ArrayFiles::part_of(Split split) const {
  const ArrayPart train = part(DataPart::kTrain), all = part(DataPart::kAll),
                  test = part(DataPart::kTest), val = part(DataPart::kValidation);
  const ArrayPart& tested = test.images.empty() ? val : test;
  ArrayPart chosen = split == Split::kTrain ? train : tested;
  if (chosen.images.empty() && split == Split::kTrain && all.images.empty() &&
      !tested.images.empty())
    return not_found("{}: there are only {} images in it; give {} itself to train on them",
                     folder_.string(), name_of(tested.part), tested.images[0].name);
  if (chosen.images.empty() && !all.images.empty() && train.images.empty()) chosen = all;
  if (chosen.images.empty())
    return not_found("{}: no array of {} images; there are {}", folder_.string(),
                     split == Split::kTrain ? "training" : "test", listed(names_in(files_)));
  if (chosen.images.size() > 1 && !are_numbered(chosen.images))
    return invalid_argument("{} holds several arrays; give one of {}", folder_.string(),
                            listed(names_in(chosen.images)));
  return chosen;
}

// Of the same part those that are called alike, or the only ones that there are.
Result<std::optional<ArrayFile>> ArrayFiles::label_file(const ArrayPart& part) const {
  std::vector<ArrayFile> alike, labels = part.labels;
  if (labels.empty() && part.part != DataPart::kAll &&
      std::none_of(files_.begin(), files_.end(), [&](const ArrayFile& file) {
        return file.role != ArrayRole::kLabels && file.part != part.part;
      }))
    labels = this->part(DataPart::kAll).labels;
  for (const ArrayFile& file : labels)
    if (file.family == part.images[0].family) alike.push_back(file);
  if (!alike.empty()) labels = alike;
  if (labels.size() > 1)
    return invalid_argument("{}: labels of {} could be those in {}; move the others away",
                            folder_.string(), part.images[0].name, listed(names_in(labels)));
  return labels.empty() ? std::optional<ArrayFile>() : std::optional<ArrayFile>(labels[0]);
}

Result<std::vector<std::string>> ArrayFiles::trained_classes() const {
  const ArrayPart train = part(DataPart::kTrain);
  if (train.images.size() != 1) return std::vector<std::string>();
  ITO_ASSIGN(std::vector<std::string> classes, training_classes_in(folder_ / train.images[0].name));
  if (!classes.empty()) return classes;
  ITO_ASSIGN(const std::optional<ArrayFile> file, label_file(train));
  if (!file) return classes;
  ITO_ASSIGN(const Labels labels, read_label_file(folder_ / file->name));
  return labels.classes();
}

Result<std::optional<ArrayScale>> ArrayFiles::scale_of_files(const ArrayPart& part, Split split,
                                                             const DatasetOptions& options) const {
  const ArrayPart train = this->part(DataPart::kTrain);
  const bool tested = split == Split::kTest && part.part != DataPart::kAll && !train.images.empty();
  const std::vector<ArrayFile>& files = tested ? train.images : part.images;
  if (!tested && files.size() == 1) return std::optional<ArrayScale>();
  std::optional<ArrayValues> all;
  for (const ArrayFile& file : files) {
    const Path path = folder_ / file.name;
    ITO_ASSIGN(const ArrayValues values, array_values_in(path, Split::kTrain));
    if (all && !of_one_kind(*all, values))
      return corrupt("{}: numbers of the type {}, but {} has {}; expected one type", path.string(),
                     host_type_name(values.type), files[0].name, host_type_name(all->type));
    all = all ? joined_values(*all, values) : values;
  }
  ITO_ASSIGN(ArrayScale scale, scale_of(*all, options, (folder_ / files[0].name).string()));
  return std::optional<ArrayScale>(std::move(scale));
}

// Labels in tables of text beside arrays are not read.
void note_label_tables(ImageDataset& data, const Path& folder) {
  constexpr std::string_view kTables[] = {".txt", ".csv", ".tsv", ".json", ".jsonl"};
  std::vector<std::string> tables;
  for (const std::string& name : visible_names(folder)) {
    const std::vector<std::string> words = words_of(Path(name).stem().string());
    const std::string ending = Path(name).extension().string();
    if (std::find(std::begin(kTables), std::end(kTables), ending) != std::end(kTables) &&
        std::any_of(words.begin(), words.end(), says_labels))
      tables.push_back(name);
  }
  if (!tables.empty())
    data.facts.notes.push_back(
        fmt::format("not read beside arrays: {}; their labels are an array, such as labels.npy",
                    listed(tables)));
}

void ArrayFiles::note_unused(ImageDataset& data) const {
  std::set<std::string> used;
  for (const Split split : {Split::kTrain, Split::kTest}) {
    const Result<ArrayPart> part = part_of(split);
    if (!part.ok()) continue;
    for (const ArrayFile& file : part->images) used.insert(file.name);
    const auto labels = label_file(*part);
    if (labels.ok() && *labels) used.insert((*labels)->name);
  }
  std::vector<std::string> unused;
  for (const ArrayFile& file : files_)
    if (!used.contains(file.name)) unused.push_back(file.name);
  if (!unused.empty())
    data.facts.notes.push_back(
        fmt::format("not used of the arrays in {}: {}", folder_.string(), listed(unused)));
}

Result<ImageDataset> ArrayFiles::read(Split split, const DatasetOptions& options) const {
  ITO_ASSIGN(const ArrayPart part, part_of(split));
  const Path images = folder_ / part.images[0].name;
  KnownOfFile known;
  if (split == Split::kTest && part.part != DataPart::kAll) {
    ITO_ASSIGN(known.classes, trained_classes());
  }
  ITO_ASSIGN(known.scale, scale_of_files(part, split, options));
  std::optional<ArrayFile> file;
  std::optional<Labels> labels;
  if (wants_classes(options.labels)) {
    ITO_ASSIGN(file, label_file(part));
  }
  if (file) {
    ITO_ASSIGN(labels, read_label_file(folder_ / file->name));
  }
  ImageDataset data;
  if (part.images.size() > 1) {
    ITO_ASSIGN(data, read_numbered(folder_, names_in(part.images), options, known));
    note_missing_archives(data, folder_);
  } else {
    if (labels) known.labels = labels->count();
    ITO_ASSIGN(data, read_array_file(images, split, options, known));
  }
  // Parts in the file itself go before what it is called.
  if (part.part != DataPart::kAll) data.facts.part = name_of(part.part);
  if (split == Split::kTrain) note_unused(data);
  if (!data.labels && wants_classes(options.labels)) {
    if (labels) {
      ITO_TRY(take(data, *labels, known.classes, (folder_ / file->name).string()));
    } else if (files_.size() > 1 && part.images.size() == 1) {
      data.facts.notes.push_back(fmt::format("there are no labels beside {}", images.string()));
    }
  }
  name_known_classes(data, images);
  return data;
}

std::vector<ArrayFile> array_files(const Path& folder) {
  std::vector<ArrayFile> files;
  for (const std::string& name : arrays_in(folder)) files.push_back(array_file(name));
  return files;
}

Result<ImageDataset> read_file_alone(const Path& path, Split split, const DatasetOptions& options) {
  ITO_ASSIGN(ImageDataset data, read_array_file(path, split, options));
  name_known_classes(data, path);
  return data;
}

}  // namespace

bool is_array_folder(const Path& folder) {
  return !arrays_in(folder).empty() && !has_pictures(folder);
}

Result<ImageDataset> read_array_folder(const Path& folder, Split split,
                                       const DatasetOptions& options) {
  const std::vector<ArrayFile> files = array_files(folder);
  ITO_ASSIGN(ImageDataset data, files.size() == 1
                                    ? read_file_alone(folder / files[0].name, split, options)
                                    : ArrayFiles(folder, files).read(split, options));
  if (!data.labels && wants_classes(options.labels)) note_label_tables(data, folder);
  return data;
}

// A file with what belongs to it: labels, and where it is the training part the test part, in files
// beside it that are called alike.
Result<ImageDataset> read_array_dataset(const Path& path, Split split,
                                        const DatasetOptions& options) {
  const std::string name = path.filename().string();
  const ArrayFile given = array_file(name);
  const bool alone = !is_array(path) || given.role == ArrayRole::kLabels ||
                     (!name.ends_with(".npy") && given.part == DataPart::kAll);
  if (alone) return read_file_alone(path, split, options);
  const Path folder = path.parent_path().empty() ? Path(".") : path.parent_path();
  std::vector<ArrayFile> files;
  for (const std::string& beside : visible_names(folder)) {
    if (folder_exists(folder / beside) || !is_array(folder / beside)) continue;
    const ArrayFile file = array_file(beside);
    const bool labels =
        file.role == ArrayRole::kLabels && (file.family == given.family || file.family.empty());
    const bool other = file.role != ArrayRole::kLabels && file.family == given.family &&
                       file.part != given.part && given.part == DataPart::kTrain &&
                       file.part != DataPart::kAll;
    if (beside == name || labels || other) files.push_back(file);
  }
  // A test part that is given is what is meant, whatever it is for.
  const DataPart part = given.part;
  const bool trains = part == DataPart::kTrain;
  if (!trains) {
    std::erase_if(files, [&](const ArrayFile& file) { return file.part != part; });
    for (ArrayFile& file : files) file.part = DataPart::kAll;
  } else if (split == Split::kTest &&
             std::none_of(files.begin(), files.end(), [](const ArrayFile& file) {
               return file.role != ArrayRole::kLabels && file.part != DataPart::kTrain;
             })) {
    std::erase_if(files, [](const ArrayFile& file) { return file.part != DataPart::kTrain; });
    for (ArrayFile& file : files) file.part = DataPart::kAll;
  }
  if (files.size() == 1) return read_file_alone(path, split, options);
  return ArrayFiles(folder, files).read(split, options);
}

}  // namespace ito
