// What was read, in one line for people and as JSON for programs.
#include <fmt/format.h>

#include "io/datasets/readers.h"

namespace ito {
namespace {

constexpr size_t kClassesNamed = 20;

std::string number(double value) {
  return value == static_cast<double>(static_cast<int64_t>(value)) && value < 1e15 && value > -1e15
             ? fmt::format("{}", static_cast<int64_t>(value))
             : fmt::format("{:.4g}", value);
}

}  // namespace

std::string kind_of_images(const ImageDataset& data) {
  const std::string& part = data.facts.part;
  if (part == "train" || part == "all") return "training images";
  if (part == "val") return "validation images";
  if (part == "held out") return "held-out images";
  return "test images";
}

std::string listed(const std::vector<std::string>& names, size_t most) {
  std::string text;
  const size_t shown = names.size() <= most + 1 ? names.size() : most;
  for (size_t i = 0; i < shown; ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (shown < names.size()) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

std::string describe(const ImageDataset& data, std::string_view kind) {
  std::string text =
      fmt::format("{} {} of {}x{} (width x height), {} channel{} ({}", data.count, kind, data.w,
                  data.h, data.c, data.c == 1 ? "" : "s", data.facts.format);
  if (!data.facts.from.empty()) text += " in " + data.facts.from.string();
  text += ")";
  if (data.labels) {
    std::vector<std::string> classes;
    const std::vector<int64_t> counts = data.class_counts();
    for (size_t k = 0; k < counts.size(); ++k)
      classes.push_back(fmt::format("{} {}", data.class_name(static_cast<int>(k)), counts[k]));
    text += fmt::format("; {} class{}: {}", counts.size(), counts.size() == 1 ? "" : "es",
                        listed(classes, kClassesNamed));
  } else {
    text += "; no classes";
  }
  text += fmt::format("; values {} to {}", number(data.facts.least), number(data.facts.most));
  if (data.facts.left_out.empty()) return text;
  std::vector<std::string> parts;
  for (const auto& out : data.facts.left_out)
    parts.push_back(fmt::format("{} ({})", out.files, out.why));
  return text + "; files left out: " + listed(parts, 12);
}

std::string channels_remedy(int64_t images, int64_t network) {
  if (images != 3 || network != 1) return "";
  return "; no option makes coloured images grey: convert them first, with another program";
}

Json facts_json(const ImageDataset& data) {
  Json json = {{"images", data.count},
               {"width", data.w},
               {"height", data.h},
               {"channels", data.c},
               {"format", data.facts.format},
               {"part", data.facts.part},
               {"from", data.facts.from.string()},
               {"values", {data.facts.least, data.facts.most}},
               {"left_out", Json::array()},
               {"notes", data.facts.notes}};
  for (const auto& out : data.facts.left_out)
    json["left_out"].push_back({{"why", out.why}, {"files", out.files}});
  if (!data.labels) return json;
  json["classes"] = Json::array();
  const std::vector<int64_t> counts = data.class_counts();
  for (size_t k = 0; k < counts.size(); ++k)
    json["classes"].push_back(
        {{"name", data.class_name(static_cast<int>(k))}, {"images", counts[k]}});
  return json;
}

}  // namespace ito
