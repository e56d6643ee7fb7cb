// Python pickles as data: numbers, texts, lists, tuples, dictionaries, and, unexecuted, what a
// pickle would have called with which arguments. Nothing is ever imported or called; a pickle that
// refers to something its reader does not know is refused by that name. Not for what calls mean
// (io/torch_file.h).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ito {

// Index of a value in its Pickle.
using PickleIndex = uint32_t;

struct PickleValue {
  enum class Kind : uint8_t {
    kNone,
    kBool,        // integer: 0 or 1
    kInt,         // integer
    kFloat,       // number
    kText,        // text
    kBytes,       // text
    kTuple,       // items
    kList,        // items; sets too
    kDict,        // items: key, value, key, value …
    kGlobal,      // text: "module.name"
    kCall,        // items: the callee, its arguments (a tuple), then states that it was given;
                  // entries: key, value … that it was filled with
    kPersistent,  // items: the id, of whatever the file keeps beside the pickle
  };
  Kind kind = Kind::kNone;
  int64_t integer = 0;
  double number = 0;
  std::string text;
  std::vector<PickleIndex> items, entries;

  // Names are bytes where Python 2 wrote them.
  bool is_text() const { return kind == Kind::kText || kind == Kind::kBytes; }
};

class Pickle {
 public:
  const PickleValue& operator[](PickleIndex index) const { return values_[index]; }
  const PickleValue& item(const PickleValue& of, size_t i) const { return values_[of.items[i]]; }
  // The value of a key of a dictionary that is a text, or null.
  const PickleValue* find(const PickleValue& dictionary, std::string_view key) const;
  // The bytes of a text or of bytes, also as Python 3 writes bytes in protocols up to 2, as
  // _codecs.encode(text, "latin1"); nothing of anything else.
  std::optional<std::string> bytes_of(const PickleValue& value) const;
  const PickleValue& root() const { return values_[root_]; }
  PickleIndex root_index() const { return root_; }
  // Bytes that the pickle took.
  size_t size() const { return size_; }
  // How many values there are: indices go from 0 to one less.
  size_t values() const { return values_.size(); }

 private:
  friend class PickleReader;
  std::deque<PickleValue> values_;  // of which none moves as it grows
  PickleIndex root_ = 0;
  size_t size_ = 0;
};

// Reads one pickle of protocol 0 to 5 at the beginning of `bytes`. `known` says of "module.name"
// whether the reader knows what to do with it. Containers may contain themselves, so whoever walks
// them bounds the depth. Errors naming `where`: kCorrupt, also where what is made of the pickle
// would take more than `most` bytes of memory (a value takes 112 and its opcode one); kUnsupported
// for an unknown name, or an integer of more than 64 bits.
Result<Pickle> parse_pickle(std::string_view bytes, std::string_view where,
                            const std::function<bool(std::string_view name)>& known, uint64_t most);
// What a pickle may take that is all of a file, or lies in one, of so many bytes.
inline uint64_t pickle_memory(uint64_t file_bytes) { return file_bytes + (uint64_t{24} << 20); }

}  // namespace ito
