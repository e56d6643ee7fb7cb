// ito_golden DIR: runs every case of a golden folder on a Vulkan device and compares.
//   ito_golden DIR [--filter TEXT] [--device NAME] [--precision fp16] [--json]
// With fp16 only networks are run (unet/NAME/io), their value against a wider limit.
// One line per case, the last line is the count; the exit status is 0 exactly if no case failed,
// 2 if nothing could be run (no such folder, no device).
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "tests/golden_runner/families.h"

namespace ito::golden {
namespace {

struct Options {
  std::string folder;
  std::string filter;
  std::string device;
  std::string precision = "fp32";
  bool json = false;
};

struct Entry {
  std::string family;  // first folder
  std::string name;    // path without extension
};

// Stems of the files of one folder, sorted. A tensor file without attributes is a (malformed) case
// too; models and their configurations are not.
Result<std::vector<std::string>> stems(const Path& folder) {
  ITO_ASSIGN(const std::vector<std::string> files, list_folder(folder));
  std::set<std::string> names;
  for (const std::string& file : files) {
    const Path path(file);
    const std::string stem = path.stem().string();
    if (path.extension() != ".json" && path.extension() != ".safetensors") continue;
    if (stem == "config" || stem == "diffusion_pytorch_model") continue;
    names.insert(stem);
  }
  return std::vector<std::string>(names.begin(), names.end());
}

Result<std::vector<Entry>> find_cases(const Path& folder) {
  std::vector<Entry> entries;
  ITO_ASSIGN(const std::vector<std::string> families, list_folder(folder));
  for (const std::string& family : families) {
    if (!folder_exists(folder / family)) continue;
    std::vector<std::string> groups = {""};
    if (family == "unet") {
      ITO_ASSIGN(groups, list_folder(folder / family));
      std::erase_if(groups, [&](const std::string& group) {
        return !folder_exists(folder / family / group);
      });
    }
    for (const std::string& group : groups) {
      const Path path = group.empty() ? Path(family) : Path(family) / group;
      ITO_ASSIGN(const std::vector<std::string> names, stems(folder / path));
      for (const std::string& name : names) entries.push_back({family, (path / name).string()});
    }
  }
  return entries;
}

Result<Outcome> run_case(vk::Device& device, const Path& folder, const Entry& entry,
                         DType multiply) {
  using Run = Result<Outcome> (*)(vk::Device&, const Case&);
  static const std::map<std::string, Run> runs = {
      {"ops", run_op},    {"second_order", run_second_order}, {"rng", run_rng},
      {"unet", run_unet}, {"schedulers", run_scheduler},      {"sde", run_sde},
      {"vlb", run_vlb},   {"analytic", run_analytic},
  };
  const auto run = runs.find(entry.family);
  if (run == runs.end()) return skipped("no runner for this family of cases");
  const bool training =
      entry.family == "unet" && Path(entry.name).filename().string().starts_with("train_");
  if (multiply != DType::kF32 && (entry.family != "unet" || training))
    return skipped("runs in fp32 only");
  ITO_ASSIGN(Case golden, load_case(folder, entry.name));
  golden.multiply = multiply;
  return training ? run_training(device, golden) : run->second(device, golden);
}

const char* verdict_name(Outcome::Verdict verdict) {
  switch (verdict) {
    case Outcome::Verdict::kPass:
      return "PASS";
    case Outcome::Verdict::kSkip:
      return "SKIP";
    case Outcome::Verdict::kFail:
      break;
  }
  return "FAIL";
}

void print(const std::string& name, const Outcome& outcome) {
  const char* verdict = verdict_name(outcome.verdict);
  if (!outcome.reason.empty())
    fmt::print("{} {}  {}\n", verdict, name, outcome.reason);
  else
    fmt::print("{} {}  {:.2e} / {:.2e} ({}, {} compared)\n", verdict, name, outcome.error,
               outcome.limit, outcome.tensor, outcome.comparisons);
  std::fflush(stdout);
}

Json describe(const std::string& name, const Outcome& outcome, double seconds) {
  Json json = {{"name", name},
               {"verdict", verdict_name(outcome.verdict)},
               {"seconds", seconds},
               {"comparisons", outcome.comparisons}};
  if (!outcome.reason.empty()) json["reason"] = outcome.reason;
  if (outcome.comparisons > 0) {
    json["tensor"] = outcome.tensor;
    json["error"] = outcome.error;  // an infinite error is null
    json["limit"] = outcome.limit;
  }
  return json;
}

Result<int> run(const Options& options) {
  const Path folder(options.folder);
  if (!folder_exists(folder)) return not_found("{}: no such folder", options.folder);
  ITO_ASSIGN(std::vector<Entry> entries, find_cases(folder));
  std::erase_if(entries, [&](const Entry& entry) {
    return entry.name.find(options.filter) == std::string::npos;
  });
  if (entries.empty())
    return not_found("{}: no golden case{}", options.folder,
                     options.filter.empty() ? "" : " whose name holds '" + options.filter + "'");
  vk::DeviceOptions device_options;
  device_options.name = options.device;
  ITO_ASSIGN(const auto device, vk::Device::create(device_options));

  std::map<Outcome::Verdict, int> counts;
  const DType multiply = options.precision == "fp16" ? DType::kF16 : DType::kF32;
  Json report = {{"device", device->caps().name}, {"cases", Json::array()}};
  for (const Entry& entry : entries) {
    const auto start = std::chrono::steady_clock::now();
    Result<Outcome> result = run_case(*device, folder, entry, multiply);
    const Outcome outcome = result.ok() ? std::move(result).value() : failed(result.error());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    ++counts[outcome.verdict];
    if (options.json)
      report["cases"].push_back(describe(entry.name, outcome, took.count()));
    else
      print(entry.name, outcome);
  }
  const int passed = counts[Outcome::Verdict::kPass], failures = counts[Outcome::Verdict::kFail],
            skips = counts[Outcome::Verdict::kSkip];
  if (options.json) {
    report["passed"] = passed;
    report["failed"] = failures;
    report["skipped"] = skips;
    fmt::print("{}", dump_json(report));
  } else {
    fmt::print("{} passed, {} failed, {} skipped\n", passed, failures, skips);
  }
  return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace ito::golden

int main(int argc, char** argv) {
  ito::golden::Options options;
  CLI::App app("Runs golden cases on a Vulkan device.", "ito_golden");
  app.add_option("folder", options.folder, "folder laid out as the golden data")->required();
  app.add_option("--filter", options.filter, "only cases whose name holds this text");
  app.add_option("--device", options.device, "a part of the device's name");
  app.add_option("--precision", options.precision, "what networks multiply in")
      ->check(CLI::IsMember({"fp32", "fp16"}));
  app.add_flag("--json", options.json, "one JSON document instead of lines");
  CLI11_PARSE(app, argc, argv);
  const ito::Result<int> status = ito::golden::run(options);
  if (!status.ok()) {
    fmt::print(stderr, "ito_golden: {}\n", status.error().message);
    return 2;
  }
  return *status;
}
