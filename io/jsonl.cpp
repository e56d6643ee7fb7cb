#include "io/jsonl.h"

#include <utility>

#include "base/error.h"
#include "base/platform.h"

namespace ito {
namespace {

constexpr uint64_t kMaxMetricsBytes = uint64_t{1} << 30;

// Calls visit(line, line number) for every line that ends with a newline.
template <typename Visit>
Status for_each_line(std::string_view text, Visit&& visit) {
  int64_t number = 1;
  for (size_t end; (end = text.find('\n')) != std::string_view::npos; ++number) {
    ITO_TRY(visit(text.substr(0, end), number));
    text.remove_prefix(end + 1);
  }
  return {};
}

bool keep_row(std::string_view line, int64_t resumed_step) {
  Result<Json> row = parse_json(line, "");
  if (!row.ok() || !row->is_object()) return false;
  auto step = row->find("step");
  return step == row->end() || !step->is_number_integer() || step->get<int64_t>() <= resumed_step;
}

}  // namespace

Result<JsonlWriter> JsonlWriter::open(const Path& path, std::optional<int64_t> resumed_step) {
  if (file_exists(path)) {
    std::string kept;
    ITO_ASSIGN(std::string text, read_file(path, kMaxMetricsBytes));
    if (resumed_step)
      ITO_TRY(for_each_line(text, [&](std::string_view line, int64_t) -> Status {
        if (keep_row(line, *resumed_step)) kept.append(line).append("\n");
        return {};
      }));
    if (kept != text) ITO_TRY(write_file_atomic(path, kept));
  }
  int descriptor = -1;
  if (const int error = platform::open_to_append(path, true, &descriptor); error != 0)
    return system_error("write", path, error);
  return JsonlWriter(path, descriptor);
}

JsonlWriter::JsonlWriter(JsonlWriter&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

JsonlWriter& JsonlWriter::operator=(JsonlWriter&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

JsonlWriter::~JsonlWriter() {
  if (descriptor_ >= 0) platform::close_file(descriptor_);
}

Status JsonlWriter::append(const Json& row) {
  platform::FileState before;
  const bool known = platform::state_of(descriptor_, &before) == 0;
  const int error = platform::write_all(descriptor_, dump_json_line(row) + "\n");
  if (error == 0) return {};
  // Half a line would spoil the next one. Where even this fails, opening again repairs it.
  if (known) platform::cut_file(descriptor_, before.size);
  return system_error("write", path_, error);
}

Result<std::vector<Json>> read_jsonl(const Path& path) {
  ITO_ASSIGN(std::string text, read_file(path, kMaxMetricsBytes));
  std::vector<Json> rows;
  ITO_TRY(for_each_line(text, [&](std::string_view line, int64_t number) -> Status {
    std::string where = fmt::format("{}:{}", path.string(), number);
    ITO_ASSIGN(Json row, parse_json(line, where));
    if (!row.is_object()) return corrupt("{}: expected a JSON object", where);
    rows.push_back(std::move(row));
    return {};
  }));
  return rows;
}

}  // namespace ito
