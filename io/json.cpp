#include "io/json.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "io/file_kind.h"

namespace ito {
namespace {

constexpr int kMaxDepth = 64;
constexpr uint64_t kMaxJsonBytes = 64u << 20;

std::string dump(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

template <typename Integer>
bool integer_from(const Json& value, Integer* out) {
  if (value.is_number_float()) {                 // 1000.0, as other languages write whole numbers
    constexpr double kExact = 9007199254740992;  // 2^53
    const double number = value.get<double>();
    if (number != std::floor(number) || std::abs(number) > kExact) return false;
    return number >= 0 ? integer_from(Json(static_cast<uint64_t>(number)), out)
                       : integer_from(Json(static_cast<int64_t>(number)), out);
  }
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned()) {
    auto wide = value.get<uint64_t>();
    if (wide > static_cast<uint64_t>(std::numeric_limits<Integer>::max())) return false;
    *out = static_cast<Integer>(wide);
    return true;
  }
  auto wide = value.get<int64_t>();  // negative: non-negative values are stored unsigned
  if (std::is_unsigned_v<Integer>) return false;
  if (wide < static_cast<int64_t>(std::numeric_limits<Integer>::min())) return false;
  *out = static_cast<Integer>(wide);
  return true;
}

bool convert(const Json& value, int* out) { return integer_from(value, out); }
bool convert(const Json& value, double* out) {
  if (!value.is_number()) return false;
  *out = value.get<double>();
  return true;
}
bool convert(const Json& value, std::string* out) {
  if (!value.is_string()) return false;
  *out = value.get<std::string>();
  return true;
}

template <typename T>
bool convert_array(const Json& value, std::vector<T>* out) {
  if (!value.is_array()) return false;
  std::vector<T> result(value.size());
  for (size_t i = 0; i < result.size(); ++i)
    if (!convert(value[i], &result[i])) return false;
  *out = std::move(result);
  return true;
}

}  // namespace

namespace {

// What the text is, where it is something else by its first bytes; else where it stops being JSON.
Error no_json(std::string_view text, std::string_view where, size_t byte, std::string_view what) {
  const FileKind kind = kind_of_bytes(text.substr(0, kFileKindBytes));
  if (kind != FileKind::kUnknown && kind != FileKind::kJson)
    return corrupt("{} is no JSON{}", where, kind_remark(kind));
  if (byte > text.size())
    return corrupt("{}: not valid JSON at byte {}: the text ends before it is complete", where,
                   byte);
  return corrupt("{}: not valid JSON at byte {}{}", where, byte, what);
}

}  // namespace

Result<Json> parse_json(std::string_view text, std::string_view where) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open, outermost first
  std::string duplicate;
  bool too_deep = false;
  // Strings spell it \\u0000; the parser would take one after the value for the end of the text.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos)
    return no_json(text, where, nul + 1, " (a NUL)");
  auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxDepth) too_deep = true;
    if (too_deep) return false;
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second)
      duplicate = parsed.get<std::string>();
    return true;
  };
  try {
    Json value = Json::parse(text, watch);
    if (too_deep) return corrupt("{}: JSON nested deeper than {} levels", where, kMaxDepth);
    if (!duplicate.empty())
      return corrupt("{}: JSON key '{}' appears twice in one object", where, duplicate);
    return value;
  } catch (const Json::parse_error& error) {
    return no_json(text, where, error.byte, "");
  } catch (const Json::exception& error) {
    return corrupt("{}: not valid JSON ({})", where, error.what());
  }
}

Result<Json> read_json(const Path& path) {
  ITO_ASSIGN(std::string text, read_file(path, kMaxJsonBytes));
  return parse_json(text, path.string());
}

std::string dump_json(const Json& value) { return dump(value, 2) + "\n"; }

std::string dump_json_line(const Json& value) { return dump(value, -1); }

std::string describe_json(const Json& value) {
  if (value.is_object()) return "an object";
  std::string text = dump(value, -1);
  constexpr size_t kLimit = 60;
  if (text.size() <= kLimit) return text;
  size_t cut = kLimit - 3;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) --cut;
  return text.substr(0, cut) + "...";
}

Result<JsonObject> JsonObject::open(const Json& value, std::string where) {
  if (!value.is_object())
    return corrupt("{}: expected a JSON object, found {}", where, describe_json(value));
  return JsonObject(value, std::move(where));
}

const Json* JsonObject::find(const char* key) {
  known_.insert(key);
  auto it = object_->find(key);
  return it == object_->end() ? nullptr : &*it;
}

Status JsonObject::require(const char* key) {
  if (find(key) == nullptr) return corrupt("{}: key '{}' is missing", where_, key);
  return {};
}

Error JsonObject::wrong(const char* key, std::string_view expected) const {
  auto it = object_->find(key);
  return corrupt("{}: key '{}': expected {}, found {}", where_, key, expected,
                 it == object_->end() ? "nothing" : describe_json(*it));
}

Status JsonObject::read(const char* key, bool* out) {
  const Json* value = find(key);
  if (value == nullptr) return {};
  if (!value->is_boolean()) return wrong(key, "true or false");
  *out = value->get<bool>();
  return {};
}

#define ITO_JSON_READ(type, condition, expected)        \
  Status JsonObject::read(const char* key, type* out) { \
    const Json* value = find(key);                      \
    if (value == nullptr) return {};                    \
    if (!(condition)) return wrong(key, expected);      \
    return {};                                          \
  }
ITO_JSON_READ(int, integer_from(*value, out), "an integer")
ITO_JSON_READ(int64_t, integer_from(*value, out), "an integer")
ITO_JSON_READ(uint64_t, integer_from(*value, out), "a non-negative integer")
ITO_JSON_READ(double, convert(*value, out), "a number")
ITO_JSON_READ(std::string, convert(*value, out), "a string")
ITO_JSON_READ(std::vector<int>, convert_array(*value, out), "a list of integers")
ITO_JSON_READ(std::vector<double>, convert_array(*value, out), "a list of numbers")
ITO_JSON_READ(std::vector<std::string>, convert_array(*value, out), "a list of strings")
#undef ITO_JSON_READ

Status JsonObject::read(const char* key, float* out) {
  double wide = *out;
  ITO_TRY(read(key, &wide));
  *out = static_cast<float>(wide);
  return {};
}

std::vector<std::string> JsonObject::unknown_keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object_->items())
    if (!known_.contains(key)) keys.push_back(key);
  return keys;
}

}  // namespace ito
