#include "io/class_names.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/error.h"
#include "io/datasets/readers.h"

namespace ito {
namespace {

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::optional<uint32_t> number_of(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<uint32_t> index_of(const std::vector<std::string>& names, const std::string& text) {
  for (size_t k = 0; k < names.size(); ++k)
    if (names[k] == text) return static_cast<uint32_t>(k);
  for (size_t k = 0; k < names.size(); ++k)
    if (lower(names[k]) == lower(text)) return static_cast<uint32_t>(k);
  return std::nullopt;
}

}  // namespace

bool has_names(const std::optional<ClassNames>& classes) {
  return classes && !called_by_number(classes->names);
}

std::vector<uint32_t> ClassNames::trained() const {
  std::vector<uint32_t> list;
  for (size_t k = 0; k < images.size(); ++k)
    if (images[k] > 0) list.push_back(static_cast<uint32_t>(k));
  return list;
}

std::vector<uint32_t> drawn_classes(const std::optional<ClassNames>& names, int classes) {
  if (!names || names->names.size() > static_cast<size_t>(classes)) return {};
  return names->trained();
}

ClassNames class_names(const ImageDataset& data) {
  ClassNames names;
  names.images = data.class_counts();
  for (int k = 0; k < data.num_classes(); ++k) names.names.push_back(data.class_name(k));
  return names;
}

Status write_class_names(const Path& folder, const ClassNames& names) {
  return write_file_atomic(folder / kClassesFile,
                           dump_json({{"names", names.names}, {"images", names.images}}));
}

Result<std::optional<ClassNames>> read_class_names(const Path& folder) {
  Path file = folder / kClassesFile;
  if (!file_exists(file) && file_exists(folder / ".." / "model_index.json"))
    file = folder / ".." / kClassesFile;
  if (!file_exists(file)) return std::optional<ClassNames>();
  ITO_ASSIGN(const Json json, read_json(file));
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, file.string()));
  ClassNames names;
  std::vector<double> images;
  ITO_TRY(object.require("names"));
  ITO_TRY(object.read("names", &names.names));
  images.assign(names.names.size(), 1);
  ITO_TRY(object.read("images", &images));
  if (images.size() != names.names.size())
    return corrupt("{}: {} names, but {} numbers of images", file.string(), names.names.size(),
                   images.size());
  constexpr double kMostImages = 9007199254740992;  // 2^53: whole numbers are exact up to there
  for (const double count : images) {
    if (!(count >= 0 && count <= kMostImages))
      return corrupt("{}: a class of {} images", file.string(), count);
    names.images.push_back(static_cast<int64_t>(count));
  }
  return std::optional<ClassNames>(std::move(names));
}

Result<std::vector<uint32_t>> classes_called(const std::string& text,
                                             const std::optional<ClassNames>& known,
                                             uint32_t classes, const std::string& option,
                                             const std::string& model) {
  const std::vector<std::string> names = known ? known->names : std::vector<std::string>();
  const auto unknown = [&](const std::string& part) {
    const std::string has =
        names.empty() ? fmt::format("classes 0 to {}", classes - 1) : listed(names, 30);
    return invalid_argument("{} {}: class {} does not exist; the model in {} has {}", option, text,
                            part, model, has);
  };
  std::vector<uint32_t> out;
  const auto take = [&](uint32_t label, const std::string& part) -> Status {
    if (label >= classes) return unknown(part);
    if (known && label < known->images.size() && known->images[label] == 0)
      return invalid_argument("{} {}: the model in {} was trained without any image of class {}",
                              option, text, model, part);
    out.push_back(label);
    return {};
  };
  // A name may have a comma in it.
  if (const auto whole = index_of(names, text); whole && !number_of(text)) {
    ITO_TRY(take(*whole, text));
    return out;
  }
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    std::string part = text.substr(begin, comma - begin);
    begin = comma + 1;
    const bool by_name = part.starts_with("name="), by_number = part.starts_with("number=");
    if (by_name || by_number) part.erase(0, part.find('=') + 1);
    const auto name = by_number ? std::nullopt : index_of(names, part);
    const auto number = by_name ? std::nullopt : number_of(part);
    if (name && number && *name != *number && *number < classes)
      return invalid_argument(
          "{} {}: {} is the name of class {} and the number of class {}, which is called {}; write "
          "name={} or number={}",
          option, text, part, *name, *number, names[*number], part, part);
    if (name || number) {
      ITO_TRY(take(name ? *name : *number, part));
      continue;
    }
    const size_t dash = part.find('-');
    const auto first = number_of(std::string_view(part).substr(0, dash));
    const auto last = dash == std::string::npos
                          ? std::nullopt
                          : number_of(std::string_view(part).substr(dash + 1));
    if (!first || !last || *last < *first) return unknown(part.empty() ? "\"\"" : part);
    if (*last >= classes) return unknown(std::to_string(*last));
    for (uint32_t k = *first; k <= *last; ++k) ITO_TRY(take(k, std::to_string(k)));
  }
  return out;
}

Result<JudgedClasses> judged_classes(const std::optional<ClassNames>& names, uint32_t classes,
                                     const std::optional<ClassNames>& judge_names, uint32_t judged,
                                     const std::string& judge) {
  JudgedClasses result;
  for (uint32_t k = 0; k < classes; ++k) result.numbers.push_back(k);
  const bool named = has_names(names), judge_named = has_names(judge_names);
  if (named != judge_named)
    result.note = fmt::format("{}: its classes are taken by number, as {} no names", judge,
                              named ? "they have" : "the model's have");
  if (!named || !judge_named) return result;
  result.by_name = true;
  for (uint32_t k = 0; k < std::min<size_t>(classes, names->names.size()); ++k) {
    const auto place = index_of(judge_names->names, names->names[k]);
    if (place && *place < judged) {
      result.numbers[k] = *place;
      result.moved |= *place != k;
    } else if (names->images[k] > 0) {
      return invalid_argument("{} does not know the model's class {}; its classes are {}", judge,
                              names->names[k], listed(judge_names->names, 30));
    }
  }
  return result;
}

std::optional<ClassRows> class_rows(const std::optional<ClassNames>& names, uint32_t had,
                                    const ClassNames& classes, uint32_t rows) {
  ClassRows result;
  result.from.resize(rows);
  const auto count = static_cast<uint32_t>(std::min<size_t>(classes.names.size(), rows));
  const bool known = names && names->names.size() <= had;
  if (!known || has_names(names) != has_names(classes)) {
    const auto those = known ? static_cast<uint32_t>(names->names.size()) : had;
    if (those != count && (known || had != rows)) return std::nullopt;
    for (uint32_t k = 0; k < std::min(had, rows); ++k) result.from[k] = k;
    const bool none = rows > count && had <= count;
    result.note = fmt::format(
        "by number, as {}{}",
        has_names(names) ? "the images' classes have no names" : "its classes have no names",
        none ? "; the row for none is drawn anew" : "");
    return result;
  }
  std::vector<std::string> fresh;
  bool moved = false;
  for (uint32_t k = 0; k < count; ++k) {
    result.from[k] = index_of(names->names, classes.names[k]);
    moved |= result.from[k] && *result.from[k] != k;
    if (!result.from[k]) fresh.push_back(classes.names[k]);
  }
  const auto none = static_cast<uint32_t>(names->names.size());
  for (uint32_t k = count; k < rows; ++k)
    if (none < had)
      result.from[k] = none;
    else
      fresh.emplace_back("the row for none");
  if (moved || !fresh.empty())
    result.note = fmt::format("by the classes' names{}{}",
                              fresh.empty() ? "" : "; drawn anew: ", listed(fresh, 30));
  return result;
}

Status match_classes(ImageDataset& data, const std::optional<ClassNames>& known) {
  if (!known || !data.labels || data.names.empty()) return {};
  if (data.names == known->names) return {};
  std::vector<std::optional<uint32_t>> places;
  for (const std::string& name : data.names) places.push_back(index_of(known->names, name));
  const std::vector<int64_t> counts = data.class_counts();
  for (size_t k = 0; k < places.size(); ++k)
    if (!places[k] && counts[k] > 0)
      return invalid_argument("{}: class {} is none of the model's: {}", data.facts.from.string(),
                              data.names[k], listed(known->names, 30));
  for (int32_t& label : *data.labels)
    label = static_cast<int32_t>(*places[static_cast<size_t>(label)]);
  data.names = known->names;
  return {};
}

}  // namespace ito
