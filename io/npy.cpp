#include "io/npy.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>
#include <set>

#include "base/error.h"
#include "io/npy_types.h"
#include "io/numpy_pickle.h"
#include "io/pickle.h"
#include "io/pickle_text.h"

namespace ito {
namespace {

// The header is the text of a Python dict with exactly the keys descr, fortran_order and shape.
// This cursor reads just that much of Python.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}
  bool accept(std::string_view token) {
    skip_space();
    if (!text_.starts_with(token)) return false;
    text_.remove_prefix(token.size());
    return true;
  }
  std::optional<std::string_view> quoted() {
    skip_space();
    if (text_.empty() || (text_[0] != '\'' && text_[0] != '"')) return std::nullopt;
    size_t end = text_.find(text_[0], 1);
    if (end == std::string_view::npos) return std::nullopt;
    std::string_view result = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return result;
  }
  std::optional<int64_t> integer() {
    skip_space();
    int64_t value = 0;
    auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    if (error != std::errc()) return std::nullopt;
    text_.remove_prefix(static_cast<size_t>(end - text_.data()));
    return value;
  }
  std::string_view rest() {
    skip_space();
    return text_;
  }
  // "[...]" with brackets inside, as the fields of a record are written.
  std::optional<std::string_view> brackets() {
    skip_space();
    if (!text_.starts_with("[")) return std::nullopt;
    int depth = 0;
    for (size_t i = 0; i < text_.size(); ++i) {
      depth += text_[i] == '[' ? 1 : text_[i] == ']' ? -1 : 0;
      if (depth > 0) continue;
      std::string_view result = text_.substr(0, i + 1);
      text_.remove_prefix(i + 1);
      return result;
    }
    return std::nullopt;
  }
  bool at_end() {
    skip_space();
    return text_.empty();
  }

 private:
  void skip_space() {
    while (!text_.empty() && std::isspace(static_cast<unsigned char>(text_[0])) != 0)
      text_.remove_prefix(1);
  }
  std::string_view text_;
};

struct Header {
  std::string_view descr;
  bool structured = false;  // then descr is Python's list of fields
  bool fortran_order = false;
  std::vector<int64_t> shape;
};

std::optional<std::vector<int64_t>> parse_tuple(Cursor& cursor) {
  constexpr size_t kMaxRank = 64;  // NumPy's, from 2.0 on
  std::vector<int64_t> values;
  if (!cursor.accept("(")) return std::nullopt;
  while (!cursor.accept(")")) {
    std::optional<int64_t> value = cursor.integer();
    if (!value || values.size() == kMaxRank) return std::nullopt;
    values.push_back(*value);
    cursor.accept("L");  // Python 2's long integers
    if (!cursor.accept(",")) {
      if (!cursor.accept(")")) return std::nullopt;
      break;
    }
  }
  return values;
}

std::optional<Header> parse_header(std::string_view text) {
  Cursor cursor(text);
  Header header;
  bool have_descr = false, have_order = false, have_shape = false;
  if (!cursor.accept("{")) return std::nullopt;
  while (!cursor.accept("}")) {
    std::optional<std::string_view> key = cursor.quoted();
    if (!key || !cursor.accept(":")) return std::nullopt;
    if (*key == "descr") {
      const std::string_view before = cursor.rest();
      std::optional<std::string_view> value = cursor.quoted();
      if (!value) value = cursor.brackets();
      if (!value) return std::nullopt;
      header.descr = *value;
      header.structured = before.starts_with("[");
      have_descr = true;
    } else if (*key == "fortran_order") {
      header.fortran_order = cursor.accept("True");
      if (!header.fortran_order && !cursor.accept("False")) return std::nullopt;
      have_order = true;
    } else if (*key == "shape") {
      std::optional<std::vector<int64_t>> value = parse_tuple(cursor);
      if (!value) return std::nullopt;
      header.shape = std::move(*value);
      have_shape = true;
    } else {
      return std::nullopt;
    }
    cursor.accept(",");
  }
  if (!have_descr || !have_order || !have_shape || !cursor.at_end()) return std::nullopt;
  return header;
}

std::optional<HostType> type_of(std::string_view descr) {
  for (const NpyType& row : kNpyTypes)
    if (row.descr == descr) return row.type;
  // One-byte types have no byte order; any mark is fine.
  if (descr.size() == 3 && descr[2] == '1')
    for (const NpyType& row : kNpyTypes)
      if (row.descr.substr(1) == descr.substr(1)) return row.type;
  return std::nullopt;
}

// The same type of the other byte order.
bool is_big_endian(std::string_view descr) { return descr.starts_with(">"); }

void swap_bytes(std::vector<uint8_t>& bytes, size_t width) {
  for (size_t at = 0; at + width <= bytes.size(); at += width)
    std::reverse(bytes.begin() + static_cast<ptrdiff_t>(at),
                 bytes.begin() + static_cast<ptrdiff_t>(at + width));
}

// Columns first to rows first.
std::vector<uint8_t> c_order(std::string_view bytes, const std::vector<int64_t>& dims,
                             size_t width) {
  std::vector<size_t> stride(dims.size(), width);  // of the source
  for (size_t i = 1; i < dims.size(); ++i)
    stride[i] = stride[i - 1] * static_cast<size_t>(dims[i - 1]);
  std::vector<uint8_t> out;
  out.reserve(bytes.size());
  std::vector<int64_t> index(dims.size());
  for (size_t n = 0; n < bytes.size(); n += width) {
    size_t at = 0;
    for (size_t i = 0; i < dims.size(); ++i) at += static_cast<size_t>(index[i]) * stride[i];
    const std::string_view element = bytes.substr(at, width);
    out.insert(out.end(), element.begin(), element.end());
    for (size_t i = dims.size(); i-- > 0;) {
      if (++index[i] < dims[i]) break;
      index[i] = 0;
    }
  }
  return out;
}

// An array's bytes in C order.
std::vector<uint8_t> values_of(std::string_view data, bool fortran_order, const Shape& shape,
                               size_t width) {
  if (fortran_order && shape.rank() > 1) return c_order(data, shape.dims(), width);
  return {data.begin(), data.end()};
}

// The header, and the data behind it.
struct NpyParts {
  Header header;
  std::string_view data;
};

Result<NpyParts> npy_parts(std::string_view bytes, std::string_view where) {
  if (!bytes.starts_with(kNpyMagic) || bytes.size() < 12)
    return corrupt("{}: not a NumPy array file (no \\x93NUMPY at its start)", where);
  int major = static_cast<unsigned char>(bytes[6]);
  if (major < 1 || major > 3)
    return unsupported("{}: NumPy format version {}; 1 to 3 are known", where, major);
  size_t prefix = major == 1 ? 10 : 12;
  uint32_t length = 0;
  std::memcpy(&length, bytes.data() + 8, major == 1 ? 2 : 4);
  if (length > bytes.size() - prefix)
    return corrupt("{}: NumPy header of {} bytes is truncated", where, length);
  std::optional<Header> header = parse_header(bytes.substr(prefix, length));
  if (!header) return corrupt("{}: NumPy header is damaged", where);
  return NpyParts{*std::move(header), bytes.substr(prefix + length)};
}

Error unknown_type(const Header& header, std::string_view where) {
  return unsupported(
      "{}: NumPy element type {} is not supported{}", where,
      header.structured ? std::string(header.descr) : fmt::format("'{}'", header.descr),
      header.structured ? ": it is an array of records" : "");
}

}  // namespace

Result<HostTensor> array_of_bytes(ArrayLayout layout, std::string_view data,
                                  std::string_view where) {
  const bool swapped = is_big_endian(layout.descr);
  const std::optional<HostType> type =
      type_of(swapped ? fmt::format("<{}", layout.descr.substr(1)) : layout.descr);
  if (!type)
    return unsupported("{}: NumPy element type '{}' is not supported", where, layout.descr);
  std::optional<int64_t> numel = checked_numel(layout.shape, host_type_size(*type));
  Shape shape(std::move(layout.shape));
  if (!numel) return corrupt("{}: impossible shape {}", where, shape.to_string());
  uint64_t expected = static_cast<uint64_t>(*numel) * host_type_size(*type);
  if (data.size() != expected)
    return corrupt("{}: shape {} takes {} bytes, found {}", where, shape.to_string(), expected,
                   data.size());
  std::vector<uint8_t> values = values_of(data, layout.fortran_order, shape, host_type_size(*type));
  if (swapped) swap_bytes(values, host_type_size(*type));
  return HostTensor{*type, std::move(shape), std::move(values)};
}

Result<HostTensor> parse_npy(std::string_view bytes, std::string_view where) {
  ITO_ASSIGN(NpyParts parts, npy_parts(bytes, where));
  if (parts.header.structured) return unknown_type(parts.header, where);
  return array_of_bytes(
      {std::string(parts.header.descr), parts.header.fortran_order, std::move(parts.header.shape)},
      parts.data, where);
}

namespace {

// "<U12", "|S5": how many characters each element has, and whether they are Unicode's, of 32 bits.
struct TextType {
  size_t characters = 0;
  bool unicode = false, swapped = false;
  size_t width() const { return characters * (unicode ? 4u : 1u); }
};

std::optional<TextType> text_type_of(std::string_view descr) {
  if (descr.size() < 3 || (descr[1] != 'U' && descr[1] != 'S')) return std::nullopt;
  TextType type{.unicode = descr[1] == 'U', .swapped = is_big_endian(descr)};
  const auto [end, error] =
      std::from_chars(descr.data() + 2, descr.data() + descr.size(), type.characters);
  constexpr size_t kMost = 1 << 20;
  if (error != std::errc() || end != descr.data() + descr.size() || type.characters > kMost)
    return std::nullopt;
  return type;
}

// One element's text, without the zeros behind it. Nothing for what is no character.
std::optional<std::string> element_text(const TextType& type, std::string_view bytes) {
  if (!type.unicode) {
    const size_t last = bytes.find_last_not_of('\0');
    return std::string(bytes.substr(0, last == std::string_view::npos ? 0 : last + 1));
  }
  std::string text;
  std::string zeros;  // that something may follow
  for (size_t at = 0; at < bytes.size(); at += 4) {
    uint32_t code = 0;
    std::memcpy(&code, bytes.data() + at, 4);
    if (type.swapped) code = __builtin_bswap32(code);
    if (code == 0) {
      zeros += '\0';
      continue;
    }
    text += zeros;
    zeros.clear();
    if (!append_utf8(text, code)) return std::nullopt;
  }
  return text;
}

}  // namespace

Result<NpyTexts> parse_npy_texts(std::string_view bytes, std::string_view where) {
  ITO_ASSIGN(NpyParts parts, npy_parts(bytes, where));
  const Header& header = parts.header;
  if (!header.structured && header.descr == "|O") {
    ITO_ASSIGN(const Pickle pickle,
               parse_pickle(parts.data, where, is_numpy_name, pickle_memory(bytes.size())));
    return numpy_object_texts(pickle, pickle.root(), where);
  }
  const std::optional<TextType> type =
      header.structured ? std::nullopt : text_type_of(header.descr);
  if (!type) return unknown_type(header, where);
  const std::optional<int64_t> numel =
      checked_numel(header.shape, std::max<size_t>(1, type->width()));
  const Shape shape(header.shape);
  if (!numel) return corrupt("{}: impossible shape {}", where, shape.to_string());
  const uint64_t expected = static_cast<uint64_t>(*numel) * type->width();
  if (parts.data.size() != expected)
    return corrupt("{}: shape {} takes {} bytes, found {}", where, shape.to_string(), expected,
                   parts.data.size());
  // Texts of a character or two take many times what they take in the file.
  constexpr size_t kFree = size_t{16} << 20;
  if (static_cast<uint64_t>(*numel) > (bytes.size() + kFree) / sizeof(std::string))
    return unsupported("{}: {} texts are more than are read of a file of {} bytes", where, *numel,
                       bytes.size());
  NpyTexts out{shape, {}};
  if (type->width() == 0) {  // '<U0': all are empty
    out.texts.resize(static_cast<size_t>(*numel));
    return out;
  }
  const std::vector<uint8_t> values =
      values_of(parts.data, header.fortran_order, shape, type->width());
  out.texts.reserve(static_cast<size_t>(*numel));
  for (size_t at = 0; at < values.size(); at += type->width()) {
    std::optional<std::string> text =
        element_text(*type, {reinterpret_cast<const char*>(values.data()) + at, type->width()});
    if (!text) return corrupt("{}: a text holds what is no character", where);
    out.texts.push_back(*std::move(text));
  }
  return out;
}

Result<NpyTexts> read_npy_texts(const Path& path) {
  ITO_ASSIGN(MappedFile file, MappedFile::open(path));
  return parse_npy_texts(file.bytes(), path.string());
}

Result<HostTensor> read_npy(const Path& path) {
  ITO_ASSIGN(MappedFile file, MappedFile::open(path));
  return parse_npy(file.bytes(), path.string());
}

Result<TensorFile> parse_npz(std::string_view bytes, std::string_view where) {
  ITO_ASSIGN(std::vector<ZipEntry> entries, parse_zip(bytes, where));
  TensorFile file;
  for (const ZipEntry& entry : entries) {
    std::string label = fmt::format("{}: {}", where, entry.name);
    ITO_ASSIGN(const ZipContent content, zip_content(entry, label));
    ITO_ASSIGN(HostTensor tensor, parse_npy(content.bytes(), label));
    std::string name = entry.name;
    if (name.ends_with(".npy")) name.resize(name.size() - 4);
    if (!file.tensors.emplace(name, std::move(tensor)).second)
      return corrupt("{}: array {} occurs twice", where, name);
  }
  return file;
}

Result<TensorFile> read_npz(const Path& path) {
  ITO_ASSIGN(MappedFile file, MappedFile::open(path));
  return parse_npz(file.bytes(), path.string());
}

namespace {
std::string array_name(const ZipEntry& entry) {
  return entry.name.ends_with(".npy") ? entry.name.substr(0, entry.name.size() - 4) : entry.name;
}
}  // namespace

Result<NpzFile> NpzFile::open(const Path& path) {
  ITO_ASSIGN(MappedFile file, MappedFile::open(path));
  ITO_ASSIGN(std::vector<ZipEntry> entries, parse_zip(file.bytes(), path.string()));
  std::set<std::string> names;
  for (const ZipEntry& entry : entries)
    if (!names.insert(array_name(entry)).second)
      return corrupt("{}: array {} occurs twice", path.string(), array_name(entry));
  return NpzFile(std::move(file), std::move(entries), path.string());
}

bool NpzFile::has(std::string_view name) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const ZipEntry& entry) { return array_name(entry) == name; });
}

std::vector<std::string> NpzFile::names() const {
  std::vector<std::string> names;
  for (const ZipEntry& entry : entries_) names.push_back(array_name(entry));
  return names;
}

Result<NpzFile::Content> NpzFile::content_of(std::string_view name) const {
  for (const ZipEntry& entry : entries_) {
    if (array_name(entry) != name) continue;
    const std::string label = fmt::format("{}: {}", where_, entry.name);
    ITO_ASSIGN(ZipContent file, zip_content(entry, label));
    return Content{std::move(file), label};
  }
  return not_found("{}: no array named {}", where_, name);
}

Result<HostTensor> NpzFile::read(std::string_view name) const {
  ITO_ASSIGN(const Content content, content_of(name));
  return parse_npy(content.file.bytes(), content.label);
}

Result<NpyTexts> NpzFile::read_texts(std::string_view name) const {
  ITO_ASSIGN(const Content content, content_of(name));
  return parse_npy_texts(content.file.bytes(), content.label);
}

}  // namespace ito
