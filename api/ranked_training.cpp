#include "api/ranked_training.h"

#include <utility>
#include <vector>

#include "base/error.h"
#include "base/platform.h"
#include "base/sum_tree.h"

namespace ito {
namespace {

std::string this_host() {
  std::string name = platform::host_name();
  return name.empty() ? "?" : name;
}

}  // namespace

Status cut_for_ranks(const Ranks& ranks, const RunFile* stored, TrainingOptions& options) {
  if (!ranks.started()) return {};
  if (stored != nullptr && options.accumulate > 1)
    return invalid_argument(
        "the run was begun with --accumulate {}, which ranks do not have; go on with it in one "
        "process",
        options.accumulate);
  if (options.microbatch == 0 && options.accumulate > 1)
    return invalid_argument(
        "--accumulate {} has no meaning among ranks: --batch {} without it is as large a step, of "
        "which each rank computes its part",
        options.accumulate, options.batch * options.accumulate);
  if (options.microbatch == 0 && stored == nullptr)
    options.microbatch = microbatch_of_ranks(options.batch);
  if (!ranks.several()) return {};
  if (options.microbatch == 0)
    return invalid_argument(
        "the run was begun with its batch of {} computed at once, which {} ranks cannot share; go "
        "on with --microbatch {}, or on one device",
        options.batch, ranks.size(), microbatch_of_ranks(options.batch));
  const SumTree tree{options.batch / options.microbatch};
  if (tree.splits_into(ranks.size())) return {};
  std::string possible = "1";
  for (int64_t n = 2; n <= tree.parts; n *= 2)
    if (tree.splits_into(n)) possible += fmt::format(", {}", n);
  return invalid_argument(
      "{} ranks cannot share a --batch of {} in microbatches of {}: expected one of {} ranks, or a "
      "--microbatch that divides the batch into a multiple of {} parts (ranks are a power of two)",
      ranks.size(), options.batch, options.microbatch, possible, ranks.size());
}

Result<std::vector<std::string>> check_alike(const Ranks& ranks, const std::string& fingerprint,
                                             const vk::DeviceInfo& device) {
  const std::string model = fmt::format("{} ({})", device.name, device.driver);
  ITO_ASSIGN(const std::vector<std::string> images, ranks.gather(fingerprint));
  ITO_ASSIGN(const std::vector<std::string> models, ranks.gather(model));
  ITO_ASSIGN(const std::vector<std::string> hosts, ranks.gather(this_host()));
  Status alike;
  for (size_t k = 1; k < images.size() && alike.ok(); ++k) {
    if (images[k] != images[0])
      alike = invalid_argument("rank {} on {} reads other images than rank 0 on {}", k, hosts[k],
                               hosts[0]);
    else if (models[k] != models[0])
      alike = invalid_argument(
          "rank {} has {}, rank 0 {}: weights stay the same on all ranks only where all devices "
          "and drivers are of one kind; choose them with --devices",
          k, models[k], models[0]);
  }
  ITO_TRY(ranks.agree(std::move(alike)));
  std::vector<std::string> lines;
  for (size_t first = 0; first < hosts.size();) {
    size_t last = first;
    while (last + 1 < hosts.size() && hosts[last + 1] == hosts[first]) ++last;
    const std::string which =
        last == first ? fmt::format("rank {}", first) : fmt::format("ranks {} to {}", first, last);
    lines.push_back(fmt::format("{}: {} on {}", which, models[first], hosts[first]));
    first = last + 1;
  }
  return lines;
}

Error with_way_on(Error error, int64_t step, int64_t saved) {
  error.message += fmt::format(
      ", at step {}; {}", step + 1,
      saved > 0 ? fmt::format("the checkpoint of step {} is whole: the same command goes on from "
                              "there, on as many ranks as are left, too",
                              saved)
                : std::string("no checkpoint was written yet"));
  return error;
}

}  // namespace ito
