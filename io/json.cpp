#include "io/json.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "io/file_kind.h"

namespace ito {
namespace {

constexpr size_t kMaxDepth = 64;
constexpr uint64_t kMaxJsonBytes = 64u << 20;
// The parser holds a string twice while it reads it.
constexpr size_t kMaxTokenBytes = size_t{8} << 20;
constexpr size_t kFreeJsonBytes = size_t{24} << 20;

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

// What a document takes in memory, by the parts that it is made of, with what the allocator adds: a
// value in a list, whose room doubles; one in an object, with its key; a string, a list, an object.
constexpr size_t kInListBytes = 48, kInObjectBytes = 96, kOwnBytes = 64;

// Builds a document from the parser's events. nlohmann's own builder, where it is asked to watch
// for keys that come twice, looks through all of an object after each of its values.
class JsonBuilder : public nlohmann::json_sax<Json> {
 public:
  JsonBuilder(Json* root, size_t budget) : root_(root), left_(budget) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(int64_t value) override { return put(value); }
  bool number_unsigned(uint64_t value) override { return put(value); }
  bool number_float(double value, const std::string&) override { return put(value); }
  bool string(std::string& value) override {
    return take(kOwnBytes + value.size()) && put(std::move(value));
  }
  bool binary(Json::binary_t&) override { return false; }  // JSON has none
  bool start_object(size_t) override { return open(Json::object()); }
  bool end_object() override { return close(); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    if (!take(name.size())) return false;
    const auto [it, fresh] =
        open_.back()->get_ptr<Json::object_t*>()->try_emplace(std::move(name), nullptr);
    member_ = &it->second;
    if (!fresh) trouble_ = fmt::format("JSON key '{}' appears twice in one object", it->first);
    return fresh;
  }
  bool parse_error(size_t position, const std::string&, const Json::exception& error) override {
    const auto* at = dynamic_cast<const Json::parse_error*>(&error);
    byte_ = at != nullptr ? at->byte : position;
    return false;
  }

  size_t byte() const { return byte_; }
  // What is wrong with a text that is JSON, or empty.
  const std::string& trouble() const { return trouble_; }

 private:
  bool take(size_t bytes) {
    if (bytes > left_) trouble_ = "holds more values than one of its kind may";
    left_ -= std::min(bytes, left_);
    return trouble_.empty();
  }
  // The place of the next value; null where there is no room for it.
  Json* place() {
    if (open_.empty()) return root_;
    if (open_.back()->is_object()) return take(kInObjectBytes) ? member_ : nullptr;
    return take(kInListBytes) ? &open_.back()->emplace_back(nullptr) : nullptr;
  }
  template <typename T>
  bool put(T&& value) {
    Json* const at = place();
    if (at == nullptr) return false;
    *at = std::forward<T>(value);
    return true;
  }
  bool open(Json container) {
    if (open_.size() >= kMaxDepth)
      trouble_ = fmt::format("JSON nested deeper than {} levels", kMaxDepth);
    if (!trouble_.empty() || !take(kOwnBytes)) return false;
    Json* const at = place();
    if (at == nullptr) return false;
    *at = std::move(container);
    open_.push_back(at);
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  Json* root_;
  size_t left_, byte_ = 0;
  std::string trouble_;
  std::vector<Json*> open_;  // outermost first: only the last one grows, so that none moves
  Json* member_ = nullptr;   // of the last one, where that is an object
};

}  // namespace

Status check_json_text(std::string_view text, std::string_view where) {
  // The parser would take one after the value for the end of the text; strings spell it \\u0000.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos)
    return no_json(text, where, nul + 1, " (a NUL)");
  bool quoted = false;
  size_t begin = 0;  // of the string, or of the number or name
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted && c == '\\') {
      ++at;
    } else if (c == '"') {
      quoted = !quoted;
      begin = at + 1;
    } else if (!quoted && std::string_view(" \t\r\n,:[]{}").find(c) != std::string_view::npos) {
      begin = at + 1;
    }
    if (at - std::min(at, begin) > kMaxTokenBytes)
      return corrupt("{}: the JSON text at byte {} is longer than {} bytes", where, begin,
                     kMaxTokenBytes);
  }
  return {};
}

Error no_json(std::string_view text, std::string_view where, size_t byte, std::string_view what) {
  const FileKind kind = kind_of_bytes(text.substr(0, kFileKindBytes));
  if (kind != FileKind::kUnknown && kind != FileKind::kJson)
    return corrupt("{} is no JSON{}", where, kind_remark(kind));
  if (byte > text.size())
    return corrupt("{}: not valid JSON at byte {}: the text ends before it is complete", where,
                   byte);
  return corrupt("{}: not valid JSON at byte {}{}", where, byte, what);
}

Result<Json> parse_json(std::string_view text, std::string_view where, size_t times) {
  ITO_TRY(check_json_text(text, where));
  Json value;
  JsonBuilder builder(&value, times * text.size() + kFreeJsonBytes);
  if (Json::sax_parse(text.begin(), text.end(), &builder)) return value;
  if (!builder.trouble().empty()) return corrupt("{}: {}", where, builder.trouble());
  return no_json(text, where, builder.byte(), "");
}

Result<Json> read_json(const Path& path, size_t times) {
  ITO_ASSIGN(std::string text, read_file(path, kMaxJsonBytes));
  return parse_json(text, path.string(), times);
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
