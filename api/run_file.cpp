#include "api/run_file.h"

#include <filesystem>
#include <vector>

#include "api/run_folder.h"
#include "base/error.h"
#include "io/checkpoint.h"
#include "io/json.h"

namespace ito {

Result<std::optional<RunFile>> read_run_file(const Path& out) {
  if (!file_exists(out / kRunFile)) return std::optional<RunFile>{};
  ITO_ASSIGN(const std::vector<int64_t> steps, checkpoint_steps(out));
  if (steps.empty()) return std::optional<RunFile>{};
  const Path path = out / kRunFile;
  const std::string where = path.string();
  ITO_ASSIGN(const Json json, read_json(path));
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, where));
  RunFile file;
  ITO_TRY(object.require("options"));
  ITO_ASSIGN(file.options, training_options_from_json(*object.find("options"), where));
  ITO_TRY(check_training_options(file.options));
  ITO_TRY(object.read("data", &file.data));
  ITO_TRY(object.read("data_fingerprint", &file.fingerprint));
  ITO_TRY(object.read("held_out", &file.held_out));
  ITO_TRY(object.read("parameters", &file.parameters));
  if (object.find("holdout") != nullptr) {
    double share = 0;
    ITO_TRY(object.read("holdout", &share));
    file.holdout = share;
  }
  if (const Json* pace = object.find("pace")) file.pace = *pace;
  if (const Json* dataset = object.find("dataset")) {
    ITO_ASSIGN(file.dataset, dataset_options_from_json(*dataset, where + ": dataset"));
  }
  if (const Json* initial = object.find("init")) {
    ITO_ASSIGN(file.initial, initial_model_from_json(*initial, where + ": init"));
  }
  if (const Json* facts = object.find("facts")) file.facts = *facts;
  return std::optional<RunFile>(std::move(file));
}

Status write_run_file(const Path& out, const RunFile& file) {
  Json json = {{"options", to_json(file.options)},
               {"data", file.data},
               {"data_fingerprint", file.fingerprint},
               {"dataset", dataset_options_json(file.dataset)},
               {"held_out", file.held_out},
               {"parameters", file.parameters}};
  if (file.holdout) json["holdout"] = *file.holdout;
  if (!file.pace.empty()) json["pace"] = file.pace;
  if (!file.facts.empty()) json["facts"] = file.facts;
  if (file.initial) json["init"] = initial_model_json(*file.initial);
  return write_file_atomic(out / kRunFile, dump_json(json));
}

Status check_same_start(const RunFile& stored, const std::string& init, const Path& out) {
  if (init.empty()) return {};
  if (!stored.initial)
    return invalid_argument(
        "--init {} contradicts the run in {}, which began with fresh weights; leave it out to go "
        "on, or use another --out, or --fresh to start over",
        init, out.string());
  std::error_code ignored;
  const auto place = [&](const std::string& folder) {
    return std::filesystem::weakly_canonical(Path(folder) / ".", ignored).lexically_normal();
  };
  if (place(init) == place(stored.initial->folder)) return {};
  return invalid_argument(
      "--init {} contradicts the run in {}, which began from {}; leave it out to go on, or use "
      "another --out, or --fresh to start over",
      init, out.string(), stored.initial->folder);
}

}  // namespace ito
