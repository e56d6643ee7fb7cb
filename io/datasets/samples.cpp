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
  std::string name;  // of the class; may be empty
};

// "cat", or nothing where the settings do not say.
std::string class_name_in(const Json& settings) {
  const auto name = settings.find(kClassName);
  return name != settings.end() && name->is_string() ? name->get<std::string>() : std::string();
}

OwnPicture sample_of(const Path& png) {
  OwnPicture sample;
  if (png.extension() != ".png") return sample;
  const auto settings = read_png_settings(png);
  if (!settings.ok() || !settings->is_object()) return sample;
  sample.own = settings->value("software", Json()) == "ito";
  const auto label = settings->find("class");
  if (label != settings->end() && label->is_number_unsigned() && label->get<uint64_t>() < 1u << 20)
    sample.label = static_cast<int32_t>(label->get<uint64_t>());
  sample.name = class_name_in(*settings);
  return sample;
}

}  // namespace

std::string class_name_of_sample(std::string_view settings) {
  const auto json = parse_json(settings, "");
  const bool own = json.ok() && json->is_object() && json->value("software", Json()) == "ito";
  return own ? class_name_in(*json) : std::string();
}

void label_samples(PictureList& list) {
  const auto is_preview = [](const PictureList::Entry& entry) {
    return entry.path.filename().string().starts_with("preview-");
  };
  const auto first = std::find_if_not(list.entries.begin(), list.entries.end(), is_preview);
  if (first == list.entries.end() || !sample_of(first->path).own) return;
  const size_t previews = std::erase_if(list.entries, is_preview);
  if (previews > 0) list.left_out["preview of samples"] += static_cast<int64_t>(previews);
  std::vector<int32_t> labels;
  std::map<int32_t, std::string> names;
  bool one_name_each = true;
  for (const PictureList::Entry& entry : list.entries)
    if (const OwnPicture sample = sample_of(entry.path); sample.label) {
      labels.push_back(*sample.label);
      const auto known = names.emplace(*sample.label, sample.name).first;
      one_name_each = one_name_each && known->second == sample.name;
    }
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
  for (int32_t k = 0; k <= most; ++k) {
    const std::string& name = names[k];
    list.classes.push_back(one_name_each && !name.empty() ? name : std::to_string(k));
  }
  list.notes.push_back("the classes are those in the pictures' settings");
}

}  // namespace ito
