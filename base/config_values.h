// A network's configuration as values by key, for networks whose struct is nobody's business but
// their own: files keep the values (io/network_file.h), the network's file turns them into its
// struct and back. Not for networks that diffusers has, whose configurations are structs of this
// room with checks of their own.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/result.h"

namespace ito {

using ConfigValue = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>>;

struct ConfigValues {
  std::map<std::string, ConfigValue> values;
  bool operator==(const ConfigValues&) const = default;
};

// What a value of a ConfigValue's type is called in errors.
template <typename T>
constexpr std::string_view config_value_kind() {
  if constexpr (std::is_same_v<T, bool>) return "true or false";
  if constexpr (std::is_same_v<T, int64_t>) return "an integer";
  if constexpr (std::is_same_v<T, double>) return "a number";
  if constexpr (std::is_same_v<T, std::string>) return "a text";
  return "a list of integers";
}

// A struct's fields by key. Beside Config stands, found by its argument,
//   template <typename Fields, typename Visit> void visit_values(Fields& fields, Visit&& visit)
// which calls visit("key", field) for every field; the fields are of ConfigValue's types.
template <typename Config>
ConfigValues to_config_values(const Config& config) {
  ConfigValues all;
  visit_values(config, [&](const char* key, const auto& field) { all.values[key] = field; });
  return all;
}

// The struct of the values. Errors kInvalidArgument naming the key: one that is missing, that no
// field has, or whose value is of another type (an integer is a number too).
template <typename Config>
Result<Config> from_config_values(const ConfigValues& all) {
  Config config;
  Status status;
  size_t read = 0;
  visit_values(config, [&]<typename Field>(const char* key, Field& field) {
    if (!status.ok()) return;
    const auto found = all.values.find(key);
    if (found == all.values.end()) {
      status = invalid_argument("key '{}' is missing", key);
      return;
    }
    ++read;
    if (const Field* value = std::get_if<Field>(&found->second)) {
      field = *value;
      return;
    }
    if constexpr (std::is_same_v<Field, double>) {
      if (const int64_t* value = std::get_if<int64_t>(&found->second)) {
        field = static_cast<double>(*value);
        return;
      }
    }
    const std::string_view what = std::visit(
        []<typename Found>(const Found&) { return config_value_kind<Found>(); }, found->second);
    status =
        invalid_argument("key '{}': expected {}, found {}", key, config_value_kind<Field>(), what);
  });
  ITO_TRY(status);
  if (read == all.values.size()) return config;
  std::map<std::string, ConfigValue> unknown = all.values;
  visit_values(config, [&](const char* key, const auto&) { unknown.erase(key); });
  return invalid_argument("key '{}': the network has no such value", unknown.begin()->first);
}

}  // namespace ito
