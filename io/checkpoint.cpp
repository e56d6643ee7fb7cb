#include "io/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "base/check.h"
#include "base/error.h"
#include "io/compress.h"
#include "io/safetensors.h"

namespace ito {
namespace {

constexpr std::string_view kPrefix = "checkpoint-";
constexpr const char* kState = "state.safetensors";
constexpr const char* kTrainer = "trainer.json";
constexpr int kFormat = 1;

std::optional<int64_t> step_of(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  int64_t step = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), step);
  // One spelling per step: no sign, no leading zeros, nothing after the digits.
  if (error != std::errc() || end != name.data() + name.size() || step < 0 ||
      name != std::to_string(step))
    return std::nullopt;
  return step;
}

struct Seal {
  uint64_t bytes = 0;
  uint32_t crc = 0;
};

Result<Seal> seal_of(const Path& path) {
  ITO_ASSIGN(MappedFile file, MappedFile::open(path));
  return Seal{file.bytes().size(), crc32_of(file.bytes())};
}

// Seals of all files below `folder` but trainer.json, by path relative to `root`.
Status seal_folder(const Path& root, const Path& relative, std::map<std::string, Seal>& seals) {
  ITO_ASSIGN(std::vector<std::string> names, list_folder(root / relative));
  for (const std::string& name : names) {
    Path path = relative / name;
    if (folder_exists(root / path)) {
      ITO_TRY(seal_folder(root, path, seals));
    } else if (path != kTrainer) {
      ITO_ASSIGN(seals[path.generic_string()], seal_of(root / path));
    }
  }
  return {};
}

Status check_seal(const Path& folder, const std::string& name, const Json& entry,
                  const std::string& where) {
  ITO_ASSIGN(JsonObject object, JsonObject::open(entry, where + ": files: " + name));
  uint64_t bytes = 0, crc = 0;
  ITO_TRY(object.require("bytes"));
  ITO_TRY(object.require("crc32"));
  ITO_TRY(object.read("bytes", &bytes));
  ITO_TRY(object.read("crc32", &crc));
  Path path = folder / name;
  if (!file_exists(path)) return corrupt("{} is missing", path.string());
  ITO_ASSIGN(Seal seal, seal_of(path));
  if (seal.bytes != bytes)
    return corrupt("{} has {} bytes, but {} says {}", path.string(), seal.bytes, kTrainer, bytes);
  if (seal.crc != crc)
    return corrupt("{} is damaged: checksum {:08x}, but {} says {:08x}", path.string(), seal.crc,
                   kTrainer, crc);
  return {};
}

// Renamed first, so that a kill on the way leaves no checkpoint that misses a file.
Status remove_checkpoint(const Path& run, int64_t step) {
  const Path folder = checkpoint_folder(run, step);
  Path aside = folder;
  aside += ".old";
  ITO_TRY(remove_tree(aside));
  ITO_TRY(rename_path(folder, aside));
  return remove_tree(aside);
}

}  // namespace

Path checkpoint_folder(const Path& run, int64_t step) {
  return run / (std::string(kPrefix) + std::to_string(step));
}

Status write_checkpoint(const Path& run, const Checkpoint& checkpoint,
                        const std::function<Status(const Path&)>& extra) {
  CHECK(checkpoint.step >= 0, "steps are counted from 0");
  return write_folder_atomic(
      checkpoint_folder(run, checkpoint.step), [&](const Path& folder) -> Status {
        ITO_TRY(write_safetensors(folder / kState, checkpoint.state));
        if (extra) ITO_TRY(extra(folder));
        std::map<std::string, Seal> seals;
        ITO_TRY(seal_folder(folder, "", seals));
        Json body = {
            {"format", kFormat}, {"step", checkpoint.step}, {"metadata", checkpoint.metadata}};
        for (const auto& [name, seal] : seals)
          body["files"][name] = {{"bytes", seal.bytes}, {"crc32", seal.crc}};
        // trainer.json vouches for the other files, and this checksum for trainer.json.
        Json trainer = {{"trainer", body}, {"crc32", crc32_of(dump_json_line(body))}};
        return write_file_atomic(folder / kTrainer, dump_json(trainer));
      });
}

Result<std::vector<int64_t>> checkpoint_steps(const Path& run) {
  std::vector<int64_t> steps;
  if (!folder_exists(run)) return steps;
  ITO_ASSIGN(std::vector<std::string> names, list_folder(run));
  for (const std::string& name : names) {
    std::optional<int64_t> step = step_of(name);
    if (step && folder_exists(run / name)) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

Result<Checkpoint> read_checkpoint(const Path& folder) {
  Path path = folder / kTrainer;
  const std::string where = path.string();
  if (!file_exists(path)) return corrupt("{} is missing", where);
  ITO_ASSIGN(Json json, read_json(path));
  ITO_ASSIGN(JsonObject outer, JsonObject::open(json, where));
  uint64_t crc = 0;
  ITO_TRY(outer.require("trainer"));
  ITO_TRY(outer.require("crc32"));
  ITO_TRY(outer.read("crc32", &crc));
  const Json& body = json["trainer"];
  if (crc32_of(dump_json_line(body)) != crc)
    return corrupt("{} is damaged: its checksum does not match", where);

  ITO_ASSIGN(JsonObject trainer, JsonObject::open(body, where));
  int format = 0;
  Checkpoint checkpoint;
  ITO_TRY(trainer.require("format"));
  ITO_TRY(trainer.read("format", &format));
  if (format != kFormat)
    return unsupported("{}: key 'format': expected {}, found {}", where, kFormat, format);
  ITO_TRY(trainer.require("step"));
  ITO_TRY(trainer.read("step", &checkpoint.step));
  ITO_TRY(trainer.require("files"));
  ITO_TRY(trainer.require("metadata"));
  checkpoint.metadata = body["metadata"];
  ITO_ASSIGN(JsonObject files, JsonObject::open(body["files"], where + ": key 'files'"));
  ITO_TRY(files.require(kState));
  for (const auto& [name, entry] : body["files"].items())
    ITO_TRY(check_seal(folder, name, entry, where));
  ITO_ASSIGN(checkpoint.state, read_safetensors(folder / kState));
  checkpoint.folder = folder;
  return checkpoint;
}

Result<std::optional<Checkpoint>> load_latest_checkpoint(const Path& run, const LogFunction& log) {
  ITO_ASSIGN(std::vector<int64_t> steps, checkpoint_steps(run));
  std::optional<Error> last_error;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    Result<Checkpoint> checkpoint = read_checkpoint(checkpoint_folder(run, *step));
    if (checkpoint.ok()) return std::optional<Checkpoint>(std::move(checkpoint).value());
    last_error = checkpoint.error();
    if (log)
      log(LogLevel::kWarning, fmt::format("checkpoint-{} is not usable, trying an older one: {}",
                                          *step, last_error->message));
  }
  if (last_error) return *last_error;
  return std::optional<Checkpoint>();
}

Status prune_checkpoints(const Path& run, int keep) {
  CHECK(keep >= 1, "at least one checkpoint is kept");
  ITO_ASSIGN(std::vector<std::string> names, list_folder(run));
  for (const std::string& name : names)
    if (name.starts_with(kPrefix) && (name.ends_with(".tmp") || name.ends_with(".old")))
      ITO_TRY(remove_tree(run / name));
  ITO_ASSIGN(std::vector<int64_t> steps, checkpoint_steps(run));
  for (size_t i = 0; i + static_cast<size_t>(keep) < steps.size(); ++i)
    ITO_TRY(remove_checkpoint(run, steps[i]));
  return {};
}

Status remove_checkpoints_after(const Path& run, int64_t step) {
  ITO_ASSIGN(std::vector<int64_t> steps, checkpoint_steps(run));
  for (int64_t other : steps)
    if (other > step) ITO_TRY(remove_checkpoint(run, other));
  return {};
}

}  // namespace ito
