#include "api/run_folder.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "io/checkpoint.h"
#include "io/json.h"
#include "io/network_file.h"
#include "io/png.h"

namespace ito {
namespace {

constexpr const char* kLockFile = ".lock";
constexpr std::chrono::milliseconds kPatience{5000}, kLockPause{50};

// What a run exports: the parts of a pipeline, or a network of Ito's own in the folder itself.
std::vector<std::string> run_exports() {
  std::vector<std::string> names = {"model_index.json", "classes.json",
                                    "scheduler/scheduler_config.json", "latent_mapping/config.json",
                                    "latent_mapping/model.safetensors"};
  for (const std::string& folder : denoiser_folders())
    for (const char* file : {"config.json", "diffusion_pytorch_model.safetensors"})
      names.push_back(fmt::format("{}/{}", folder, file));
  return names;
}
// The folders of those files, the run's own aside.
std::vector<std::string> export_folders() {
  std::vector<std::string> folders = denoiser_folders();
  folders.insert(folders.end(), {"scheduler", "latent_mapping"});
  return folders;
}
constexpr const char* kOwnConfig = "config.json";
constexpr const char* kOwnWeights = "model.safetensors";
constexpr const char* kWritten[] = {kMetricsFile, kReportFile, kEventFile, kLossCurveFile};
constexpr std::string_view kCheckpointPrefix = "checkpoint-", kGridPrefix = "samples-",
                           kGridEnding = ".png";
constexpr const char* kStepSetting = "training_step";  // in the settings of a grid of samples

// The number of a name that is `prefix`, the number and `ending`.
std::optional<int64_t> number_in(std::string_view name, std::string_view prefix,
                                 std::string_view ending) {
  if (!name.starts_with(prefix) || !name.ends_with(ending) ||
      name.size() <= prefix.size() + ending.size())
    return std::nullopt;
  name = name.substr(prefix.size(), name.size() - prefix.size() - ending.size());
  int64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || name != std::to_string(number))
    return std::nullopt;
  return number;
}

// run.json may be any program's name for its own settings.
Status check_is_run(const Path& out) {
  const Path path = out / kRunFile;
  ITO_ASSIGN(const Json json, read_json(path));
  if (json.is_object() && json.contains("options")) return {};
  return invalid_argument(
      "{} holds a {} that no run of ito train wrote there; choose another --out", out.string(),
      kRunFile);
}

Error in_the_way(const Path& out, const std::string& name) {
  return invalid_argument(
      "{} holds {}, which no run of ito train wrote there and which this one would replace; move "
      "it away or choose another --out",
      out.string(), name);
}

bool is_own_config(const Path& path) {
  const auto json = read_json(path);
  return json.ok() && is_network_of_ito(*json);
}

// Weights of further averages, "….ema-0.9999.safetensors".
bool is_average(std::string_view name) {
  constexpr std::string_view kEnding = ".safetensors";
  for (const std::string_view start : {"diffusion_pytorch_model.ema-", "model.ema-"}) {
    if (!name.starts_with(start) || !name.ends_with(kEnding)) continue;
    const std::string_view decay =
        name.substr(start.size(), name.size() - start.size() - kEnding.size());
    double value = 0;
    const auto [end, error] = std::from_chars(decay.data(), decay.data() + decay.size(), value);
    return error == std::errc() && end == decay.data() + decay.size();
  }
  return false;
}

// Whether `name` in RUN/folder (empty: in the run itself) is what a run calls a file.
bool is_run_name(const std::string& folder, std::string_view name) {
  if (is_average(name)) return true;
  const std::string path = (folder.empty() ? "" : folder + "/") + std::string(name);
  const auto is = [&](const char* known) { return path == known; };
  const std::vector<std::string> exported = run_exports();
  if (std::find(exported.begin(), exported.end(), path) != exported.end()) return true;
  if (!folder.empty()) return false;
  return std::any_of(std::begin(kWritten), std::end(kWritten), is) || is(kRunFile) ||
         is(kOwnConfig) || is(kOwnWeights) || number_in(name, kGridPrefix, kGridEnding).has_value();
}

// What the run exported, relative to its folder: what its checkpoints have besides the state. Of a
// run whose checkpoints are gone or damaged what runs export.
Result<std::vector<std::string>> exported_files(const Path& out) {
  std::vector<std::string> files;
  ITO_ASSIGN(const std::vector<int64_t> steps, checkpoint_steps(out));
  for (const int64_t step : steps)
    for (std::string& name : extra_checkpoint_files(checkpoint_folder(out, step)))
      files.push_back(std::move(name));
  if (!files.empty()) return files;
  files = run_exports();
  if (is_own_config(out / kOwnConfig)) {
    files.emplace_back(kOwnWeights);
    files.emplace_back(kOwnConfig);
  }
  std::vector<std::string> folders = export_folders();
  folders.emplace_back();  // the run's own
  for (const std::string& folder : folders) {
    if (!folder_exists(out / folder)) continue;
    ITO_ASSIGN(const std::vector<std::string> names, list_folder(out / folder));
    for (const std::string& name : names)
      if (is_average(name)) files.push_back((folder.empty() ? "" : folder + "/") + name);
  }
  return files;
}

Status remove_if_empty(const Path& folder) {
  if (!folder_exists(folder)) return {};
  ITO_ASSIGN(const std::vector<std::string> names, list_folder(folder));
  return names.empty() ? remove_tree(folder) : Status{};
}

// In a folder that counts as empty: what systems leave behind, and what a run that was killed when
// it began left half-written.
bool may_lie_in_new_run(const std::string& name) {
  constexpr std::string_view kOfSystems[] = {kLockFile,   ".gitkeep",  ".gitignore",
                                             ".DS_Store", "Thumbs.db", "desktop.ini"};
  if (std::find(std::begin(kOfSystems), std::end(kOfSystems), name) != std::end(kOfSystems))
    return true;
  const auto stem = temporary_stem(name);
  return stem && is_run_name("", *stem);
}

}  // namespace

std::optional<int64_t> own_grid_step(const Path& png) {
  const auto step = number_in(png.filename().string(), kGridPrefix, kGridEnding);
  if (!step) return std::nullopt;
  const auto settings = read_png_settings(png);
  if (!settings.ok() || !settings->is_object()) return std::nullopt;
  const auto found = settings->find(kStepSetting);
  const bool own =
      found != settings->end() && found->is_number_integer() && found->get<int64_t>() == *step;
  return own ? step : std::nullopt;
}

Status check_run_folder(const Path& out) {
  if (!folder_exists(out)) return {};
  if (file_exists(out / kRunFile)) return check_is_run(out);
  const auto refuse = [&](const std::string& name) {
    return invalid_argument(
        "{} holds {}, which no run of ito train wrote there; choose another --out", out.string(),
        name);
  };
  ITO_ASSIGN(const std::vector<std::string> names, list_folder(out));
  for (const std::string& name : names)
    if (is_run_name("", name) || number_in(name, kCheckpointPrefix, "")) return refuse(name);
  for (const std::string& name : run_exports())
    if (file_exists(out / name)) return refuse(name);
  // Weights of another form, which would lie beside the run's own.
  for (const std::string& folder : export_folders()) {
    if (!folder_exists(out / folder)) continue;
    ITO_ASSIGN(const std::vector<std::string> inside, list_folder(out / folder));
    for (const std::string& name : inside)
      if (name.starts_with("diffusion_pytorch_model.")) return refuse(folder + "/" + name);
  }
  for (const std::string& name : names)
    if (!may_lie_in_new_run(name))
      return invalid_argument(
          "{} holds {} and is no run of ito train; choose another --out, a new folder or an empty "
          "one",
          out.string(), name);
  return {};
}

Status check_nothing_in_the_way(const Path& out, int64_t first, int64_t steps,
                                int64_t sample_every) {
  if (!folder_exists(out)) return {};
  ITO_ASSIGN(const std::vector<std::string> names, list_folder(out));
  for (const std::string& name : names) {
    if (const auto step = number_in(name, kCheckpointPrefix, "");
        step && *step > first && *step <= steps) {
      if (!folder_exists(out / name) || !is_checkpoint(out / name)) return in_the_way(out, name);
      ITO_ASSIGN(const std::vector<std::string> strangers, strangers_in_checkpoint(out / name));
      if (!strangers.empty()) return in_the_way(out, name + "/" + strangers.front());
    }
    if (const auto step = number_in(name, kGridPrefix, kGridEnding);
        step && sample_every > 0 && *step > first && *step <= steps &&
        (*step % sample_every == 0 || *step == steps) && !own_grid_step(out / name))
      return in_the_way(out, name);
  }
  return {};
}

Status remove_half_written(const Path& out) {
  std::vector<std::string> folders = export_folders();
  folders.emplace_back();  // the run's own
  for (const std::string& folder : folders) {
    if (!folder_exists(out / folder)) continue;
    ITO_ASSIGN(const std::vector<std::string> names, list_folder(out / folder));
    for (const std::string& name : names)
      if (const auto stem = temporary_stem(name); stem && is_run_name(folder, *stem))
        ITO_TRY(remove_tree(out / folder / name));
  }
  return {};
}

Result<FileLock> lock_run_folder(const Path& out) {
  int64_t holder = 0;
  // A process that was killed takes a moment to end.
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    ITO_ASSIGN(std::optional<FileLock> lock, FileLock::take(out / kLockFile, &holder));
    if (lock) return std::move(*lock);
    if (std::chrono::steady_clock::now() >= deadline) break;
    std::this_thread::sleep_for(kLockPause);
  }
  return invalid_argument(
      "another process{} is training in {}; wait for it or choose another --out",
      holder > 0 ? fmt::format(" ({})", holder) : "", out.string());
}

Status remove_run(const Path& out) {
  if (!folder_exists(out) || !file_exists(out / kRunFile)) return {};
  ITO_TRY(check_is_run(out));
  ITO_ASSIGN(const std::vector<std::string> exported, exported_files(out));
  for (const std::string& name : exported) ITO_TRY(remove_tree(out / name));
  for (const std::string& folder : export_folders()) ITO_TRY(remove_if_empty(out / folder));
  ITO_ASSIGN(const std::vector<std::string> names, list_folder(out));
  for (const std::string& name : names) {
    if (const auto step = number_in(name, kCheckpointPrefix, ""))
      ITO_TRY(remove_checkpoint(out, *step));
    if (own_grid_step(out / name)) ITO_TRY(remove_tree(out / name));
  }
  ITO_TRY(remove_checkpoint_leftovers(out));
  for (const char* name : kWritten) ITO_TRY(remove_tree(out / name));
  return remove_tree(out / kRunFile);  // last: a kill before it leaves a run to remove again
}

}  // namespace ito
