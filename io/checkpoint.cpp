#include "io/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "base/check.h"
#include "base/error.h"
#include "io/compress.h"
#include "io/safetensors.h"

namespace ito {
namespace {

constexpr std::string_view kPrefix = "checkpoint-";
constexpr const char* kState = "state.safetensors";
constexpr const char* kTrainer = "trainer.json";
constexpr std::string_view kUnfinishedEnding = ".tmp", kOldEnding = ".old";
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
  Seal seal;
  ITO_TRY(read_pieces(path, [&](std::string_view piece) -> Status {
    seal.bytes += piece.size();
    seal.crc = crc32_of(piece, seal.crc);
    return {};
  }));
  return seal;
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

// The body of trainer.json that a checkpoint has; nothing for other folders and damaged files.
std::optional<Json> trainer_body(const Path& folder) {
  if (!file_exists(folder / kTrainer)) return std::nullopt;
  const auto json = read_json(folder / kTrainer);
  if (!json.ok() || !json->is_object()) return std::nullopt;
  const auto body = json->find("trainer"), crc = json->find("crc32");
  if (body == json->end() || crc == json->end() || !body->is_object() ||
      *crc != crc32_of(dump_json_line(*body)) || !body->contains("files"))
    return std::nullopt;
  // Files are removed by these names, which must not lead out of the folder.
  for (const auto& [name, entry] : (*body)["files"].items()) {
    const Path path = name;
    if (path.is_absolute() || std::find(path.begin(), path.end(), "..") != path.end())
      return std::nullopt;
  }
  return *body;
}

// What an interrupted write or removal leaves behind: its state is there first and goes last.
bool is_leftover(const Path& folder) {
  const auto names = list_folder(folder);
  if (!names.ok()) return false;
  return names->empty() || std::any_of(names->begin(), names->end(), [](const std::string& name) {
           return name.starts_with(kState) || name.starts_with(kTrainer);
         });
}

Status remove_leftover(const Path& folder) {
  ITO_ASSIGN(const std::vector<std::string> names, list_folder(folder));
  for (const std::string& name : names)
    if (!name.starts_with(kState)) ITO_TRY(remove_tree(folder / name));
  return remove_tree(folder);
}

Status remove_empty_folders(const Path& folder) {
  ITO_ASSIGN(const std::vector<std::string> names, list_folder(folder));
  for (const std::string& name : names)
    if (folder_exists(folder / name)) ITO_TRY(remove_empty_folders(folder / name));
  ITO_ASSIGN(const std::vector<std::string> left, list_folder(folder));
  return left.empty() ? remove_tree(folder) : Status{};
}

Status find_strangers(const Path& root, const Path& relative, const std::set<std::string>& own,
                      std::vector<std::string>& strangers) {
  ITO_ASSIGN(const std::vector<std::string> names, list_folder(root / relative));
  for (const std::string& name : names) {
    const Path path = relative / name;
    if (folder_exists(root / path)) {
      ITO_TRY(find_strangers(root, path, own, strangers));
    } else if (own.count(path.generic_string()) == 0) {
      strangers.push_back(path.generic_string());
    }
  }
  return {};
}

}  // namespace

Path checkpoint_folder(const Path& run, int64_t step) {
  return run / (std::string(kPrefix) + std::to_string(step));
}

bool is_checkpoint(const Path& folder) {
  if (!file_exists(folder / kTrainer)) return false;
  const auto json = read_json(folder / kTrainer);
  // Damaged, it vouches for nothing, but its name beside a state's says whose it was.
  if (!json.ok()) return file_exists(folder / kState);
  return json->is_object() && json->contains("trainer");
}

std::vector<std::string> checkpoint_files(const Path& folder) {
  std::vector<std::string> names;
  const std::optional<Json> body = trainer_body(folder);
  if (!body) return names;
  for (const auto& [name, entry] : (*body)["files"].items()) names.push_back(name);
  names.emplace_back(kTrainer);
  return names;
}

std::vector<std::string> extra_checkpoint_files(const Path& folder) {
  std::vector<std::string> names = checkpoint_files(folder);
  std::erase_if(names, [](const std::string& name) { return name == kState || name == kTrainer; });
  return names;
}

Result<std::vector<std::string>> strangers_in_checkpoint(const Path& folder) {
  std::vector<std::string> strangers;
  const std::vector<std::string> files = checkpoint_files(folder);
  if (files.empty() && is_checkpoint(folder)) return strangers;  // damaged: nobody can tell
  ITO_TRY(find_strangers(folder, "", {files.begin(), files.end()}, strangers));
  return strangers;
}

// Renamed first, so that a kill on the way leaves no checkpoint that misses a file.
Status remove_checkpoint(const Path& run, int64_t step) {
  const Path folder = checkpoint_folder(run, step);
  if (!is_checkpoint(folder)) return {};
  ITO_ASSIGN(const std::vector<std::string> strangers, strangers_in_checkpoint(folder));
  Path aside = folder;
  aside += kOldEnding;
  if (strangers.empty() && (!folder_exists(aside) || is_leftover(aside))) {
    if (folder_exists(aside)) ITO_TRY(remove_leftover(aside));
    ITO_TRY(rename_path(folder, aside));
    return remove_leftover(aside);
  }
  // trainer.json first: without it the rest is no checkpoint.
  std::vector<std::string> files = checkpoint_files(folder);
  std::reverse(files.begin(), files.end());
  for (const std::string& name : files) ITO_TRY(remove_tree(folder / name));
  return remove_empty_folders(folder);
}

Status write_checkpoint(const Path& run, const Checkpoint& checkpoint,
                        const std::function<Status(const Path&)>& extra) {
  CHECK(checkpoint.step >= 0, "steps are counted from 0");
  const Path target = checkpoint_folder(run, checkpoint.step);
  Path temporary = target;
  temporary += kUnfinishedEnding;
  if (folder_exists(target)) {
    ITO_ASSIGN(const std::vector<std::string> strangers, strangers_in_checkpoint(target));
    if (!strangers.empty() || !is_checkpoint(target))
      return invalid_argument("{} holds {}, which no run of ito train wrote there; move it away",
                              target.string(), strangers.empty() ? "nothing" : strangers.front());
  }
  if (folder_exists(temporary) && !is_leftover(temporary))
    return invalid_argument("{} is there and was not written by ito train; move it away",
                            temporary.string());
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
    const std::optional<int64_t> step = step_of(name);
    if (!step || !folder_exists(run / name)) continue;
    if (is_checkpoint(run / name) || file_exists(run / name / kState)) steps.push_back(*step);
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

Status remove_checkpoint_leftovers(const Path& run) {
  ITO_ASSIGN(const std::vector<std::string> names, list_folder(run));
  for (const std::string& name : names) {
    for (const std::string_view ending : {kUnfinishedEnding, kOldEnding})
      if (name.ends_with(ending) &&
          step_of(std::string_view(name).substr(0, name.size() - ending.size())) &&
          folder_exists(run / name) && is_leftover(run / name))
        ITO_TRY(remove_leftover(run / name));
  }
  return {};
}

Status prune_checkpoints(const Path& run, int keep) {
  CHECK(keep >= 1, "at least one checkpoint is kept");
  ITO_TRY(remove_checkpoint_leftovers(run));
  ITO_ASSIGN(std::vector<int64_t> steps, checkpoint_steps(run));
  std::erase_if(steps, [&](int64_t step) { return !is_checkpoint(checkpoint_folder(run, step)); });
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
