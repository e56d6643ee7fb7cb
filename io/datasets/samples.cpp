// What `ito sample` writes, as a data set: the classes that its pictures carry in their settings.
#include <algorithm>

#include "base/error.h"
#include "io/datasets/picture_list.h"
#include "io/png.h"

namespace ito {
namespace {

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

}  // namespace ito
