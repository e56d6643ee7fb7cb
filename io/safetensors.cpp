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
// Frameworks stop at 64 axes at most.
constexpr size_t kMaxRank = 64;
// What tensors' names and shapes may take beyond as much as the file.
constexpr size_t kFreeBytes = size_t{24} << 20;
constexpr size_t kQuoted = 40;  // characters of a text that is no safetensors file
constexpr const char* kMetadata = "__metadata__";

// Where a tensor of the header has its bytes.
struct TensorPlace {
  uint64_t begin, end;      // from the start of the data
  const std::string* name;  // in the TensorFile, as the tensor is
  HostTensor* tensor;       // null: of a type that is not read
};

// Fills a TensorFile with all but the bytes, from the parser's events: a document of a header would
// take twenty times its size. Checks each entry by itself and against the size of the data.
class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  HeaderReader(uint64_t data_size, size_t budget) : data_size_(data_size), left_(budget) {}

  bool null() override { return value("null"); }
  bool boolean(bool flag) override { return value(flag ? "true" : "false"); }
  bool number_integer(int64_t number) override { return value(std::to_string(number)); }
  bool number_unsigned(uint64_t number) override {
    if (in_ == In::kShape) return extent(number);
    if (in_ != In::kOffsets) return value(std::to_string(number));
    if (offsets_ == 2) return bad("data_offsets must be two non-negative integers");
    (offsets_++ == 0 ? begin_ : end_) = number;
    return true;
  }
  bool number_float(double, const std::string& text) override { return value(text); }
  bool string(std::string& text) override {
    if (in_ == In::kMetadata) {
      if (!take(kNodeBytes + text.size())) return false;
      file_.metadata.find(key_)->second = std::move(text);
      return true;
    }
    if (in_ != In::kTensor || field_ != Field::kType) return value(describe_json(text));
    type_ = std::move(text);
    return true;
  }
  bool binary(Json::binary_t&) override { return false; }  // JSON has none
  bool start_object(size_t) override {
    if (in_ == In::kNothing)
      in_ = In::kHeader;
    else if (in_ == In::kHeader)
      in_ = name_ == kMetadata ? In::kMetadata : In::kTensor;
    else
      return value("an object");
    return true;
  }
  bool end_object() override {
    if (in_ == In::kTensor && !finish()) return false;
    in_ = in_ == In::kHeader ? In::kNothing : In::kHeader;
    return true;
  }
  bool start_array(size_t) override {
    if (in_ != In::kTensor || field_ == Field::kType) return value("a list");
    in_ = field_ == Field::kShape ? In::kShape : In::kOffsets;
    return true;
  }
  bool end_array() override {
    in_ = In::kTensor;
    return true;
  }
  bool key(std::string& text) override;
  bool parse_error(size_t position, const std::string&, const Json::exception& error) override {
    const auto* at = dynamic_cast<const Json::parse_error*>(&error);
    byte_ = at != nullptr ? at->byte : position;
    return false;
  }

  size_t byte() const { return byte_; }
  // What is wrong with a header that is JSON, or empty.
  const std::string& trouble() const { return trouble_; }
  TensorFile& file() { return file_; }
  std::vector<TensorPlace>& places() { return places_; }

 private:
  enum class In { kNothing, kHeader, kMetadata, kTensor, kShape, kOffsets };
  enum class Field { kType, kShape, kOffsets };
  // What a name takes that is kept with a tensor, by sizeof and with what the allocator adds.
  static constexpr size_t kNodeBytes = 96, kTensorBytes = 256 + sizeof(TensorPlace) * 3;

  bool trouble(std::string text) {
    trouble_ = std::move(text);
    return false;
  }
  bool bad(std::string_view what) { return trouble(fmt::format("tensor {}: {}", name_, what)); }
  bool take(size_t bytes) {
    if (bytes > left_) return trouble("it names more tensors than a file of its size may");
    left_ -= bytes;
    return true;
  }
  bool twice(std::string_view text) {
    return trouble(fmt::format("JSON key '{}' appears twice in one object", text));
  }
  // A value where none of its kind belongs.
  bool value(std::string_view found);
  bool extent(uint64_t number) {
    if (number > uint64_t{INT64_MAX})
      return bad(fmt::format("shape has an impossible extent {}", number));
    if (shape_.size() == kMaxRank) return bad(fmt::format("shape has more than {} axes", kMaxRank));
    shape_.push_back(static_cast<int64_t>(number));
    return true;
  }
  bool finish();

  uint64_t data_size_;
  size_t left_, byte_ = 0;
  std::string trouble_;
  TensorFile file_;
  std::vector<TensorPlace> places_;
  In in_ = In::kNothing;
  // Of the entry that is read: its name, and what was found in it.
  std::string name_, key_, type_;
  Field field_ = Field::kType;
  bool found_[3] = {}, metadata_found_ = false;
  std::vector<int64_t> shape_;
  uint64_t begin_ = 0, end_ = 0;
  int offsets_ = 0;
};

bool HeaderReader::key(std::string& text) {
  if (in_ == In::kHeader) {
    name_ = std::move(text);
    if (file_.tensors.contains(name_) || file_.unread.contains(name_) ||
        (name_ == kMetadata && std::exchange(metadata_found_, true)))
      return twice(name_);
    std::fill(std::begin(found_), std::end(found_), false);
    shape_.clear();
    offsets_ = 0;
    return true;
  }
  if (in_ == In::kMetadata) {
    key_ = text;
    return take(text.size()) && (file_.metadata.emplace(std::move(text), "").second || twice(key_));
  }
  constexpr std::string_view kFields[] = {"dtype", "shape", "data_offsets"};
  const auto* const known = std::find(std::begin(kFields), std::end(kFields), text);
  if (known == std::end(kFields))
    return bad(fmt::format("unexpected key '{}' in the header", text));
  field_ = static_cast<Field>(known - std::begin(kFields));
  return !std::exchange(found_[static_cast<size_t>(field_)], true) || twice(text);
}

bool HeaderReader::value(std::string_view found) {
  if (in_ == In::kNothing) return trouble("it is not a JSON object");
  if (in_ == In::kMetadata)
    return trouble(
        fmt::format("{}: key '{}': expected a string, found {}", kMetadata, key_, found));
  if (in_ == In::kHeader)
    return name_ == kMetadata ? trouble(fmt::format("{} is not a JSON object", kMetadata))
                              : bad("its header entry is not an object");
  if (in_ == In::kShape) return bad(fmt::format("shape has an impossible extent {}", found));
  if (in_ == In::kTensor && field_ == Field::kType)
    return bad(fmt::format("dtype is {}, expected a name", found));
  if (in_ == In::kTensor && field_ == Field::kShape)
    return bad(fmt::format("shape is {}, expected a list", found));
  return bad("data_offsets must be two non-negative integers");
}

// The end of an entry: everything is there, and fits.
bool HeaderReader::finish() {
  if (in_ == In::kMetadata) return true;
  if (!found_[0]) return bad("dtype is missing");
  if (!found_[1]) return bad("shape is missing");
  if (!found_[2] || offsets_ != 2) return bad("data_offsets must be two non-negative integers");
  const std::optional<HostType> type = host_type_from_name(type_);
  const size_t width = type ? host_type_size(*type) : 1;
  const std::optional<int64_t> numel = checked_numel(shape_, width);
  Shape shape(shape_);
  if (!numel) return bad(fmt::format("shape {} overflows", shape.to_string()));
  if (begin_ > end_ || end_ > data_size_)
    return bad(
        fmt::format("data_offsets [{}, {}] lie outside the {} bytes of data; the file is truncated "
                    "or its header is wrong",
                    begin_, end_, data_size_));
  const uint64_t expected = static_cast<uint64_t>(*numel) * width;
  if (type && end_ - begin_ != expected)
    return bad(fmt::format("{} {} takes {} bytes, but data_offsets span {}", type_,
                           shape.to_string(), expected, end_ - begin_));
  if (!take(kTensorBytes + name_.size() + type_.size() + 8 * shape_.size())) return false;
  if (!type) {  // what an element of it takes, nobody here knows
    const auto unread = file_.unread.emplace(std::move(name_), std::move(type_)).first;
    places_.push_back({begin_, end_, &unread->first, nullptr});
    return true;
  }
  const auto added =
      file_.tensors.emplace(std::move(name_), HostTensor{*type, std::move(shape), {}}).first;
  places_.push_back({begin_, end_, &added->first, &added->second});
  return true;
}

// The bytes of the header, as the length before it says.
Result<std::string_view> header_of(std::string_view bytes, std::string_view where) {
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
  return bytes.substr(8, header_size);
}

// With `owner` the tensors are parts of `bytes`, which it keeps.
Result<TensorFile> parse(std::string_view bytes, std::string_view where,
                         const std::shared_ptr<const void>& owner) {
  ITO_ASSIGN(const std::string_view text, header_of(bytes, where));
  const std::string header_name = fmt::format("{}: safetensors header", where);
  ITO_TRY(check_json_text(text, header_name));
  // No byte-order mark and no space: others read the header by its first byte.
  if (!text.starts_with('{'))
    return corrupt("{}: it is not a JSON object: it begins with {}, not with {{", header_name,
                   text.empty() ? "nothing" : fmt::format("byte {:#04x}", uint8_t(text.front())));
  const std::string_view data = bytes.substr(8 + text.size());
  HeaderReader reader(data.size(), bytes.size() + kFreeBytes);
  if (!Json::sax_parse(text.begin(), text.end(), &reader)) {
    if (!reader.trouble().empty()) return corrupt("{}: {}", header_name, reader.trouble());
    return no_json(text, header_name, reader.byte(), "");
  }

  // The ranges must tile the data: no overlap, no hidden bytes.
  std::vector<TensorPlace>& places = reader.places();
  std::sort(places.begin(), places.end(), [](const TensorPlace& a, const TensorPlace& b) {
    return std::tie(a.begin, a.end, *a.name) < std::tie(b.begin, b.end, *b.name);
  });
  uint64_t position = 0;
  for (const TensorPlace& place : places) {
    if (place.begin != position)
      return corrupt("{}: tensor {}: its data begins at {}, {}", where, *place.name, place.begin,
                     place.begin < position ? "overlapping the tensor before it"
                                            : fmt::format("leaving a gap after {}", position));
    position = place.end;
  }
  if (position != data.size())
    return corrupt("{}: {} bytes of data, but the tensors take {}", where, data.size(), position);

  for (const TensorPlace& place : places) {
    if (place.tensor == nullptr) continue;
    const std::string_view part = data.substr(place.begin, place.end - place.begin);
    place.tensor->bytes = owner ? TensorBytes::part_of(owner, part)
                                : TensorBytes(std::vector<uint8_t>(part.begin(), part.end()));
  }
  return std::move(reader.file());
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
