#include "api/run_start.h"

#include <filesystem>
#include <type_traits>

#include "api/ranked_training.h"
#include "api/run_folder.h"
#include "base/error.h"
#include "io/json.h"

namespace ito {
namespace {

// A run among its images would be taken for some of them the next time.
Status check_apart(const Path& data, const Path& out) {
  std::error_code error;
  const Path images = std::filesystem::weakly_canonical(data, error);
  const Path run = std::filesystem::weakly_canonical(out, error);
  if (error || !folder_exists(data)) return {};
  const Path relative = run.lexically_relative(images);
  if (relative.empty() || relative.generic_string().starts_with("..")) return {};
  return invalid_argument("--out {} lies in {}, where the images are; choose another --out",
                          out.string(), data.string());
}

// What the call does not say of length and pace is the run's.
Status take_pace(RunOptions& run, const RunFile& stored) {
  Status status;
  visit_pace(run, [&](const char* key, auto& value) {
    const auto kept = stored.pace.find(key);
    if (run.given.contains(key) || kept == stored.pace.end() || !status.ok()) return;
    if (!kept->is_number_integer())
      status = corrupt("{}: pace: key '{}': expected a whole number, found {}",
                       (run.out / kRunFile).string(), key, describe_json(*kept));
    else
      value = kept->get<std::remove_reference_t<decltype(value)>>();
  });
  return status;
}

}  // namespace

Status settle_start(RunStart& start) {
  RunOptions& run = start.run;
  std::optional<RunFile>& stored = start.stored;
  ITO_TRY(check_apart(run.data, run.out));
  ITO_TRY(check_run_folder(run.out));  // before what is in it is read as a run's
  if (!run.fresh) {
    ITO_ASSIGN(stored, read_run_file(run.out));
  }
  if (stored) {
    ITO_TRY(check_same_start(*stored, run.init, run.out));
    ITO_ASSIGN(start.options,
               resumed_options(stored->options, start.options, run.given, run.out.string()));
    ITO_TRY(take_pace(run, *stored));
  }
  ITO_TRY(cut_for_ranks(run.ranks, stored ? &*stored : nullptr, start.options));
  return check_training_options(start.options);
}

}  // namespace ito
