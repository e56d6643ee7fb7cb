// How the fields of a configuration struct enter and leave JSON: a table of keys per struct. For
// the readers and writers of configuration files only; what a value means is checked elsewhere.
#pragma once

#include <array>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/json.h"

namespace ito {

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

}  // namespace ito
