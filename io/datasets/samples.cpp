// What `ito sample` writes, as a data set: the classes that its pictures carry in their settings,
// and archives of one job.
#include <algorithm>
#include <utility>

#include "base/error.h"
#include "io/datasets/picture_list.h"
#include "io/npy.h"
#include "io/png.h"

namespace ito {
namespace {

constexpr const char* kSamplePixels = "arr_0";
constexpr const char* kSampleSeeds = "seeds";
constexpr const char* kSampleClasses = "classes";

struct OwnPicture {
  bool own = false;  // `ito sample` wrote it
  std::optional<int32_t> label;
};

OwnPicture sample_of(const Path& png) {
  OwnPicture sample;
  if (png.extension() != ".png") return sample;
  const auto settings = read_png_settings(png);
  if (!settings.ok() || !settings->is_object()) return sample;
  sample.own = settings->value("software", Json()) == "ito";
  const auto label = settings->find("class");
  if (label != settings->end() && label->is_number_unsigned() && label->get<uint64_t>() < 1u << 20)
    sample.label = static_cast<int32_t>(label->get<uint64_t>());
  return sample;
}

}  // namespace

void label_samples(PictureList& list) {
  const auto is_preview = [](const PictureList::Entry& entry) {
    return entry.path.filename().string().starts_with("preview-");
  };
  const auto first = std::find_if_not(list.entries.begin(), list.entries.end(), is_preview);
  if (first == list.entries.end() || !sample_of(first->path).own) return;
  const size_t previews = std::erase_if(list.entries, is_preview);
  if (previews > 0) list.left_out["preview of samples"] += static_cast<int64_t>(previews);
  std::vector<int32_t> labels;
  for (const PictureList::Entry& entry : list.entries)
    if (const OwnPicture sample = sample_of(entry.path); sample.label)
      labels.push_back(*sample.label);
  if (labels.empty()) return;
  if (labels.size() < list.entries.size()) {
    list.notes.push_back(fmt::format(
        "{} of {} pictures say in their settings of which class they are, the others do not, so "
        "there are no classes",
        labels.size(), list.entries.size()));
    return;
  }
  for (size_t i = 0; i < labels.size(); ++i) list.entries[i].label = labels[i];
  list.labelled = true;
  const int32_t most = *std::max_element(labels.begin(), labels.end());
  for (int32_t k = 0; k <= most; ++k) list.classes.push_back(std::to_string(k));
  list.notes.push_back("the classes are those in the pictures' settings");
}

bool are_sample_archives(const Path& folder, const std::vector<std::string>& files) {
  return files.size() > 1 && std::all_of(files.begin(), files.end(), [&](const std::string& name) {
           if (!name.ends_with(".npz")) return false;
           const auto file = NpzFile::open(folder / name);
           return file.ok() && file->has(kSamplePixels) && file->has(kSampleSeeds);
         });
}

Result<ImageDataset> read_sample_archives(const Path& folder,
                                          const std::vector<std::string>& files) {
  ImageDataset all;
  all.labels.emplace();
  for (const std::string& name : files) {
    const std::string where = (folder / name).string();
    ITO_ASSIGN(const NpzFile file, NpzFile::open(folder / name));
    ITO_ASSIGN(const HostTensor images, file.read(kSamplePixels));
    ImageDataset part;
    ITO_TRY(set_extents(part, images.shape.dims(), where));
    if (images.type != HostType::kU8)
      return corrupt("{}: {} is {}, expected bytes", where, kSamplePixels,
                     host_type_name(images.type));
    if (all.count > 0 && (part.h != all.h || part.w != all.w || part.c != all.c))
      return invalid_argument("{}: images of {}x{}x{}, but those of {} are {}x{}x{}", where, part.h,
                              part.w, part.c, files.front(), all.h, all.w, all.c);
    std::tie(all.h, all.w, all.c) = std::tuple(part.h, part.w, part.c);
    all.count += part.count;
    all.pixels.insert(all.pixels.end(), images.bytes.begin(), images.bytes.end());
    if (!file.has(kSampleClasses)) {
      all.labels.reset();
      continue;
    }
    ITO_ASSIGN(const HostTensor classes, file.read(kSampleClasses));
    ITO_ASSIGN(const std::vector<uint32_t> labels, to_uint32(classes, where + ": classes"));
    if (static_cast<int64_t>(labels.size()) != part.count)
      return corrupt("{}: {} labels, but {} images", where, labels.size(), part.count);
    if (all.labels) all.labels->insert(all.labels->end(), labels.begin(), labels.end());
  }
  all.facts.format = "arrays";
  all.facts.part = "all";
  all.facts.notes.push_back(
      fmt::format("{} archives of ito sample are read as one data set", files.size()));
  return all;
}

}  // namespace ito
