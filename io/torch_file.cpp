#include "io/torch_file.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "io/compress.h"
#include "io/file_kind.h"
#include "io/pickle.h"
#include "io/torch_names.h"
#include "io/zip.h"

namespace ito {
namespace {

using Kind = PickleValue::Kind;
using namespace torch_names;

struct Storage {
  HostType type;
  int64_t numel = 0;
  std::string_view bytes;
};

// Where the tensors' numbers lie.
class Storages {
 public:
  virtual ~Storages() = default;
  virtual Result<std::string_view> find(const std::string& key) = 0;
};

constexpr int kDeepest = 64;
constexpr size_t kTypeArgument = 6;  // of _rebuild_tensor_v3
// Tensors that lie in the mapped file take no memory of their own; one may have some names.
constexpr uint64_t kNamesOfOne = 16;
// What is copied of the mapped file, and what names and shapes take, may be so much more than the
// file is.
constexpr uint64_t kFree = uint64_t{16} << 20;

// A file in memory; with `owner`, which keeps it, tensors are parts of it.
struct Source {
  std::string_view bytes, where;
  std::shared_ptr<const void> owner = nullptr;
};

// The tensors that a pickle describes.
class Reader {
 public:
  Reader(const Pickle& pickle, Storages& storages, const Source& source)
      : pickle_(pickle),
        storages_(storages),
        where_(source.where),
        owner_(source.owner),
        left_(source.owner ? source.bytes.size() + kFree : 4 * source.bytes.size() + 4096),
        names_left_(source.bytes.size() / 4 + kFree),
        visits_(4 * pickle.values() + 64) {}

  Result<TensorFile> read() {
    if (is_tensor(pickle_.root())) {
      ITO_TRY(add("tensor", pickle_.root()));
    } else {
      ITO_TRY(walk("", pickle_.root_index(), 0));
    }
    return std::move(file_);
  }

 private:
  Error bad(std::string_view name, std::string_view what) const {
    return corrupt("{}: tensor {}: {}", where_, name, what);
  }
  const PickleValue& at(const PickleValue& value, size_t i) const {
    return pickle_[value.items[i]];
  }
  std::string_view callee(const PickleValue& value) const {
    return value.kind == Kind::kCall ? std::string_view(at(value, 0).text) : "";
  }
  bool is_tensor(const PickleValue& value) const {
    const std::string_view name = callee(value);
    return name == kTensor || name == kOldTensor || name == kTypedTensor || is_parameter(value) ||
           !other_torch_tensor(name).empty();
  }
  bool is_parameter(const PickleValue& value) const {
    const std::string_view name = callee(value);
    return name == kParameter || name == kParameterWithState;
  }

  // What keeps a tensor from being read: its element type or its form; nothing if nothing does.
  // `call` is no parameter.
  std::optional<std::string> unread_type(const PickleValue& call) const {
    if (const std::string_view other = other_torch_tensor(callee(call)); !other.empty())
      return std::string(other);
    const PickleValue& arguments = at(call, 1);
    if (const std::string bits = pending(call); !bits.empty()) return bits;
    if (callee(call) == kTypedTensor) {
      if (arguments.items.size() < kTypeArgument + 1) return std::nullopt;
      const std::string& name = at(arguments, kTypeArgument).text;
      return torch_element_type(name) ? std::nullopt : std::optional(name);
    }
    if (arguments.items.empty()) return std::nullopt;
    const PickleValue& storage = at(arguments, 0);
    if (storage.kind != Kind::kPersistent || at(storage, 0).items.size() < 2) return std::nullopt;
    const std::string& name = at(at(storage, 0), 1).text;
    const TorchStorage* row = torch_storage(name);
    return row != nullptr && row->type ? std::nullopt : std::optional(name);
  }

  // What PyTorch has put off and the numbers do not show, "negated (neg), not applied yet"; or "".
  std::string pending(const PickleValue& call) const {
    const PickleValue& arguments = at(call, 1);
    const size_t place = kTypeArgument + (callee(call) == kTypedTensor ? 1 : 0);
    if (callee(call) == kOldTensor || arguments.items.size() <= place) return {};
    const PickleValue& metadata = at(arguments, place);
    if (metadata.kind == Kind::kNone) return {};
    if (metadata.kind != Kind::kDict) return "with metadata of another form";
    for (size_t i = 0; i + 1 < metadata.items.size(); i += 2)
      if (const PickleValue& value = at(metadata, i + 1);
          value.kind != Kind::kBool || value.integer != 0)
        return fmt::format("with \"{}\" still to be applied to it", at(metadata, i).text);
    return {};
  }

  // Tensors below a value: in dictionaries by key, in lists by place.
  Status walk(const std::string& prefix, PickleIndex index, int depth) {
    const PickleValue& value = pickle_[index];
    const bool filled = value.kind == Kind::kCall;
    const bool dictionary = value.kind == Kind::kDict || filled;
    const bool list = value.kind == Kind::kList || value.kind == Kind::kTuple;
    if (!dictionary && !list) return {};
    if (!above_.insert(index).second) return {};  // within itself
    // One in two places is read in both, but not in places without end.
    if (visits_-- == 0)
      return corrupt("{}: dictionaries are repeated in it again and again", where_);
    if (depth > kDeepest)
      return corrupt("{}: dictionaries within dictionaries beyond {} levels", where_, kDeepest);
    const std::vector<PickleIndex>& items = filled ? value.entries : value.items;
    const size_t stride = dictionary ? 2 : 1;
    for (size_t i = 0; i + stride <= items.size(); i += stride) {
      std::optional<std::string> key = std::to_string(i);
      if (dictionary) key = text_of(pickle_[items[i]]);
      if (!key) continue;
      const std::string name = prefix.empty() ? *key : prefix + "." + *key;
      const PickleIndex member = items[i + stride - 1];
      if (is_tensor(pickle_[member])) {
        ITO_TRY(add(name, pickle_[member]));
      } else {
        ITO_TRY(walk(name, member, depth + 1));
      }
    }
    above_.erase(index);
    return {};
  }

  static std::optional<std::string> text_of(const PickleValue& key) {
    if (key.kind == Kind::kText || key.kind == Kind::kBytes) return key.text;
    if (key.kind == Kind::kInt) return std::to_string(key.integer);
    return std::nullopt;
  }

  Status add(const std::string& name, const PickleValue& given) {
    // A long key may be that of many dictionaries within one another.
    constexpr uint64_t kTensorBytes = 256;
    if (names_left_ < kTensorBytes + name.size())
      return corrupt("{}: the names of its tensors take many times the file", where_);
    names_left_ -= kTensorBytes + name.size();
    const PickleValue* call = &given;
    if (is_parameter(given)) {
      const PickleValue& arguments = at(given, 1);
      if (arguments.items.empty() || !is_tensor(at(arguments, 0)) || is_parameter(at(arguments, 0)))
        return bad(name, "a parameter of no tensor");
      call = &at(arguments, 0);
    }
    if (const auto unread = unread_type(*call)) {
      file_.unread[name] = *unread;
      return {};
    }
    ITO_ASSIGN(HostTensor tensor, tensor_of(name, *call));
    if (!file_.tensors.emplace(name, std::move(tensor)).second)
      return bad(name, "it is there twice");
    return {};
  }

  Result<std::vector<int64_t>> integers(std::string_view name, const PickleValue& value) const {
    std::vector<int64_t> numbers;
    // torch.Size is a call with the tuple as its argument.
    const PickleValue* tuple = &value;
    if (value.kind == Kind::kCall && at(value, 1).items.size() == 1) tuple = &at(at(value, 1), 0);
    if (tuple->kind != Kind::kTuple && tuple->kind != Kind::kList)
      return bad(name, "a shape that is no tuple");
    for (const PickleIndex item : tuple->items) {
      if (pickle_[item].kind != Kind::kInt) return bad(name, "a shape that is no integers");
      numbers.push_back(pickle_[item].integer);
    }
    return numbers;
  }

  Result<Storage> storage_of(std::string_view name, const PickleValue& value) {
    if (value.kind != Kind::kPersistent || at(value, 0).kind != Kind::kTuple ||
        at(value, 0).items.size() < 5)
      return bad(name, "it has no storage");
    const PickleValue& id = at(value, 0);  // "storage", class, key, device, numbers …
    const TorchStorage* row = torch_storage(at(id, 1).text);
    if (row == nullptr)
      return unsupported("{}: tensor {}: unknown storage {}", where_, name, at(id, 1).text);
    const std::optional<std::string> key = text_of(at(id, 2));
    if (!key || at(id, 4).kind != Kind::kInt) return bad(name, "its storage has no name or size");
    CHECK(row->type.has_value(), "unread types are left out before");
    ITO_ASSIGN(const std::string_view bytes, storages_.find(*key));
    const std::optional<int64_t> numel = checked_numel({at(id, 4).integer}, row->size);
    if (!numel || static_cast<uint64_t>(*numel) * row->size != bytes.size())
      return bad(name, fmt::format("its storage of {} numbers has {} bytes", at(id, 4).integer,
                                   bytes.size()));
    return Storage{*row->type, *numel, bytes};
  }

  // `call` is no parameter and of a type that is read.
  Result<HostTensor> tensor_of(const std::string& name, const PickleValue& call) {
    const PickleValue& arguments = at(call, 1);
    const bool typed = callee(call) == kTypedTensor;
    if (arguments.items.size() < (typed ? kTypeArgument + 1 : 4))
      return bad(name, "too few arguments");
    ITO_ASSIGN(Storage storage, storage_of(name, at(arguments, 0)));
    if (typed) {
      storage.type = *torch_element_type(at(arguments, kTypeArgument).text);
      storage.numel = static_cast<int64_t>(storage.bytes.size() / host_type_size(storage.type));
    }
    ITO_ASSIGN(const std::vector<int64_t> shape, integers(name, at(arguments, 2)));
    ITO_ASSIGN(const std::vector<int64_t> strides, integers(name, at(arguments, 3)));
    if (at(arguments, 1).kind != Kind::kInt || strides.size() != shape.size())
      return bad(name, "offset, shape and strides do not agree");
    return gather(name, storage, at(arguments, 1).integer, shape, strides);
  }

  Result<HostTensor> gather(const std::string& name, const Storage& storage, int64_t offset,
                            const std::vector<int64_t>& shape,
                            const std::vector<int64_t>& strides) {
    const size_t size = host_type_size(storage.type);
    const std::optional<int64_t> numel = checked_numel(shape, size);
    if (!numel) return bad(name, "its shape overflows");
    // The last element's place, every term checked.
    int64_t last = offset;
    for (size_t i = 0; i < shape.size() && *numel > 0; ++i) {
      int64_t term = 0;
      if (strides[i] < 0 || __builtin_mul_overflow(shape[i] - 1, strides[i], &term) ||
          __builtin_add_overflow(last, term, &last))
        return bad(name, "its strides lie outside its storage");
    }
    if (offset < 0 || (*numel > 0 && last >= storage.numel))
      return bad(name, "it lies outside its storage");
    const uint64_t bytes = static_cast<uint64_t>(*numel) * size;
    const bool mapped = owner_ && is_row_major(shape, strides);
    const uint64_t taken = mapped ? bytes / kNamesOfOne : bytes;
    if (taken > left_)
      return corrupt(
          "{}: its tensors take many times the file, as {} does with others; save each under one "
          "name alone, and by contiguous()",
          where_, name);
    left_ -= taken;
    HostTensor tensor{storage.type, Shape(shape), {}};
    if (*numel == 0) return tensor;
    const char* const source = storage.bytes.data();
    if (is_row_major(shape, strides)) {
      const std::string_view part(source + static_cast<size_t>(offset) * size, bytes);
      tensor.bytes = owner_ ? TensorBytes::part_of(owner_, part)
                            : TensorBytes(std::vector<uint8_t>(part.begin(), part.end()));
      return tensor;
    }
    std::vector<uint8_t>& values = tensor.bytes.own();
    values.resize(bytes);
    std::vector<int64_t> place(shape.size(), 0);
    int64_t from = offset;
    for (uint64_t to = 0; to < bytes; to += size) {
      std::memcpy(values.data() + to, source + static_cast<size_t>(from) * size, size);
      for (size_t i = shape.size(); i-- > 0;) {
        from += strides[i];
        if (++place[i] < shape[i]) break;
        from -= strides[i] * shape[i];
        place[i] = 0;
      }
    }
    return tensor;
  }

  static bool is_row_major(const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
    int64_t expected = 1;
    for (size_t i = shape.size(); i-- > 0;) {
      if (shape[i] != 1 && strides[i] != expected) return false;
      expected *= shape[i];
    }
    return true;
  }

  const Pickle& pickle_;
  Storages& storages_;
  std::string_view where_;
  std::shared_ptr<const void> owner_;
  uint64_t left_, names_left_;
  size_t visits_;
  std::set<PickleIndex> above_;  // the containers that walk() is in
  TensorFile file_;
};

// Entries "data/KEY" of the archive.
class ZipStorages : public Storages {
 public:
  ZipStorages(const std::vector<ZipEntry>& entries, std::string root, std::string_view where)
      : root_(std::move(root)), where_(where) {
    for (const ZipEntry& entry : entries) entries_.emplace(entry.name, &entry);
  }
  Result<std::string_view> find(const std::string& key) override {
    const auto known = checked_.find(key);
    if (known != checked_.end()) return known->second;
    const auto found = entries_.find(root_ + "data/" + key);
    if (found == entries_.end())
      return corrupt("{}: storage {} is missing in the archive", where_, key);
    const ZipEntry& entry = *found->second;
    if (entry.deflated)
      return unsupported("{}: {} is compressed; PyTorch stores it plainly", where_, entry.name);
    if (crc32_of(entry.data) != entry.crc)
      return corrupt("{}: {}: checksum does not match", where_, entry.name);
    checked_.emplace(key, entry.data);
    return entry.data;
  }

 private:
  std::string root_;
  std::string_view where_;
  std::map<std::string, const ZipEntry*> entries_;
  std::map<std::string, std::string_view> checked_;
};

Result<TensorFile> parse_zip_file(const Source& source) {
  const auto [bytes, where, owner] = source;
  constexpr std::string_view kPickleName = "data.pkl", kOrder = "byteorder";
  ITO_ASSIGN(const std::vector<ZipEntry> entries, parse_zip(bytes, where));
  const ZipEntry* description = nullptr;
  for (const ZipEntry& entry : entries) {
    const bool in_root = std::count(entry.name.begin(), entry.name.end(), '/') <= 1;
    if (in_root && entry.name.ends_with(kPickleName)) description = &entry;
  }
  if (description == nullptr)
    return unsupported(
        "{}: a zip archive without data.pkl is no PyTorch checkpoint; it has {}{}; unpack it and "
        "give the folder or file of weights in it",
        where, entries.empty() ? "nothing" : entries.front().name,
        entries.size() > 1 ? fmt::format(" and {} more", entries.size() - 1) : "");
  const std::string root =
      description->name.substr(0, description->name.size() - kPickleName.size());
  for (const ZipEntry& entry : entries) {
    if (entry.name != root + std::string(kOrder)) continue;
    ITO_ASSIGN(const std::string order, read_zip_entry(entry, where));
    if (order != "little") return unsupported("{}: its byte order is {}", where, order);
  }
  ITO_ASSIGN(const std::string text, read_zip_entry(*description, where));
  ITO_ASSIGN(const Pickle pickle,
             parse_pickle(text, where, is_torch_name, pickle_memory(bytes.size())));
  ZipStorages storages(entries, root, where);
  return Reader(pickle, storages, source).read();
}

// Storages one after another behind the pickles: a count of numbers, then these.
class StreamStorages : public Storages {
 public:
  explicit StreamStorages(std::string_view where) : where_(where) {}
  Result<std::string_view> find(const std::string& key) override {
    const auto found = bytes_.find(key);
    if (found == bytes_.end()) return corrupt("{}: storage {} is missing", where_, key);
    return found->second;
  }
  std::map<std::string, std::string_view> bytes_;

 private:
  std::string_view where_;
};

// The bytes of a number of the storages that a pickle mentions, by key.
std::map<std::string, size_t> storage_sizes(const Pickle& pickle, size_t values) {
  std::map<std::string, size_t> sizes;
  for (PickleIndex i = 0; i < values; ++i) {
    const PickleValue& value = pickle[i];
    if (value.kind != Kind::kPersistent) continue;
    const PickleValue& id = pickle[value.items[0]];
    if (id.kind != Kind::kTuple || id.items.size() < 5) continue;
    if (const TorchStorage* row = torch_storage(pickle[id.items[1]].text))
      sizes[pickle[id.items[2]].text] = row->size;
  }
  return sizes;
}

Result<TensorFile> parse_legacy_file(const Source& source) {
  const auto [bytes, where, owner] = source;
  // A magic number of 80 bits, then pickles: the protocol, the writer's word sizes, the object, the
  // keys of the storages.
  constexpr size_t kMagic = 15;
  if (bytes.size() < kMagic) return corrupt("{}: it ends in the middle", where);
  size_t at = kMagic;
  std::vector<Pickle> parts;
  constexpr uint64_t kSmall = uint64_t{1} << 20;
  const uint64_t memory[] = {kSmall, kSmall, pickle_memory(bytes.size() / 4 * 3),
                             bytes.size() / 4 + 8 * kSmall};
  for (const uint64_t most : memory) {
    ITO_ASSIGN(Pickle part, parse_pickle(bytes.substr(at), where, is_torch_name, most));
    at += part.size();
    parts.push_back(std::move(part));
  }
  const Pickle &object = parts[2], &keys = parts[3];
  const std::map<std::string, size_t> sizes = storage_sizes(object, object.values());
  StreamStorages storages(where);
  if (keys.root().kind != Kind::kList) return corrupt("{}: no list of storages", where);
  for (const PickleIndex index : keys.root().items) {
    const std::string& key = keys[index].text;
    const auto size_of_one = sizes.find(key);
    if (size_of_one == sizes.end())
      return unsupported("{}: storage {} is of no type whose size is known", where, key);
    if (bytes.size() - at < 8) return corrupt("{}: it ends in the middle", where);
    int64_t numel = 0;
    std::memcpy(&numel, bytes.data() + at, 8);
    at += 8;
    const std::optional<int64_t> count = checked_numel({numel}, size_of_one->second);
    const uint64_t size = count ? static_cast<uint64_t>(*count) * size_of_one->second : UINT64_MAX;
    if (size > bytes.size() - at) return corrupt("{}: storage {} is truncated", where, key);
    storages.bytes_[key] = bytes.substr(at, size);
    at += size;
  }
  return Reader(object, storages, source).read();
}

Result<TensorFile> parse(const Source& source) {
  const FileKind kind = kind_of_bytes(source.bytes.substr(0, kFileKindBytes));
  if (kind == FileKind::kZip || kind == FileKind::kNpz || kind == FileKind::kTorchZip)
    return parse_zip_file(source);
  if (kind == FileKind::kTorchLegacy) return parse_legacy_file(source);
  return corrupt("{} is no PyTorch checkpoint{}", source.where, kind_remark(kind));
}

}  // namespace

Result<TensorFile> parse_torch_file(std::string_view bytes, std::string_view where) {
  return parse({.bytes = bytes, .where = where});
}

Result<TensorFile> read_torch_file(const Path& path) {
  ITO_ASSIGN(MappedFile mapped, MappedFile::open(path));
  const auto owner = std::make_shared<const MappedFile>(std::move(mapped));
  const std::string where = path.string();
  return parse({.bytes = owner->bytes(), .where = where, .owner = owner});
}

}  // namespace ito
