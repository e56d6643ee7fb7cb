#include "io/safetensors.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "io/file_kind.h"
#include "io/json.h"

namespace ito {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kQuoted = 40;  // characters of a text that is no safetensors file
constexpr const char* kMetadata = "__metadata__";

struct Entry {
  std::string name;
  HostType type;
  Shape shape;
  uint64_t begin, end;  // bytes from the start of the data
  std::string unknown;  // name of a type that is not read
};

// One header entry, checked by itself and against the size of the data.
Result<Entry> parse_entry(const std::string& name, const Json& value, uint64_t data_size,
                          std::string_view where) {
  auto bad = [&](auto... args) { return corrupt("{}: tensor {}: {}", where, name, args...); };
  if (!value.is_object()) return bad("its header entry is not an object");
  for (const auto& [key, ignored] : value.items())
    if (key != "dtype" && key != "shape" && key != "data_offsets")
      return bad(fmt::format("unexpected key '{}' in the header", key));
  auto dtype = value.find("dtype"), dims = value.find("shape"), range = value.find("data_offsets");
  if (dtype == value.end() || !dtype->is_string()) return bad("dtype is missing");
  const std::optional<HostType> type = host_type_from_name(dtype->get_ref<const std::string&>());

  if (dims == value.end() || !dims->is_array()) return bad("shape is missing");
  std::vector<int64_t> shape;
  for (const Json& extent : *dims) {
    // A value of 2^63 or more is rejected with the negative ones.
    if (!extent.is_number_unsigned() || extent.get<uint64_t>() > uint64_t{INT64_MAX})
      return bad(fmt::format("shape {} has an impossible extent", describe_json(*dims)));
    shape.push_back(extent.get<int64_t>());
  }
  std::optional<int64_t> numel = checked_numel(shape, type ? host_type_size(*type) : 1);
  if (!numel) return bad(fmt::format("shape {} overflows", describe_json(*dims)));

  if (range == value.end() || !range->is_array() || range->size() != 2 ||
      !(*range)[0].is_number_unsigned() || !(*range)[1].is_number_unsigned())
    return bad("data_offsets must be two non-negative integers");
  uint64_t begin = (*range)[0].get<uint64_t>(), end = (*range)[1].get<uint64_t>();
  if (begin > end || end > data_size)
    return bad(
        fmt::format("data_offsets [{}, {}] lie outside the {} bytes of data; the file is "
                    "truncated or its header is wrong",
                    begin, end, data_size));
  if (!type) {  // what an element of it takes, nobody here knows
    return Entry{name,  HostType::kU8, Shape(std::move(shape)),
                 begin, end,           dtype->get<std::string>()};
  }
  uint64_t expected = static_cast<uint64_t>(*numel) * host_type_size(*type);
  if (end - begin != expected)
    return bad(fmt::format("{} {} takes {} bytes, but data_offsets span {}", host_type_name(*type),
                           describe_json(*dims), expected, end - begin));
  return Entry{name, *type, Shape(std::move(shape)), begin, end, ""};
}

}  // namespace

namespace {

// With `owner` the tensors are parts of `bytes`, which it keeps.
Result<TensorFile> parse(std::string_view bytes, std::string_view where,
                         const std::shared_ptr<const void>& owner) {
  const FileKind kind = kind_of_bytes(bytes.substr(0, kFileKindBytes));
  if (kind != FileKind::kSafetensors && kind != FileKind::kUnknown)
    return corrupt("{} is no safetensors file{}", where, kind_remark(kind));
  if (bytes.size() < 8 && !bytes.empty() && is_text(bytes))
    return corrupt("{} is no safetensors file: it is the text \"{}\"", where, bytes);
  if (bytes.size() < 8)
    return corrupt("{}: not a safetensors file: {} bytes, at least 8 expected", where,
                   bytes.size());
  uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data(), 8);
  // Words in place of a number: what a server said, or a text file.
  if (header_size > kMaxHeaderBytes && is_text(bytes.substr(0, kFileKindBytes)))
    return corrupt("{} is no safetensors file: it is a text that begins with \"{}\"", where,
                   bytes.substr(0, std::min(bytes.find_first_of("\r\n"), kQuoted)));
  if (header_size > kMaxHeaderBytes)
    return corrupt("{}: header length {} exceeds the format's limit of {} bytes", where,
                   header_size, kMaxHeaderBytes);
  if (header_size > bytes.size() - 8)
    return corrupt("{}: header length {} exceeds the file's {} bytes; the file is truncated", where,
                   header_size, bytes.size());
  std::string_view data = bytes.substr(8 + header_size);
  ITO_ASSIGN(Json header, parse_json(bytes.substr(8, header_size),
                                     fmt::format("{}: safetensors header", where)));
  if (!header.is_object()) return corrupt("{}: safetensors header is not a JSON object", where);

  TensorFile file;
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != kMetadata) {
      ITO_ASSIGN(Entry entry, parse_entry(name, value, data.size(), where));
      entries.push_back(std::move(entry));
      continue;
    }
    if (!value.is_object()) return corrupt("{}: {} is not a JSON object", where, kMetadata);
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string())
        return corrupt("{}: {}: key '{}': expected a string, found {}", where, kMetadata, key,
                       describe_json(text));
      file.metadata[key] = text.get<std::string>();
    }
  }

  // The ranges must tile the data: no overlap, no hidden bytes.
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t position = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != position)
      return corrupt("{}: tensor {}: its data begins at {}, {}", where, entry.name, entry.begin,
                     entry.begin < position ? "overlapping the tensor before it"
                                            : fmt::format("leaving a gap after {}", position));
    position = entry.end;
  }
  if (position != data.size())
    return corrupt("{}: {} bytes of data, but the tensors take {}", where, data.size(), position);

  for (Entry& entry : entries) {
    if (!entry.unknown.empty()) {
      file.unread[entry.name] = entry.unknown;
      continue;
    }
    std::string_view part = data.substr(entry.begin, entry.end - entry.begin);
    file.tensors[entry.name] =
        HostTensor{entry.type, std::move(entry.shape),
                   owner ? TensorBytes::part_of(owner, part)
                         : TensorBytes(std::vector<uint8_t>(part.begin(), part.end()))};
  }
  return file;
}

// With its length before it, padded so that the data are aligned.
std::string header_text(const Json& header) {
  std::string text = dump_json_line(header);
  text.append((8 - text.size() % 8) % 8, ' ');
  const uint64_t size = text.size();
  char prefix[8];
  std::memcpy(prefix, &size, 8);
  return std::string(prefix, 8) + text;
}

}  // namespace

Result<TensorFile> parse_safetensors(std::string_view bytes, std::string_view where) {
  return parse(bytes, where, nullptr);
}

Result<TensorFile> read_safetensors(const Path& path) {
  ITO_ASSIGN(MappedFile mapped, MappedFile::open(path));
  const auto owner = std::make_shared<const MappedFile>(std::move(mapped));
  return parse(owner->bytes(), path.string(), owner);
}

Status write_safetensors(const Path& path, const TensorFile& file) {
  std::vector<std::pair<const std::string*, const HostTensor*>> order;
  for (const auto& [name, tensor] : file.tensors) {
    CHECK(name != kMetadata, "a tensor may not be named __metadata__");
    CHECK(tensor.bytes.size() ==
              static_cast<size_t>(tensor.shape.numel()) * host_type_size(tensor.type),
          "tensor " + name + " has the wrong number of bytes");
    order.emplace_back(&name, &tensor);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return host_type_size(a.second->type) > host_type_size(b.second->type);
  });

  Json header = Json::object();
  if (!file.metadata.empty()) header[kMetadata] = file.metadata;
  uint64_t position = 0;
  for (const auto& [name, tensor] : order) {
    uint64_t end = position + tensor->bytes.size();
    header[*name] = {{"dtype", host_type_name(tensor->type)},
                     {"shape", tensor->shape.dims()},
                     {"data_offsets", {position, end}}};
    position = end;
  }
  const std::string text = header_text(header);
  if (text.size() > kMaxHeaderBytes)
    return invalid_argument("cannot write {}: its header would take {} bytes, at most {} allowed",
                            path.string(), text.size(), kMaxHeaderBytes);

  return write_file_atomic(path, [&](const ByteSink& sink) -> Status {
    ITO_TRY(sink(text));
    for (const auto& [name, tensor] : order) ITO_TRY(tensor->bytes.write_to(sink));
    return {};
  });
}

Status write_safetensors_stream(const Path& path, const std::string& name, HostType type,
                                const Shape& shape,
                                const std::function<Status(const ByteSink&)>& body) {
  const uint64_t size = static_cast<uint64_t>(shape.numel()) * host_type_size(type);
  const Json header = {{name,
                        {{"dtype", host_type_name(type)},
                         {"shape", shape.dims()},
                         {"data_offsets", {uint64_t{0}, size}}}}};
  return write_file_atomic(path, [&](const ByteSink& sink) -> Status {
    ITO_TRY(sink(header_text(header)));
    uint64_t written = 0;
    ITO_TRY(body([&](std::string_view bytes) {
      written += bytes.size();
      return sink(bytes);
    }));
    CHECK(written == size, "as many bytes as the shape has");
    return {};
  });
}

}  // namespace ito
