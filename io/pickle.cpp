// The opcodes are those of Python's pickletools.py.
#include "io/pickle.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>

#include "base/error.h"

namespace ito {
namespace {

using Kind = PickleValue::Kind;
constexpr size_t kMostValues = size_t{1} << 26;

class Machine {
 public:
  Machine(std::string_view bytes, std::span<const std::string_view> allowed, std::string_view where)
      : bytes_(bytes), allowed_(allowed), where_(where) {}

  Result<Pickle> run() {
    for (size_t steps = 0;; ++steps) {
      if (steps > kMostValues) return corrupt("{}: the pickle has too many values", where_);
      if (at_ >= bytes_.size()) return truncated();
      const char op = bytes_[at_++];
      if (op == '.') {
        if (stack_.size() != 1) return damaged();
        return Pickle{std::move(arena_), stack_[0]};
      }
      ITO_TRY(step(op));
      if (short_) return truncated();
      if (bad_) return damaged();
    }
  }

 private:
  Error truncated() const { return corrupt("{}: the pickle is truncated", where_); }
  Error damaged() const { return corrupt("{}: the pickle is damaged at byte {}", where_, at_); }

  PickleRef make(Kind kind) {
    arena_->emplace_back();
    arena_->back().kind = kind;
    return &arena_->back();
  }
  PickleRef text_value(Kind kind, std::string text) {
    PickleRef value = make(kind);
    value->text = std::move(text);
    return value;
  }
  PickleRef int_value(int64_t number, Kind kind = Kind::kInt) {
    PickleRef value = make(kind);
    value->integer = number;
    return value;
  }
  std::string take(uint64_t size) {
    if (size > bytes_.size() - at_) {
      short_ = true;
      return {};
    }
    std::string out(bytes_.substr(at_, size));
    at_ += size;
    return out;
  }
  uint64_t number(size_t size) {
    const std::string raw = take(size);
    uint64_t value = 0;
    for (size_t i = raw.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(raw[i]);
    return value;
  }
  std::string line() {
    const size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) {
      short_ = true;
      return {};
    }
    std::string out(bytes_.substr(at_, end - at_));
    at_ = end + 1;
    return out;
  }
  void push(PickleRef value) { stack_.push_back(value); }
  PickleRef pop() {
    if (stack_.empty()) {
      bad_ = true;
      return make(Kind::kNone);
    }
    const PickleRef value = stack_.back();
    stack_.pop_back();
    return value;
  }
  std::vector<PickleRef> pop_to_mark() {
    std::vector<PickleRef> items;
    while (!stack_.empty() && stack_.back()->kind != Kind::kMark) items.push_back(pop());
    pop();  // the mark; bad where there was none
    std::reverse(items.begin(), items.end());
    return items;
  }
  PickleValue* top(Kind kind) {
    if (stack_.empty() || stack_.back()->kind != kind) return nullptr;
    return stack_.back();
  }
  PickleRef sequence(Kind kind, std::vector<PickleRef> items) {
    PickleRef value = make(kind);
    value->items = std::move(items);
    return value;
  }
  PickleRef tuple_of(size_t n) {
    std::vector<PickleRef> items(n);
    for (size_t i = n; i-- > 0;) items[i] = pop();
    return sequence(Kind::kTuple, std::move(items));
  }
  void set_items(const std::vector<PickleRef>& items) {
    PickleValue* dict = top(Kind::kDict);
    // An OrderedDict is made by a call and then filled as a dict is.
    if (dict == nullptr) dict = top(Kind::kCall);
    if (dict == nullptr || items.size() % 2 != 0) {
      bad_ = true;
      return;
    }
    for (size_t i = 0; i + 1 < items.size(); i += 2)
      dict->entries.emplace_back(items[i], items[i + 1]);
  }
  void append_items(const std::vector<PickleRef>& items) {
    PickleValue* list = top(Kind::kList);
    if (list == nullptr) {
      bad_ = true;
      return;
    }
    list->items.insert(list->items.end(), items.begin(), items.end());
  }
  void remember(uint64_t key) {
    if (stack_.empty()) {
      bad_ = true;
      return;
    }
    memo_[key] = stack_.back();
  }
  void recall(uint64_t key) {
    const auto it = memo_.find(key);
    if (it == memo_.end()) {
      bad_ = true;
      return;
    }
    push(it->second);
  }
  Status push_global(const std::string& module, const std::string& name) {
    const std::string full = module + "." + name;
    if (std::find(allowed_.begin(), allowed_.end(), full) == allowed_.end())
      return unsupported(
          "{}: the pickle calls {}; only arrays and plain values are read, and nothing is run",
          where_, full);
    push(text_value(Kind::kGlobal, full));
    return {};
  }
  void call(PickleRef callee, PickleRef arguments) {
    if (callee->kind != Kind::kGlobal) bad_ = true;
    push(sequence(Kind::kCall, {callee, arguments}));
  }
  uint64_t decimal(const std::string& text) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) bad_ = true;
    return value;
  }
  PickleRef signed_text(std::string text) {
    if (text == "00" || text == "01") return int_value(text == "01", Kind::kBool);
    if (text.ends_with("L")) text.pop_back();
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) bad_ = true;
    return int_value(value);
  }
  PickleRef long_value(uint64_t size) {
    if (size > 8) bad_ = true;
    const std::string raw = take(size);
    uint64_t value = 0;
    const bool negative = !raw.empty() && (raw.back() & 0x80) != 0;
    for (size_t i = 0; i < 8; ++i) {
      const uint64_t byte = i < raw.size() ? static_cast<unsigned char>(raw[i])
                            : negative     ? 0xff
                                           : 0;
      value |= byte << (8 * i);
    }
    return int_value(static_cast<int64_t>(value));
  }
  // A quoted string of protocol 0 with Python's escapes.
  PickleRef quoted_text() {
    const std::string raw = line();
    std::string out;
    if (raw.size() < 2 || raw.front() != raw.back()) {
      bad_ = !short_;
      return make(Kind::kBytes);
    }
    for (size_t i = 1; i + 1 < raw.size(); ++i) {
      if (raw[i] != '\\') {
        out += raw[i];
        continue;
      }
      const char c = raw[++i];
      if (c == 'x' && i + 2 < raw.size() - 1) {
        int value = 0;
        std::from_chars(raw.data() + i + 1, raw.data() + i + 3, value, 16);
        out += static_cast<char>(value);
        i += 2;
      } else {
        out += c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
      }
    }
    return text_value(Kind::kBytes, out);
  }

  Status step(char op);

  std::string_view bytes_;
  std::span<const std::string_view> allowed_;
  std::string_view where_;
  size_t at_ = 0;
  bool short_ = false, bad_ = false;
  std::unique_ptr<std::deque<PickleValue>> arena_ = std::make_unique<std::deque<PickleValue>>();
  std::vector<PickleRef> stack_;
  std::map<uint64_t, PickleRef> memo_;
};

Status Machine::step(char op) {
  switch (op) {
    case '\x80':
      take(1);
      break;  // PROTO
    case '\x95':
      take(8);
      break;  // FRAME
    case '(':
      push(make(Kind::kMark));
      break;
    case '0':
      pop();
      break;
    case '1':
      pop_to_mark();
      break;
    case '2': {
      const PickleRef value = pop();
      push(value);
      push(value);
      break;
    }
    case 'N':
      push(make(Kind::kNone));
      break;
    case '\x88':
      push(int_value(1, Kind::kBool));
      break;
    case '\x89':
      push(int_value(0, Kind::kBool));
      break;
    case 'I':
    case 'L':
      push(signed_text(line()));
      break;
    case 'J':
      push(int_value(static_cast<int32_t>(number(4))));
      break;
    case 'K':
      push(int_value(static_cast<int64_t>(number(1))));
      break;
    case 'M':
      push(int_value(static_cast<int64_t>(number(2))));
      break;
    case '\x8a':
      push(long_value(number(1)));
      break;
    case '\x8b':
      push(long_value(number(4)));
      break;
    case 'F': {
      const std::string text = line();
      PickleRef value = make(Kind::kFloat);
      if (std::from_chars(text.data(), text.data() + text.size(), value->number).ec != std::errc())
        bad_ = true;
      push(value);
      break;
    }
    case 'G': {
      const std::string raw = take(8);
      uint64_t bits = 0;
      for (const char c : raw) bits = bits << 8 | static_cast<unsigned char>(c);
      PickleRef value = make(Kind::kFloat);
      std::memcpy(&value->number, &bits, 8);
      push(value);
      break;
    }
    case 'S':
      push(quoted_text());
      break;
    case 'T':
      push(text_value(Kind::kBytes, take(number(4))));
      break;
    case 'U':
      push(text_value(Kind::kBytes, take(number(1))));
      break;
    case 'B':
      push(text_value(Kind::kBytes, take(number(4))));
      break;
    case 'C':
      push(text_value(Kind::kBytes, take(number(1))));
      break;
    case '\x8e':
    case '\x96':
      push(text_value(Kind::kBytes, take(number(8))));
      break;
    case 'V':
      push(text_value(Kind::kText, line()));
      break;
    case 'X':
      push(text_value(Kind::kText, take(number(4))));
      break;
    case '\x8c':
      push(text_value(Kind::kText, take(number(1))));
      break;
    case '\x8d':
      push(text_value(Kind::kText, take(number(8))));
      break;
    case ']':
      push(make(Kind::kList));
      break;
    case 'l':
      push(sequence(Kind::kList, pop_to_mark()));
      break;
    case 'a': {
      const PickleRef value = pop();
      append_items({value});
      break;
    }
    case 'e':
      append_items(pop_to_mark());
      break;
    case ')':
      push(make(Kind::kTuple));
      break;
    case 't':
      push(sequence(Kind::kTuple, pop_to_mark()));
      break;
    case '\x85':
      push(tuple_of(1));
      break;
    case '\x86':
      push(tuple_of(2));
      break;
    case '\x87':
      push(tuple_of(3));
      break;
    case '}':
      push(make(Kind::kDict));
      break;
    case 'd': {
      const std::vector<PickleRef> items = pop_to_mark();
      push(make(Kind::kDict));
      set_items(items);
      break;
    }
    case 's': {
      const PickleRef value = pop(), key = pop();
      set_items({key, value});
      break;
    }
    case 'u':
      set_items(pop_to_mark());
      break;
    case 'p':
      remember(decimal(line()));
      break;
    case 'q':
      remember(number(1));
      break;
    case 'r':
      remember(number(4));
      break;
    case '\x94':
      remember(memo_.size());
      break;
    case 'g':
      recall(decimal(line()));
      break;
    case 'h':
      recall(number(1));
      break;
    case 'j':
      recall(number(4));
      break;
    case 'c': {
      const std::string module = line(), name = line();
      if (!short_) return push_global(module, name);
      break;
    }
    case '\x93': {
      const PickleRef name = pop(), module = pop();
      if (!bad_ && name->is_text() && module->is_text())
        return push_global(module->text, name->text);
      bad_ = true;
      break;
    }
    case 'i': {  // INST: a class by name, called with what follows the mark
      const std::string module = line(), name = line();
      if (short_) break;
      std::vector<PickleRef> arguments = pop_to_mark();
      ITO_TRY(push_global(module, name));
      PickleRef callee = pop();
      call(callee, sequence(Kind::kTuple, std::move(arguments)));
      break;
    }
    case 'o': {  // OBJ
      std::vector<PickleRef> items = pop_to_mark();
      if (items.empty()) {
        bad_ = true;
        break;
      }
      PickleRef callee = items.front();
      items.erase(items.begin());
      call(callee, sequence(Kind::kTuple, std::move(items)));
      break;
    }
    case 'R':
    case '\x81': {  // REDUCE, NEWOBJ
      PickleRef arguments = pop(), callee = pop();
      call(callee, arguments);
      break;
    }
    case 'b': {  // BUILD
      PickleRef state = pop();
      PickleValue* object = top(Kind::kCall);
      if (object == nullptr) {
        bad_ = true;
      } else {
        object->items.push_back(state);
      }
      break;
    }
    case 'P':
      push(sequence(Kind::kPersistent, {text_value(Kind::kText, line())}));
      break;
    case 'Q': {
      PickleRef identity = pop();
      push(sequence(Kind::kPersistent, {identity}));
      break;
    }
    default:
      return unsupported("{}: the pickle has the opcode {:#04x}, which plain values do not need",
                         where_, static_cast<unsigned char>(op));
  }
  return {};
}

}  // namespace

const PickleValue* PickleValue::find(std::string_view key) const {
  for (const auto& [name, value] : entries)
    if (name->is_text() && name->text == key) return value;
  return nullptr;
}

Result<Pickle> parse_pickle(std::string_view bytes, std::span<const std::string_view> allowed,
                            std::string_view where) {
  return Machine(bytes, allowed, where).run();
}

}  // namespace ito
