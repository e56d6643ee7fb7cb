// Tables of the keys of configuration files: how each enters and leaves a plain struct, and checks
// of values that name file and key. Internal to this room.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/name_list.h"
#include "io/json.h"
#include "io/network_configs.h"

namespace ito {

using Choices = std::span<const std::string_view>;

inline constexpr int kMaxLayers = 1000;  // far beyond any model; keeps products inside an int

inline Status check_choice(const std::string& where, const char* key, const std::string& value,
                           Choices choices) {
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return {};
  return unsupported("{}: key '{}': unknown value \"{}\"; known are {}", where, key, value,
                     joined(choices));
}

inline Status check_range(const std::string& where, const char* key, double value, double low,
                          double high) {
  if (value >= low && value <= high) return {};
  return corrupt("{}: key '{}': expected a number from {} to {}, found {}", where, key, low, high,
                 value);
}

template <typename T>
Status check_range(const std::string& where, const char* key, const std::optional<T>& value,
                   double low, double high) {
  return value ? check_range(where, key, static_cast<double>(*value), low, high) : Status();
}

template <typename T>
Status read_value(JsonObject& object, const char* key, T* out) {
  return object.read(key, out);
}

template <typename T>
Json write_value(const T& value) {
  return Json(value);
}

template <typename T>
Json write_value(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

// sample_size: null, one number for both sides, or [height, width].
inline Status read_value(JsonObject& object, const char* key,
                         std::optional<std::array<int, 2>>* out) {
  const Json* value = object.find(key);
  if (value == nullptr) return {};
  if (value->is_null()) {
    out->reset();
    return {};
  }
  if (value->is_number_integer()) {
    int side = 0;
    ITO_TRY(object.read(key, &side));
    *out = {side, side};
    return {};
  }
  std::vector<int> sides;
  if (!object.read(key, &sides).ok() || sides.size() != 2)
    return object.wrong(key, "null, an integer or [height, width]");
  *out = {sides[0], sides[1]};
  return {};
}

inline Json write_value(const std::optional<std::array<int, 2>>& size) {
  if (!size) return Json(nullptr);
  return (*size)[0] == (*size)[1] ? Json((*size)[0]) : Json(*size);
}

// freq_shift, which diffusers declares, and its files hold, as an integer.
inline Json write_value(float value) {
  return value == std::nearbyint(value) ? Json(static_cast<int>(value)) : Json(value);
}

// One key of a config file: how it enters and leaves the struct.
template <typename Config>
struct Key {
  const char* name;
  Status (*read)(JsonObject&, const char*, Config*);
  Json (*write)(const Config&);
};

template <typename Config, auto kField>
constexpr Key<Config> key(const char* name) {
  return {name,
          [](JsonObject& o, const char* k, Config* c) { return read_value(o, k, &(c->*kField)); },
          [](const Config& c) { return write_value(c.*kField); }};
}

// A key whose field has one number for all levels of a network, or a list of one each.
template <typename Config, auto kField>
constexpr Key<Config> level_key(const char* name) {
  return {name,
          [](JsonObject& o, const char* k, Config* c) {
            const Json* value = o.find(k);
            if (value == nullptr || !value->is_number_integer()) return o.read(k, &(c->*kField));
            (c->*kField).assign(1, 0);
            return o.read(k, &(c->*kField)[0]);
          },
          [](const Config& c) {
            const std::vector<int>& values = c.*kField;
            return values.size() == 1 ? Json(values[0]) : Json(values);
          }};
}

// A key for which only diffusers' default is implemented: null and false mean the same.
struct FixedKey {
  const char* name;
  const char* value;  // JSON text
};
// Error kUnsupported naming `where` and the first key with another value. A key that is absent has
// its default.
Status check_fixed_keys(const Json& json, const std::string& where, std::span<const FixedKey> keys);

// The JSON text of a key that a struct does not know, as it was read.
inline Json parse_extra(const std::string& text) { return Json::parse(text, nullptr, false); }

// A configuration of which every key is in `keys` or has but one value. `check` judges the others;
// what the struct does not know becomes its `extra`. Errors: as of the readers
// (io/network_configs.h).
template <typename Config>
Result<Config> parse_keys(const Json& json, const std::string& where,
                          std::span<const Key<Config>> keys, std::span<const FixedKey> fixed,
                          Status (*check)(const Config&)) {
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, where));
  object.find("_class_name");  // judged by who chose this reader (io/network_file.cpp)
  Config config;
  for (const Key<Config>& key : keys) ITO_TRY(key.read(object, key.name, &config));
  ITO_TRY(check_fixed_keys(json, where, fixed));
  for (const std::string& key : object.unknown_keys())
    config.extra[key] = dump_json_line(json[key]);
  const Status valid = check(config);
  if (!valid.ok()) return file_error(valid.error(), where);
  return config;
}

template <typename Config>
Json write_keys(const Config& config, std::span<const Key<Config>> keys) {
  Json json = Json::object();
  json["_diffusers_version"] = "0.40.0";
  for (const auto& [key, text] : config.extra) json[key] = parse_extra(text);
  for (const Key<Config>& key : keys) json[key.name] = key.write(config);
  return json;
}

}  // namespace ito
