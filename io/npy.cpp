#include "io/npy.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstring>

#include "base/check.h"
#include "base/error.h"
#include "io/npz_bytes.h"

namespace ito {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);

struct Descr {
  HostType type;
  std::string_view text;
};
constexpr std::array<Descr, 12> kDescrs = {{{HostType::kBool, "|b1"},
                                            {HostType::kU8, "|u1"},
                                            {HostType::kI8, "|i1"},
                                            {HostType::kU16, "<u2"},
                                            {HostType::kI16, "<i2"},
                                            {HostType::kF16, "<f2"},
                                            {HostType::kU32, "<u4"},
                                            {HostType::kI32, "<i4"},
                                            {HostType::kF32, "<f4"},
                                            {HostType::kU64, "<u8"},
                                            {HostType::kI64, "<i8"},
                                            {HostType::kF64, "<f8"}}};

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
  std::vector<int64_t> values;
  if (!cursor.accept("(")) return std::nullopt;
  while (!cursor.accept(")")) {
    std::optional<int64_t> value = cursor.integer();
    if (!value) return std::nullopt;
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
  for (const Descr& row : kDescrs)
    if (row.text == descr) return row.type;
  // One-byte types have no byte order; any mark is fine.
  if (descr.size() == 3 && descr[2] == '1')
    for (const Descr& row : kDescrs)
      if (row.text.substr(1) == descr.substr(1)) return row.type;
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
std::vector<uint8_t> c_order(const std::vector<uint8_t>& bytes, const std::vector<int64_t>& dims,
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
    out.insert(out.end(), bytes.begin() + static_cast<ptrdiff_t>(at),
               bytes.begin() + static_cast<ptrdiff_t>(at + width));
    for (size_t i = dims.size(); i-- > 0;) {
      if (++index[i] < dims[i]) break;
      index[i] = 0;
    }
  }
  return out;
}

Result<std::string> npy_header(const HostTensor& tensor, const Path& path) {
  std::string_view descr;
  for (const Descr& row : kDescrs)
    if (row.type == tensor.type) descr = row.text;
  if (descr.empty())
    return invalid_argument("cannot write {}: NumPy has no type for {}", path.string(),
                            host_type_name(tensor.type));
  std::string dims;
  for (int64_t d : tensor.shape.dims()) dims += fmt::format("{}, ", d);
  if (tensor.shape.rank() == 1) dims.pop_back();  // Python writes (3,)
  if (tensor.shape.rank() > 1) dims.resize(dims.size() - 2);
  std::string dict =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, dims);
  // Version 1: magic, version, u16 length, text; the data begin at a multiple of 64 bytes.
  size_t length = (10 + dict.size() + 1 + 63) / 64 * 64 - 10;
  dict.append(length - 1 - dict.size(), ' ');
  dict += '\n';
  std::string header(kMagic);
  header += {'\x01', '\x00', static_cast<char>(length & 0xff), static_cast<char>(length >> 8)};
  return header + dict;
}

std::string_view view(const HostTensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size()};
}

}  // namespace

Result<HostTensor> parse_npy(std::string_view bytes, std::string_view where) {
  if (!bytes.starts_with(kMagic) || bytes.size() < 12)
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
  const bool swapped = is_big_endian(header->descr);
  std::optional<HostType> type;
  if (!header->structured)
    type =
        type_of(swapped ? fmt::format("<{}", header->descr.substr(1)) : std::string(header->descr));
  if (!type)
    return unsupported(
        "{}: NumPy element type {} is not supported{}", where,
        header->structured ? std::string(header->descr) : fmt::format("'{}'", header->descr),
        header->structured ? ": it is an array of records" : "");
  std::optional<int64_t> numel = checked_numel(header->shape, host_type_size(*type));
  Shape shape(std::move(header->shape));
  if (!numel) return corrupt("{}: impossible shape {}", where, shape.to_string());
  std::string_view data = bytes.substr(prefix + length);
  uint64_t expected = static_cast<uint64_t>(*numel) * host_type_size(*type);
  if (data.size() != expected)
    return corrupt("{}: shape {} takes {} bytes, found {}", where, shape.to_string(), expected,
                   data.size());
  std::vector<uint8_t> values(data.begin(), data.end());
  if (swapped) swap_bytes(values, host_type_size(*type));
  if (header->fortran_order && shape.rank() > 1)
    values = c_order(values, shape.dims(), host_type_size(*type));
  return HostTensor{*type, std::move(shape), std::move(values)};
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
    ITO_ASSIGN(std::string content, read_zip_entry(entry, label));
    ITO_ASSIGN(HostTensor tensor, parse_npy(content, label));
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

Result<NpzFile> NpzFile::open(const Path& path) {
  ITO_ASSIGN(MappedFile file, MappedFile::open(path));
  ITO_ASSIGN(std::vector<ZipEntry> entries, parse_zip(file.bytes(), path.string()));
  return NpzFile(std::move(file), std::move(entries), path.string());
}

namespace {
std::string array_name(const ZipEntry& entry) {
  return entry.name.ends_with(".npy") ? entry.name.substr(0, entry.name.size() - 4) : entry.name;
}
}  // namespace

bool NpzFile::has(std::string_view name) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const ZipEntry& entry) { return array_name(entry) == name; });
}

std::vector<std::string> NpzFile::names() const {
  std::vector<std::string> names;
  for (const ZipEntry& entry : entries_) names.push_back(array_name(entry));
  return names;
}

Result<HostTensor> NpzFile::read(std::string_view name) const {
  for (const ZipEntry& entry : entries_) {
    if (array_name(entry) != name) continue;
    const std::string label = fmt::format("{}: {}", where_, entry.name);
    ITO_ASSIGN(const std::string content, read_zip_entry(entry, label));
    return parse_npy(content, label);
  }
  return not_found("{}: no array named {}", where_, name);
}

Status write_npy(const Path& path, const HostTensor& tensor) {
  ITO_ASSIGN(std::string header, npy_header(tensor, path));
  return write_file_atomic(path, [&](const ByteSink& sink) -> Status {
    ITO_TRY(sink(header));
    return sink(view(tensor));
  });
}

namespace {
Status write_npz_parts(const Path& path, const TensorFile& file, std::vector<ZipPart>& parts) {
  for (const auto& [name, tensor] : file.tensors) {
    ITO_ASSIGN(std::string header, npy_header(tensor, path));
    parts.push_back({name + ".npy", std::move(header), view(tensor)});
  }
  return write_zip(path, parts);
}
}  // namespace

Status write_npz(const Path& path, const TensorFile& file) {
  std::vector<ZipPart> parts;
  return write_npz_parts(path, file, parts);
}

Status write_npz_of_bytes(const Path& path, const std::string& name, const Shape& shape,
                          std::string_view bytes, const TensorFile& more) {
  CHECK(static_cast<int64_t>(bytes.size()) == shape.numel(), "as many bytes as the shape has");
  ITO_ASSIGN(std::string header, npy_header({HostType::kU8, shape, {}}, path));
  std::vector<ZipPart> parts = {{name + ".npy", std::move(header), bytes}};
  return write_npz_parts(path, more, parts);
}

}  // namespace ito
