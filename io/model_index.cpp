#include "io/model_index.h"

#include "base/error.h"

namespace ito {

std::string class_in_index(const Json& index, std::string_view part) {
  if (!index.is_object()) return "";
  const auto named = index.find(std::string(part));
  if (named == index.end() || !named->is_array() || named->size() != 2 || !(*named)[1].is_string())
    return "";
  return (*named)[1].get<std::string>();
}

std::string class_in_pipeline(const Path& folder, std::string_view part) {
  if (!file_exists(folder / kModelIndex)) return "";
  const auto index = read_json(folder / kModelIndex);
  return index.ok() ? class_in_index(*index, part) : "";
}

Result<std::string> class_of_config(JsonObject& config, const std::string& where,
                                    std::string_view fallback, const MissingClass& missing) {
  constexpr const char* kKey = "_class_name";
  std::string name;
  if (config.find(kKey) != nullptr) {
    ITO_TRY(config.read(kKey, &name));
    return name;
  }
  const bool named = !missing.named.empty();
  if (!named && fallback.empty())
    return corrupt(
        "{}: key '{}' is missing, and nothing else says which class's configuration this is; write "
        "its name, as diffusers has it, into the file",
        where, kKey);
  name = named ? missing.named : std::string(fallback);
  if (missing.notes != nullptr)
    missing.notes->push_back(
        fmt::format("{}: key '{}' is missing; it is read as a {}{}", where, kKey, name,
                    named ? fmt::format(", which {} names", kModelIndex) : ""));
  return name;
}

}  // namespace ito
