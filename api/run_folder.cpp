#include "api/run_folder.h"

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "io/json.h"
#include "io/network_file.h"
#include "io/weights.h"

namespace ito {
namespace {

constexpr const char* kLockFile = ".lock";
constexpr std::chrono::milliseconds kPatience{5000}, kLockPause{50};

// What a run exports: the parts of a pipeline, or a network of Ito's own in the folder itself.
std::vector<std::string> exported() {
  std::vector<std::string> names = {"model_index.json", "classes.json",
                                    "scheduler/scheduler_config.json", "latent_mapping/config.json",
                                    "latent_mapping/model.safetensors"};
  for (const std::string& folder : denoiser_folders())
    for (const char* file : {"config.json", "diffusion_pytorch_model.safetensors"})
      names.push_back(fmt::format("{}/{}", folder, file));
  return names;
}
constexpr const char* kOwnConfig = "config.json";
constexpr const char* kOwnWeights = "model.safetensors";

// `prefix`, digits, and one of the endings.
bool is_numbered(std::string_view name, std::string_view prefix,
                 std::initializer_list<std::string_view> endings) {
  if (!name.starts_with(prefix)) return false;
  name.remove_prefix(prefix.size());
  const size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
  return digits > 0 &&
         std::find(endings.begin(), endings.end(), name.substr(digits)) != endings.end();
}

bool is_own_config(const Path& path) {
  const auto json = read_json(path);
  return json.ok() && is_network_of_ito(*json);
}

// Weights of further averages, "….ema-0.9999.safetensors".
Status remove_variants(const Path& folder) {
  if (!folder_exists(folder)) return {};
  ITO_ASSIGN(const std::vector<std::string> names, list_folder(folder));
  for (const std::string& name : names)
    for (const char* start : {"diffusion_pytorch_model.ema-", "model.ema-"})
      if (name.starts_with(start) && name.ends_with(".safetensors"))
        ITO_TRY(remove_tree(folder / name));
  return {};
}

Status remove_if_empty(const Path& folder) {
  if (!folder_exists(folder)) return {};
  ITO_ASSIGN(const std::vector<std::string> names, list_folder(folder));
  return names.empty() ? remove_tree(folder) : Status{};
}

}  // namespace

Status check_run_folder(const Path& out) {
  if (!folder_exists(out) || file_exists(out / kRunFile)) return {};
  std::vector<std::string> taken = exported();
  for (const char* name :
       {kOwnConfig, kOwnWeights, kMetricsFile, kReportFile, kEventFile, "loss_curve.png"})
    taken.push_back(name);
  ITO_ASSIGN(const std::vector<std::string> names, list_folder(out));
  for (const std::string& name : names)
    if (is_numbered(name, "samples-", {".png"})) taken.push_back(name);
  // Weights of other forms, which would lie beside the run's own.
  const auto variants = find_variants(out / "unet", "diffusion_pytorch_model");
  if (variants.ok() && !variants->empty())
    return invalid_argument(
        "{} holds weights, which no run of ito train wrote there; choose another --out",
        (out / "unet").string());
  for (const std::string& name : taken)
    if (file_exists(out / name))
      return invalid_argument(
          "{} holds {}, which no run of ito train wrote there; choose another --out", out.string(),
          name);
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
  ITO_ASSIGN(const std::vector<std::string> names, list_folder(out));
  for (const std::string& name : names)
    if (is_numbered(name, "checkpoint-", {"", ".tmp", ".old"}) ||
        is_numbered(name, "samples-", {".png"}))
      ITO_TRY(remove_tree(out / name));
  for (const char* name : {kMetricsFile, kReportFile, kEventFile, "loss_curve.png"})
    ITO_TRY(remove_tree(out / name));
  for (const std::string& name : exported()) ITO_TRY(remove_tree(out / name));
  std::vector<std::string> folders = denoiser_folders();
  folders.insert(folders.end(), {"latent_mapping", "scheduler"});
  ITO_TRY(remove_variants(out));
  for (const std::string& folder : folders) {
    ITO_TRY(remove_variants(out / folder));
    ITO_TRY(remove_if_empty(out / folder));
  }
  if (is_own_config(out / kOwnConfig)) {
    ITO_TRY(remove_tree(out / kOwnWeights));
    ITO_TRY(remove_tree(out / kOwnConfig));
  }
  return remove_tree(out / kRunFile);  // last: a kill before it leaves a run to remove again
}

}  // namespace ito
