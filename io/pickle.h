// A reader of Python's pickles that runs nothing: a pickle is a small program that may call any
// function of any module. This one builds plain values, and remembers calls as what they name; a
// name that the caller has not allowed is an error before anything else happens. Not for writing
// pickles.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace ito {

struct PickleValue;
using PickleRef = PickleValue*;

struct PickleValue {
  enum class Kind : uint8_t {
    kNone,
    kBool,
    kInt,
    kFloat,
    kBytes,  // bytes, and strings of Python 2
    kText,
    kList,
    kTuple,
    kDict,
    kGlobal,      // text: "module.name"
    kCall,        // items: what is called, its arguments (a tuple), and the state given afterwards
    kPersistent,  // items: the identity, for the caller to resolve (PyTorch's storages)
    kMark,
  };
  Kind kind = Kind::kNone;
  int64_t integer = 0;  // also of kBool
  double number = 0;
  std::string text;
  std::vector<PickleRef> items;                          // of lists, tuples, calls
  std::vector<std::pair<PickleRef, PickleRef>> entries;  // of dicts

  bool is_text() const { return kind == Kind::kText || kind == Kind::kBytes; }
  // The value of a string key of a dict, or null.
  const PickleValue* find(std::string_view key) const;
};

// Owns the values, which may point at one another in circles.
struct Pickle {
  std::unique_ptr<std::deque<PickleValue>> values;
  const PickleValue* root = nullptr;
};

// The value of a pickle of protocol 0 to 5. `allowed`: the "module.name"s that may be named. Errors
// naming `where`: kUnsupported for any other name ("the pickle calls os.system") and for what plain
// values do not need (extensions, buffers outside); kCorrupt for damage and for values nested
// deeper than 1000. Memory is a small multiple of the size of `bytes`.
Result<Pickle> parse_pickle(std::string_view bytes, std::span<const std::string_view> allowed,
                            std::string_view where);

}  // namespace ito
