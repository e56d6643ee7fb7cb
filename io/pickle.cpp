// Opcodes after the comments of CPython's Lib/pickletools.py. All of one stack machine, so one
// file.
#include "io/pickle.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "base/error.h"
#include "io/pickle_text.h"

namespace ito {
namespace {

using Kind = PickleValue::Kind;

constexpr size_t kMark = SIZE_MAX;

}  // namespace

const PickleValue* Pickle::find(const PickleValue& dictionary, std::string_view key) const {
  if (dictionary.kind != Kind::kDict) return nullptr;
  for (size_t i = 0; i + 1 < dictionary.items.size(); i += 2) {
    const PickleValue& name = item(dictionary, i);
    if (name.is_text() ? name.text == key : bytes_of(name) == key) return &item(dictionary, i + 1);
  }
  return nullptr;
}

std::optional<std::string> Pickle::bytes_of(const PickleValue& value) const {
  if (value.is_text()) return value.text;
  if (value.kind != Kind::kCall || item(value, 0).text != "_codecs.encode") return std::nullopt;
  const PickleValue& arguments = item(value, 1);
  if (arguments.items.size() != 2) return std::nullopt;
  const PickleValue &text = item(arguments, 0), &encoding = item(arguments, 1);
  if (text.kind != Kind::kText || (encoding.text != "latin1" && encoding.text != "latin-1"))
    return std::nullopt;
  return latin1_bytes(text.text);
}

// The stack machine that a pickle is a program of.
class PickleReader {
 public:
  PickleReader(std::string_view bytes, std::string_view where,
               const std::function<bool(std::string_view)>& known, uint64_t most)
      : bytes_(bytes), where_(where), known_(known), most_(most) {}

  Result<Pickle> read();

 private:
  Status step(uint8_t op, bool* stop);
  // One opcode of a group; nothing if it is of another.
  Result<bool> number_op(uint8_t op);
  Result<bool> text_op(uint8_t op);
  Result<bool> container_op(uint8_t op);
  Result<bool> memo_op(uint8_t op);
  Result<bool> call_op(uint8_t op);

  Error bad(std::string_view what) const {
    return corrupt("{}: damaged pickle at byte {}: {}", where_, at_, what);
  }

  Result<std::string_view> take(uint64_t count) {
    if (count > bytes_.size() - at_) return bad("it ends in the middle");
    const std::string_view part = bytes_.substr(at_, count);
    at_ += count;
    return part;
  }
  // Little-endian.
  Result<uint64_t> take_unsigned(size_t count) {
    ITO_ASSIGN(const std::string_view part, take(count));
    uint64_t value = 0;
    std::memcpy(&value, part.data(), count);
    return value;
  }
  Result<std::string_view> take_counted(size_t width) {
    ITO_ASSIGN(const uint64_t count, take_unsigned(width));
    return take(count);
  }
  Result<std::string_view> take_line() {
    const size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) return bad("a line without an end");
    const std::string_view line = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return line;
  }

  // Counted after each opcode: one makes no more than a few values of what is there already.
  static constexpr size_t kStackBytes = 24, kItemBytes = 12, kMemoBytes = 64;
  PickleIndex make(PickleValue value) {
    used_ += sizeof(PickleValue) + value.text.size() + kItemBytes * value.items.size();
    pickle_.values_.push_back(std::move(value));
    return static_cast<PickleIndex>(pickle_.values_.size() - 1);
  }
  void push_index(size_t index) {
    used_ += kStackBytes;
    stack_.push_back(index);
  }
  void push(PickleValue value) { push_index(make(std::move(value))); }
  Result<PickleIndex> pop() {
    if (stack_.empty() || stack_.back() == kMark) return bad("nothing on its stack");
    const auto index = static_cast<PickleIndex>(stack_.back());
    stack_.pop_back();
    return index;
  }
  Result<PickleValue*> top(Kind kind) {
    if (stack_.empty() || stack_.back() == kMark) return bad("nothing on its stack");
    PickleValue* value = &pickle_.values_[stack_.back()];
    if (value->kind != kind) return bad("an item for something that takes none");
    return value;
  }
  Result<std::vector<PickleIndex>> pop_to_mark() {
    std::vector<PickleIndex> items;
    size_t first = stack_.size();
    while (first > 0 && stack_[first - 1] != kMark) --first;
    if (first == 0) return bad("no mark on its stack");
    for (size_t i = first; i < stack_.size(); ++i)
      items.push_back(static_cast<PickleIndex>(stack_[i]));
    stack_.resize(first - 1);
    return items;
  }
  Status add_items(Kind kind, bool pairs) {
    ITO_ASSIGN(const std::vector<PickleIndex> items, pop_to_mark());
    if (pairs && items.size() % 2 != 0) return bad("a key without a value");
    if (stack_.empty() || stack_.back() == kMark) return bad("nothing on its stack");
    PickleValue& value = pickle_.values_[stack_.back()];
    // OrderedDict is a call whose entries follow.
    const bool filled = pairs && value.kind == Kind::kCall;
    if (!filled && value.kind != kind) return bad("an item for something that takes none");
    std::vector<PickleIndex>& into = filled ? value.entries : value.items;
    into.insert(into.end(), items.begin(), items.end());
    used_ += kItemBytes * items.size();
    return {};
  }
  Result<std::string> text_of(std::optional<std::string> text) const {
    if (!text) return bad("an escape that is none");
    return *std::move(text);
  }
  Status push_integer(std::string_view digits);
  Status push_long(std::string_view little_endian);
  Status push_global(std::string_view module, std::string_view name);
  Status push_remembered(uint64_t key);
  Status remember(uint64_t key) {
    if (stack_.empty() || stack_.back() == kMark) return bad("nothing to remember");
    used_ += kMemoBytes;
    memo_[key] = static_cast<PickleIndex>(stack_.back());
    return {};
  }
  Result<uint64_t> parse_key(std::string_view line) const {
    uint64_t key = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), key);
    if (error != std::errc() || end != line.data() + line.size()) return bad("no number in a line");
    return key;
  }
  Status push_call(PickleIndex callee, PickleIndex arguments);

  std::string_view bytes_, where_;
  const std::function<bool(std::string_view)>& known_;
  uint64_t most_, used_ = 0;
  size_t at_ = 0;
  Pickle pickle_;
  std::vector<size_t> stack_;  // indices, or kMark
  std::map<uint64_t, PickleIndex> memo_;
};

Status PickleReader::push_integer(std::string_view digits) {
  if (digits.ends_with('L')) digits.remove_suffix(1);
  PickleValue value{.kind = Kind::kInt, .text = {}, .items = {}, .entries = {}};
  if (digits == "00" || digits == "01") value.kind = Kind::kBool;  // protocol 0's booleans
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value.integer);
  if (error != std::errc() || end != digits.data() + digits.size())
    return bad("no 64-bit integer in a line");
  push(std::move(value));
  return {};
}

Status PickleReader::push_long(std::string_view little_endian) {
  if (little_endian.size() > 8)
    return unsupported("{}: the pickle holds an integer of {} bits", where_,
                       8 * little_endian.size());
  uint64_t value = 0;
  std::memcpy(&value, little_endian.data(), little_endian.size());
  const size_t bits = 8 * little_endian.size();
  if (bits > 0 && bits < 64 && (value >> (bits - 1)) != 0) value |= ~uint64_t{0} << bits;
  push({.kind = Kind::kInt,
        .integer = static_cast<int64_t>(value),
        .text = {},
        .items = {},
        .entries = {}});
  return {};
}

Status PickleReader::push_global(std::string_view module, std::string_view name) {
  std::string full = std::string(module) + "." + std::string(name);
  if (!known_(full))
    return unsupported(
        "{}: the pickle refers to {}, which could run code and is not read; save the tensors alone",
        where_, full);
  push({.kind = Kind::kGlobal, .text = std::move(full), .items = {}, .entries = {}});
  return {};
}

Status PickleReader::push_remembered(uint64_t key) {
  const auto found = memo_.find(key);
  if (found == memo_.end()) return bad("it refers to what it has not remembered");
  push_index(found->second);
  return {};
}

Status PickleReader::push_call(PickleIndex callee, PickleIndex arguments) {
  if (pickle_.values_[callee].kind != Kind::kGlobal) return bad("a call of what is no name");
  if (pickle_.values_[arguments].kind != Kind::kTuple) return bad("arguments that are no tuple");
  push({.kind = Kind::kCall, .text = {}, .items = {callee, arguments}, .entries = {}});
  return {};
}

Result<bool> PickleReader::number_op(uint8_t op) {
  const auto integer = [&](size_t width) -> Status {
    ITO_ASSIGN(const std::string_view part, take(width));
    uint64_t value = 0;
    std::memcpy(&value, part.data(), width);
    // BININT alone of these is signed.
    const int64_t number = width == 4 ? static_cast<int32_t>(value) : static_cast<int64_t>(value);
    push({.kind = Kind::kInt, .integer = number, .text = {}, .items = {}, .entries = {}});
    return {};
  };
  switch (op) {
    case 'N':
      push({.kind = Kind::kNone, .text = {}, .items = {}, .entries = {}});
      return true;
    case 0x88:
    case 0x89:
      push({.kind = Kind::kBool, .integer = op == 0x88, .text = {}, .items = {}, .entries = {}});
      return true;
    case 'J':
      ITO_TRY(integer(4));
      return true;
    case 'K':
      ITO_TRY(integer(1));
      return true;
    case 'M':
      ITO_TRY(integer(2));
      return true;
    case 'I':
    case 'L': {
      ITO_ASSIGN(const std::string_view line, take_line());
      ITO_TRY(push_integer(line));
      return true;
    }
    case 0x8a:
    case 0x8b: {
      ITO_ASSIGN(const std::string_view digits, take_counted(op == 0x8a ? 1 : 4));
      ITO_TRY(push_long(digits));
      return true;
    }
    case 'F': {
      ITO_ASSIGN(const std::string_view line, take_line());
      double number = 0;
      const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
      if (error != std::errc() || end != line.data() + line.size())
        return bad("no number in a line");
      push({.kind = Kind::kFloat, .number = number, .text = {}, .items = {}, .entries = {}});
      return true;
    }
    case 'G': {
      ITO_ASSIGN(const std::string_view part, take(8));
      uint64_t bits = 0;  // big-endian
      for (const char c : part) bits = bits << 8 | static_cast<uint8_t>(c);
      push({.kind = Kind::kFloat,
            .number = std::bit_cast<double>(bits),
            .text = {},
            .items = {},
            .entries = {}});
      return true;
    }
    default:
      return false;
  }
}

Result<bool> PickleReader::text_op(uint8_t op) {
  struct Counted {
    uint8_t op;
    uint8_t width;
    Kind kind;
  };
  // Python 2's strings (T, U) are bytes to some and text to others; names of tensors are text.
  constexpr Counted kCounted[] = {
      {'T', 4, Kind::kText},  {'U', 1, Kind::kText},   {'X', 4, Kind::kText},
      {0x8c, 1, Kind::kText}, {0x8d, 8, Kind::kText},  {'B', 4, Kind::kBytes},
      {'C', 1, Kind::kBytes}, {0x8e, 8, Kind::kBytes}, {0x96, 8, Kind::kBytes}};
  for (const Counted& row : kCounted) {
    if (row.op != op) continue;
    ITO_ASSIGN(const std::string_view text, take_counted(row.width));
    push({.kind = row.kind, .text = std::string(text), .items = {}, .entries = {}});
    return true;
  }
  if (op != 'S' && op != 'V') return false;
  ITO_ASSIGN(std::string_view line, take_line());
  if (op == 'V') {
    ITO_ASSIGN(std::string text, text_of(pickle_unicode(line)));
    push({.kind = Kind::kText, .text = std::move(text), .items = {}, .entries = {}});
    return true;
  }
  if (line.size() < 2 || line.front() != line.back() ||
      (line.front() != '\'' && line.front() != '"'))
    return bad("a string without quotes");
  ITO_ASSIGN(std::string text, text_of(pickle_string(line.substr(1, line.size() - 2))));
  push({.kind = Kind::kText, .text = std::move(text), .items = {}, .entries = {}});
  return true;
}

Result<bool> PickleReader::container_op(uint8_t op) {
  switch (op) {
    case ']':
    case 0x8f:
      push({.kind = Kind::kList, .text = {}, .items = {}, .entries = {}});
      return true;
    case ')':
      push({.kind = Kind::kTuple, .text = {}, .items = {}, .entries = {}});
      return true;
    case '}':
      push({.kind = Kind::kDict, .text = {}, .items = {}, .entries = {}});
      return true;
    case 'l':
    case 't':
    case 'd':
    case 0x91: {
      ITO_ASSIGN(std::vector<PickleIndex> items, pop_to_mark());
      if (op == 'd' && items.size() % 2 != 0) return bad("a key without a value");
      const Kind kind = op == 't' ? Kind::kTuple : op == 'd' ? Kind::kDict : Kind::kList;
      push({.kind = kind, .text = {}, .items = std::move(items), .entries = {}});
      return true;
    }
    case 0x85:
    case 0x86:
    case 0x87: {
      std::vector<PickleIndex> items(op - 0x84u);
      for (size_t i = items.size(); i-- > 0;) {
        ITO_ASSIGN(items[i], pop());
      }
      push({.kind = Kind::kTuple, .text = {}, .items = std::move(items), .entries = {}});
      return true;
    }
    case 'a': {
      ITO_ASSIGN(const PickleIndex item, pop());
      ITO_ASSIGN(PickleValue* const list, top(Kind::kList));
      list->items.push_back(item);
      used_ += kItemBytes;
      return true;
    }
    case 'e':
    case 0x90:
      ITO_TRY(add_items(Kind::kList, false));
      return true;
    case 's': {
      ITO_ASSIGN(const PickleIndex value, pop());
      ITO_ASSIGN(const PickleIndex key, pop());
      stack_.push_back(kMark);
      stack_.push_back(key);
      stack_.push_back(value);
      ITO_TRY(add_items(Kind::kDict, true));
      return true;
    }
    case 'u':
      ITO_TRY(add_items(Kind::kDict, true));
      return true;
    default:
      return false;
  }
}

Result<bool> PickleReader::memo_op(uint8_t op) {
  switch (op) {
    case '(':
      push_index(kMark);
      return true;
    case '0':
      if (stack_.empty()) return bad("nothing on its stack");
      stack_.pop_back();
      return true;
    case '1':
      ITO_TRY(pop_to_mark());
      return true;
    case '2': {
      ITO_ASSIGN(const PickleIndex index, pop());
      stack_.push_back(index);
      push_index(index);
      return true;
    }
    case 'p':
    case 'g': {
      ITO_ASSIGN(const std::string_view line, take_line());
      ITO_ASSIGN(const uint64_t key, parse_key(line));
      ITO_TRY(op == 'p' ? remember(key) : push_remembered(key));
      return true;
    }
    case 'q':
    case 'r':
    case 'h':
    case 'j': {
      ITO_ASSIGN(const uint64_t key, take_unsigned(op == 'q' || op == 'h' ? 1 : 4));
      ITO_TRY(op == 'q' || op == 'r' ? remember(key) : push_remembered(key));
      return true;
    }
    case 0x94:
      ITO_TRY(remember(memo_.size()));
      return true;
    default:
      return false;
  }
}

Result<bool> PickleReader::call_op(uint8_t op) {
  switch (op) {
    case 'c': {
      ITO_ASSIGN(const std::string_view module, take_line());
      ITO_ASSIGN(const std::string_view name, take_line());
      ITO_TRY(push_global(module, name));
      return true;
    }
    case 0x93: {
      ITO_ASSIGN(const PickleIndex name, pop());
      ITO_ASSIGN(const PickleIndex module, pop());
      const PickleValue &m = pickle_.values_[module], &n = pickle_.values_[name];
      if (m.kind != Kind::kText || n.kind != Kind::kText) return bad("a name that is no text");
      ITO_TRY(push_global(std::string(m.text), std::string(n.text)));
      return true;
    }
    case 'R':
    case 0x81: {
      ITO_ASSIGN(const PickleIndex arguments, pop());
      ITO_ASSIGN(const PickleIndex callee, pop());
      ITO_TRY(push_call(callee, arguments));
      return true;
    }
    case 'i':
    case 'o': {  // the callee's name in two lines, or first after the mark
      if (op == 'i') {
        ITO_ASSIGN(const std::string_view module, take_line());
        ITO_ASSIGN(const std::string_view name, take_line());
        ITO_TRY(push_global(module, name));
      }
      PickleIndex callee = 0;
      if (op == 'i') {
        ITO_ASSIGN(callee, pop());
      }
      ITO_ASSIGN(std::vector<PickleIndex> items, pop_to_mark());
      if (op == 'o') {
        if (items.empty()) return bad("a call of nothing");
        callee = items.front();
        items.erase(items.begin());
      }
      const PickleIndex arguments =
          make({.kind = Kind::kTuple, .text = {}, .items = std::move(items), .entries = {}});
      ITO_TRY(push_call(callee, arguments));
      return true;
    }
    case 'b': {
      ITO_ASSIGN(const PickleIndex state, pop());
      ITO_ASSIGN(PickleValue* const call, top(Kind::kCall));
      call->items.push_back(state);
      used_ += kItemBytes;
      return true;
    }
    case 'P':
    case 'Q': {
      PickleIndex id = 0;
      if (op == 'P') {
        ITO_ASSIGN(const std::string_view line, take_line());
        id = make({.kind = Kind::kText, .text = std::string(line), .items = {}, .entries = {}});
      } else {
        ITO_ASSIGN(id, pop());
      }
      push({.kind = Kind::kPersistent, .text = {}, .items = {id}, .entries = {}});
      return true;
    }
    default:
      return false;
  }
}

Status PickleReader::step(uint8_t op, bool* stop) {
  if (op == '.') {
    *stop = true;
    return {};
  }
  if (op == 0x80) {
    ITO_ASSIGN(const uint64_t protocol, take_unsigned(1));
    if (protocol > 5) return unsupported("{}: a pickle of protocol {}", where_, protocol);
    return {};
  }
  if (op == 0x95) {  // a frame's length says nothing that the opcodes do not
    ITO_TRY(take(8));
    return {};
  }
  for (const auto group :
       {&PickleReader::number_op, &PickleReader::text_op, &PickleReader::container_op,
        &PickleReader::memo_op, &PickleReader::call_op}) {
    ITO_ASSIGN(const bool done, (this->*group)(op));
    if (done) return {};
  }
  // Registered extensions and buffers outside the pickle.
  if ((op >= 0x82 && op <= 0x84) || op == 0x97 || op == 0x98)
    return unsupported("{}: the pickle's opcode {:#04x} is not read", where_, op);
  return bad(fmt::format("opcode {:#04x} is unknown", op));
}

Result<Pickle> PickleReader::read() {
  bool stop = false;
  while (!stop) {
    ITO_ASSIGN(const uint64_t op, take_unsigned(1));
    ITO_TRY(step(static_cast<uint8_t>(op), &stop));
    if (used_ > most_)
      return corrupt("{}: the pickle holds more values than one of its size may", where_);
  }
  ITO_ASSIGN(pickle_.root_, pop());
  pickle_.size_ = at_;
  return std::move(pickle_);
}

Result<Pickle> parse_pickle(std::string_view bytes, std::string_view where,
                            const std::function<bool(std::string_view name)>& known,
                            uint64_t most) {
  return PickleReader(bytes, where, known, most).read();
}

}  // namespace ito
