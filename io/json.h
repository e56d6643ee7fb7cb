// JSON text with errors a user can act on: file, key, what was expected and what was found.
// Not for the meaning of the keys (see io/diffusers.h). nlohmann::json does the parsing.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/file.h"

namespace ito {

using Json = nlohmann::json;

// Parses text; `where` names it in errors (kCorrupt, with the byte position). Stricter than the
// JSON standard for the sake of untrusted files: a key twice in one object, nesting deeper than 64,
// invalid UTF-8, a NUL anywhere and a string or number of more than 8 MiB are errors. The literals
// NaN, Infinity and -Infinity are no JSON. Time grows as the text does. Memory: what is made of the
// text may take `times` its size and 24 MiB, which a text of very many small values exceeds; the
// rest is an error.
Result<Json> parse_json(std::string_view text, std::string_view where, size_t times = 1);
// Reads and parses a file of at most 64 MB.
Result<Json> read_json(const Path& path, size_t times = 1);
// What of these is asked before anything is parsed: no NUL, no such string. For who parses by
// himself (io/safetensors.cpp).
Status check_json_text(std::string_view text, std::string_view where);
// What `text` is, where it is something else by its first bytes; else where it stops being JSON and
// `what` stands there.
Error no_json(std::string_view text, std::string_view where, size_t byte, std::string_view what);
// Two-space indented text ending with a newline; keys sorted. Bytes that are no UTF-8 become
// U+FFFD.
std::string dump_json(const Json& value);
// One line, for logs and metadata.
std::string dump_json_line(const Json& value);
// Short text of a value for error messages: at most 60 characters.
std::string describe_json(const Json& value);

// Reads keys of one JSON object into typed variables. A key that is absent leaves the variable
// alone; a value of the wrong type is an error of kind kCorrupt like
//   unet/config.json: key 'layers_per_block': expected an integer, found "two"
class JsonObject {
 public:
  // Error kCorrupt if value is no object. The value must outlive the JsonObject.
  static Result<JsonObject> open(const Json& value, std::string where);

  Status read(const char* key, bool* out);
  Status read(const char* key, int* out);
  Status read(const char* key, int64_t* out);
  Status read(const char* key, uint64_t* out);
  Status read(const char* key, float* out);  // any JSON number
  Status read(const char* key, double* out);
  Status read(const char* key, std::string* out);
  Status read(const char* key, std::vector<int>* out);
  Status read(const char* key, std::vector<double>* out);
  Status read(const char* key, std::vector<std::string>* out);
  // null empties the optional.
  template <typename T>
  Status read(const char* key, std::optional<T>* out) {
    const Json* value = find(key);
    if (value == nullptr) return {};
    if (value->is_null()) {
      out->reset();
      return {};
    }
    T inner{};
    ITO_TRY(read(key, &inner));
    *out = std::move(inner);
    return {};
  }

  // The value of a key, marked as known, or null.
  const Json* find(const char* key);
  // Error kCorrupt "…: key 'k' is missing" if absent.
  Status require(const char* key);
  // kCorrupt "…: key 'key': expected <expected>, found <value>".
  Error wrong(const char* key, std::string_view expected) const;
  // Keys that no find() or read() has asked for, sorted.
  std::vector<std::string> unknown_keys() const;

  const std::string& where() const { return where_; }

 private:
  JsonObject(const Json& value, std::string where) : object_(&value), where_(std::move(where)) {}

  const Json* object_;
  std::string where_;
  std::set<std::string> known_;
};

}  // namespace ito
