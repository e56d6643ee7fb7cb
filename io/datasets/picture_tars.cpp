// Pictures in tar archives, WebDataset's, those of `ito sample --form tar`, or a packed folder:
// files of one sample share their name up to the first dot; NAME.png (or another picture), NAME.cls
// with its class, or NAME.json that says it, or else the folder in the archive. Parts are told by
// the archives' names, by the folders that these lie in, or by folders in them.
#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "io/datasets/manifest_files.h"
#include "io/datasets/part_names.h"
#include "io/datasets/picture_survey.h"
#include "io/datasets/picture_walk.h"
#include "io/tar.h"

namespace ito {
namespace {

bool is_tar_name(const std::string& name) { return Path(name).extension() == ".tar"; }

struct TarSample {
  std::optional<PictureList::Entry> picture;
  std::optional<std::string> label;  // of NAME.cls
  std::optional<std::string> said;   // in NAME.json, for samples without NAME.cls
  std::string name;                  // of the class, as `ito sample` writes it in NAME.json
  std::vector<std::string> folders;  // in the archive, the outermost first
};

std::string trimmed(std::string_view text) {
  const auto is_space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  return std::string(text);
}

// Up to the first dot behind the last slash, and what stands behind it.
std::pair<std::string, std::string> stem_and_ending(const std::string& name) {
  const size_t slash = name.rfind('/');
  const size_t dot = name.find('.', slash == std::string::npos ? 0 : slash + 1);
  if (dot == std::string::npos) return {name, ""};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

std::vector<std::string> folders_of(const std::string& name) {
  std::vector<std::string> folders;
  for (const Path& part : Path(name).parent_path())
    if (part != "." && part != "/" && !part.empty()) folders.push_back(part.string());
  return folders;
}

// What NAME.json says in a key that labels are called by; nothing where it has none.
std::optional<std::string> class_in_json(std::string_view text) {
  const auto json = parse_json(text, "");
  if (!json.ok() || !json->is_object()) return std::nullopt;
  for (const char* key : {"label", "class", "cls"}) {
    const auto found = json->find(key);
    if (found == json->end()) continue;
    if (found->is_string() && !found->get_ref<const std::string&>().empty())
      return found->get<std::string>();
    if (found->is_number_integer()) return found->dump();
  }
  return std::nullopt;
}

using TarLeftOut = std::map<std::string, int64_t>;
constexpr const char* kTableInArchive = "a table in an archive";

Status list_archive(const Path& path, std::vector<TarSample>& out, TarLeftOut& left_out) {
  ITO_ASSIGN(const MappedFile file, MappedFile::open(path));
  std::vector<std::string> others;
  ITO_ASSIGN(const std::vector<TarEntry> entries, parse_tar(file.bytes(), path.string(), &others));
  if (!others.empty())
    left_out["no plain file, but a link or a device"] += static_cast<int64_t>(others.size());
  std::map<std::string, TarSample> samples;
  for (const TarEntry& entry : entries) {
    const std::string base = Path(entry.name).filename().string();
    if (is_hidden(base)) continue;
    const auto [stem, ending] = stem_and_ending(entry.name);
    if (is_class_table(base)) {
      ++left_out[kTableInArchive];
      continue;
    }
    TarSample& sample = samples[stem];
    if (ending == "cls" || ending == "cls.txt") {
      sample.label = trimmed(entry.content);
      if (sample.label->empty())
        return corrupt(
            "{}: {} is empty, expected a class; --labels none takes all, without classes",
            path.string(), entry.name);
    } else if (ending == "json") {
      sample.name = class_name_of_sample(entry.content);
      sample.said = class_in_json(entry.content);
    } else if (picture_format_of_ending(ending.substr(ending.rfind('.') + 1)) == nullptr) {
      ++left_out[why_left_out(base)];
    } else if (sample.picture) {
      return invalid_argument("{}: {} and {} are two pictures of one sample; expected one",
                              path.string(), sample.picture->inside, entry.name);
    } else {
      const auto offset = static_cast<uint64_t>(entry.content.data() - file.bytes().data());
      sample.picture = {path, 0, entry.name, offset, entry.content.size()};
      sample.folders = folders_of(entry.name);
    }
  }
  for (auto& [stem, sample] : samples)
    if (sample.picture) out.push_back(std::move(sample));
  return {};
}

// Samples by the part that they are of.
struct TarParts {
  std::map<DataPart, std::vector<TarSample>> samples;  // of kAll, or of the others
  std::vector<std::string> beside;                     // what is of none of them
  TarLeftOut left_out;

  const std::vector<TarSample>& of(DataPart part) const {
    static const std::vector<TarSample> kNone;
    const auto found = samples.find(part);
    return found == samples.end() ? kNone : found->second;
  }
  bool parted() const {
    return !of(DataPart::kTrain).empty() &&
           !(of(DataPart::kTest).empty() && of(DataPart::kValidation).empty());
  }
};

// The folder that holds all of them; empty if there is none.
std::string folder_of_all(const std::vector<TarSample*>& samples) {
  const bool one = std::all_of(samples.begin(), samples.end(), [&](const TarSample* sample) {
    return !sample->folders.empty() && !samples[0]->folders.empty() &&
           sample->folders[0] == samples[0]->folders[0];
  });
  return one && !samples.empty() ? samples[0]->folders[0] : std::string();
}

void take_off_folder(const std::vector<TarSample*>& samples) {
  for (TarSample* sample : samples) sample->folders.erase(sample->folders.begin());
}

// One folder that holds everything, of all parts together, is neither a part nor a class; nor is
// one that a part is called by.
void take_off_wrappers(TarParts& parts) {
  std::vector<TarSample*> all;
  for (auto& [part, samples] : parts.samples) {
    std::vector<TarSample*> of_part;
    for (TarSample& sample : samples) of_part.push_back(&sample);
    all.insert(all.end(), of_part.begin(), of_part.end());
    const std::string folder = folder_of_all(of_part);
    if (parts.samples.size() > 1 && part_of_word(words_of(folder)[0]) == part)
      take_off_folder(of_part);
  }
  while (!folder_of_all(all).empty()) take_off_folder(all);
}

// Of archives whose names say nothing: the folders train and test (or val) in them.
void part_by_folders(TarParts& parts) {
  take_off_wrappers(parts);
  std::vector<TarSample>& all = parts.samples[DataPart::kAll];
  const auto part_in = [](const TarSample& sample) {
    return sample.folders.empty() ? DataPart::kAll : part_of_name(sample.folders[0]);
  };
  const auto has = [&](DataPart part) {
    return std::any_of(all.begin(), all.end(),
                       [&](const TarSample& sample) { return part_in(sample) == part; });
  };
  if (!has(DataPart::kTrain) || !(has(DataPart::kTest) || has(DataPart::kValidation))) return;
  std::map<DataPart, std::vector<TarSample>> sorted;
  std::set<std::string> beside;
  for (TarSample& sample : all) {
    const DataPart part = part_in(sample);
    if (part == DataPart::kAll) {
      beside.insert(sample.folders.empty() ? sample.picture->inside : sample.folders[0]);
      continue;
    }
    sample.folders.erase(sample.folders.begin());
    sorted[part].push_back(std::move(sample));
  }
  parts.samples = std::move(sorted);
  parts.beside.assign(beside.begin(), beside.end());
}

// `archives`: below `folder`.
Result<TarParts> parts_of_archives(const Path& folder, const std::vector<std::string>& archives) {
  std::map<DataPart, std::vector<std::string>> named;
  for (const std::string& archive : archives) named[part_of_file(archive)].push_back(archive);
  const bool parted = named.contains(DataPart::kTrain) &&
                      (named.contains(DataPart::kTest) || named.contains(DataPart::kValidation));
  TarParts parts;
  for (const std::string& archive : archives) {
    const DataPart part = parted ? part_of_file(archive) : DataPart::kAll;
    if (parted && part == DataPart::kAll) {
      parts.beside.push_back(archive);
      continue;
    }
    ITO_TRY(list_archive(folder / archive, parts.samples[part], parts.left_out));
  }
  if (!parted) part_by_folders(parts);
  take_off_wrappers(parts);
  return parts;
}

// Classes by NAME.cls, where all have it, else by the folders in the archive, if there are any.
Status label_tar_samples(PictureList& list, std::span<const TarSample> samples, LabelSource source,
                         const PictureList* of_training) {
  if (!wants_classes(source) || (of_training != nullptr && !of_training->labelled)) return {};
  const auto count = [&](const auto& has) {
    return std::count_if(samples.begin(), samples.end(), has);
  };
  const auto all = static_cast<int64_t>(samples.size());
  const auto told = count([](const TarSample& sample) { return sample.label.has_value(); });
  const auto in_folders = count([](const TarSample& sample) { return !sample.folders.empty(); });
  const bool by_folders = insists_on_folders(source);
  const bool may_be_folders = by_folders || !insists(source);
  std::vector<std::string> names;
  const auto named = count([](const TarSample& sample) { return !sample.name.empty(); });
  if (told == all && named == all && !by_folders) {
    for (const TarSample& sample : samples) names.push_back(sample.name);
    return label_by_names(list, names, false, {}, of_training);
  }
  if (told == all && !by_folders) {
    for (const TarSample& sample : samples) names.push_back(*sample.label);
    return label_by_names(list, names, true, {}, of_training);
  }
  const auto said = count([](const TarSample& sample) { return sample.said.has_value(); });
  if (told == 0 && said == all && !by_folders) {
    for (const TarSample& sample : samples) names.push_back(*sample.said);
    list.notes.push_back(
        "the classes are those in the archives' NAME.json; --labels none takes all, without "
        "classes");
    return label_by_names(list, names, true, {}, of_training);
  }
  if (told > 0 && !by_folders)
    return corrupt(
        "{}: {} of {} pictures have no class (NAME.cls); --labels none takes all, without classes",
        list.folder.string(), all - told, all);
  if (in_folders == all && may_be_folders) {
    for (const TarSample& sample : samples) names.push_back(sample.folders[0]);
    if (!by_folders)
      list.notes.push_back(
          "the classes are the folders in the archives; --labels none takes all, without classes");
    note_odd_classes(list, names);
    return label_by_names(list, names, false, {}, of_training);
  }
  if (in_folders > 0 && may_be_folders)
    return invalid_argument(
        "{}: {} of {} pictures lie in no folder of the archive that could be their class; --labels "
        "none takes all, without classes",
        list.folder.string(), all - in_folders, all);
  if (insists(source))
    return invalid_argument(
        "{}: pictures in archives have their classes from files NAME.cls or the folders that they "
        "are in, and there are none",
        list.folder.string());
  return {};
}

Result<PictureList> list_of_samples(const Path& folder, const std::vector<TarSample>& samples,
                                    LabelSource source, const PictureList* of_training) {
  PictureList list;
  list.folder = folder;
  for (const TarSample& sample : samples) list.entries.push_back(*sample.picture);
  ITO_TRY(label_tar_samples(list, samples, source, of_training));
  return list;
}

Result<ImageDataset> read_archives(const Path& path, const Path& folder,
                                   const std::vector<std::string>& archives, Split split,
                                   const DatasetOptions& options) {
  ITO_ASSIGN(const TarParts parts, parts_of_archives(folder, archives));
  DataPart part = DataPart::kAll;
  if (parts.parted())
    part = split == Split::kTrain              ? DataPart::kTrain
           : parts.of(DataPart::kTest).empty() ? DataPart::kValidation
                                               : DataPart::kTest;
  if (parts.of(part).empty()) return not_found("{}: no pictures in it", path.string());
  std::optional<PictureList> training;
  if (part != DataPart::kAll && split == Split::kTest) {
    ITO_ASSIGN(training,
               list_of_samples(path, parts.of(DataPart::kTrain), options.labels, nullptr));
  }
  ITO_ASSIGN(PictureList list, list_of_samples(path, parts.of(part), options.labels,
                                               training ? &*training : nullptr));
  list.left_out = parts.left_out;
  if (list.left_out.contains(kTableInArchive))
    list.notes.push_back(
        "metadata.csv and its like are not read in archives; unpack them to have the table's "
        "classes");
  if (!parts.beside.empty())
    list.notes.push_back(
        fmt::format("left out, as beside parts to train and test on: {}", listed(parts.beside)));
  if (part == DataPart::kTest && !parts.of(DataPart::kValidation).empty())
    list.notes.push_back("the pictures to validate on are left out: there are some to test on");
  ITO_ASSIGN(ImageDataset data, dataset_of_pictures(list, options));
  data.facts.format = archives.size() == 1 ? kTarFormat : kTarsFormat;
  data.facts.part = name_of(part);
  return data;
}

}  // namespace

bool is_tar_folder(const Path& folder) {
  return !files_of_parts(folder, is_tar_name).empty() && !has_pictures(folder);
}

Result<ImageDataset> read_picture_tars(const Path& archive, Split split,
                                       const DatasetOptions& options) {
  return read_archives(archive, archive.parent_path(), {archive.filename().string()}, split,
                       options);
}

Result<ImageDataset> read_tar_folder(const Path& folder, Split split,
                                     const DatasetOptions& options) {
  ITO_ASSIGN(ImageDataset data,
             read_archives(folder, folder, files_of_parts(folder, is_tar_name), split, options));
  note_missing_archives(data, folder);
  return data;
}

}  // namespace ito
