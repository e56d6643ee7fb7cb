// ito merge: checks the shards of `ito sample --shard` and joins their manifests.
#include <fmt/format.h>

#include "api/sample_merge.h"
#include "apps/command.h"
#include "io/json.h"

namespace ito::apps {
namespace {

struct MergeCommand {
  std::string out;
  bool json = false;
};

Status run(const MergeCommand& c) {
  ProgressLine line;
  ITO_ASSIGN(const MergeSummary summary, merge_samples(c.out, [&](size_t done, size_t images) {
               line.update(fmt::format("{} of {} images checked", done, images));
             }));
  line.finish();
  if (c.json) {
    fmt::print("{}", dump_json({{"manifest", summary.manifest.string()},
                                {"images", summary.images},
                                {"shards", summary.shards},
                                {"files", summary.files},
                                {"form", summary.form}}));
    return {};
  }
  fmt::print("{} images in {} shard{}{} are whole; {}\n", summary.images, summary.shards,
             summary.shards == 1 ? "" : "s",
             summary.files > 0 ? fmt::format(", {} files,", summary.files) : "",
             summary.manifest.string());
  return {};
}

}  // namespace

Command add_merge_command(CLI::App& root) {
  auto c = std::make_shared<MergeCommand>();
  CLI::App* app =
      root.add_subcommand("merge", "Check the shards of `ito sample --shard` and join them");
  app->add_option("out", c->out, "the folder that they were drawn into")->required();
  app->add_flag("--json", c->json, "print JSON");
  app->footer(
      "Reads every file against its shard's manifest: nothing missing, nothing twice, all of one\n"
      "model and method. Then writes manifest.jsonl; the files stay as they are.");
  return {app, {}, [c] { return run(*c); }};
}

}  // namespace ito::apps
