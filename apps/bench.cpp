// ito bench: how fast kernels and training steps are here, beside what the device can do at most.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <utility>

#include "api/device.h"
#include "apps/bench_cases.h"
#include "apps/bench_data.h"
#include "apps/command.h"
#include "apps/plan_report.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/philox.h"
#include "base/platform.h"
#include "graph/compile.h"
#include "io/json.h"
#include "nn/train_step.h"
#include "runtime/executor.h"

namespace ito::apps {
namespace {

constexpr const char* kDataWorkload = "data";

std::vector<std::string> workloads() {
  std::vector<std::string> names = bench_workloads();
  names.push_back(kDataWorkload);
  return names;
}

struct BenchCommand {
  DeviceChoice device;
  std::string workload;
  std::string filter;  // only cases whose name holds this text
  AttentionForm attention = AttentionForm::kFastest;
  int rounds = 7;
  double seconds = 0.1;  // per case and round
  std::string profile;   // trace file; empty: no profile
  bool compile_times = true;
  bool json = false;
};

// Processor time of this thread: what the host works, not what it waits.
double thread_ms() { return platform::thread_seconds() * 1e3; }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Processor time of all threads: on CPU drivers, what a kernel costs however busy the machine is.
double process_ms() { return platform::process_seconds() * 1e3; }

// A case made runnable, and what was measured of it.
struct Running {
  const BenchCase* benchmark = nullptr;
  std::unique_ptr<Executor> executor;
  PlanTotals totals;
  uint32_t replays = 1;
  std::vector<double> ms, host_ms, process_ms;
  double cold_seconds = 0, warm_seconds = 0;
};

// Random numbers in all floating inputs, so that no kernel meets only zeros.
Status fill_inputs(Executor& executor, const BenchCase& benchmark) {
  uint32_t image = 0;
  for (const External& external : executor.plan().externals) {
    if (external.name == state_name::kParameters && !benchmark.parameters.empty()) {
      ITO_TRY(executor.write(external.name, benchmark.parameters));
      continue;
    }
    if (external.role != ExternalRole::kInput || external.dtype != DType::kF32) continue;
    std::vector<float> values(static_cast<size_t>(external.shape.numel()));
    ++image;
    for (size_t i = 0; i < values.size(); i += 4) {
      const auto words = philox4x32_10({static_cast<uint32_t>(i), image, 0, 0}, {1, 2});
      for (size_t k = 0; k < 4 && i + k < values.size(); ++k)
        values[i + k] = static_cast<float>(2 * philox_uniform(words[k]) - 1);
    }
    ITO_TRY(executor.write(external.name, values));
  }
  return {};
}

// Compiles the case, and runs it once: many drivers translate a shader only then. Reports the time.
Result<std::unique_ptr<Executor>> start(vk::Device& device, const BenchCase& benchmark,
                                        const CompileOptions& options, double* seconds) {
  const Clock::time_point begin = Clock::now();
  Plan plan = benchmark.plan;
  if (!benchmark.by_hand) {
    ITO_ASSIGN(plan, compile(benchmark.program, device.caps(), options));
  }
  ITO_ASSIGN(std::unique_ptr<Executor> executor, Executor::create(device, std::move(plan)));
  const double compiled = seconds_since(begin);
  ITO_TRY(fill_inputs(*executor, benchmark));
  const Clock::time_point first = Clock::now();
  ITO_TRY(executor->run());
  ITO_TRY(executor->wait());
  *seconds = compiled + seconds_since(first);
  return executor;
}

// A cache folder of this process, removed at the end.
class ScratchCache {
 public:
  ScratchCache()
      : path_(std::filesystem::temp_directory_path() /
              fmt::format("ito-bench-{}", platform::process_number())) {}
  ~ScratchCache() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

Status measure_round(Running& r, double seconds_per_case) {
  if (r.ms.empty()) {
    ITO_TRY(r.executor->run(4));  // the executor measures its first replays
    ITO_TRY(r.executor->wait());
    const Clock::time_point begin = Clock::now();
    ITO_TRY(r.executor->run());
    ITO_TRY(r.executor->wait());
    const double once = std::max(seconds_since(begin), 1e-5);
    r.replays = static_cast<uint32_t>(std::clamp(seconds_per_case / once, 1.0, 10000.0));
  }
  const double host = thread_ms();
  ITO_TRY(r.executor->run());
  r.host_ms.push_back(thread_ms() - host);
  ITO_TRY(r.executor->wait());
  const double process = process_ms();
  const Clock::time_point begin = Clock::now();
  ITO_TRY(r.executor->run(r.replays));
  ITO_TRY(r.executor->wait());
  r.process_ms.push_back((process_ms() - process) / r.replays);
  r.ms.push_back(seconds_since(begin) * 1e3 / r.replays);
  return {};
}

double smallest(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

double flops(const Running& r) {
  return r.benchmark->flops > 0 ? r.benchmark->flops
                                : static_cast<double>(r.executor->plan().ideal_flops);
}

double bytes(const Running& r) {
  return r.benchmark->bytes > 0 ? r.benchmark->bytes : static_cast<double>(r.totals.bytes());
}

// A roof is the best that was seen, anything else what is usual.
double representative_ms(const Running& r) {
  return r.benchmark->by_hand ? smallest(r.ms) : median(r.ms);
}

Json row_json(const Running& r, bool compile_times) {
  const BenchCase& c = *r.benchmark;
  const double ms = representative_ms(r);
  Json row = {{"name", c.name},
              {"ms", ms},
              {"ms_min", smallest(r.ms)},
              {"gflops", flops(r) / ms / 1e6},
              {"gbps", bytes(r) / ms / 1e6},
              {"host_ms", median(r.host_ms)},
              {"process_ms", median(r.process_ms)},
              {"kernels", r.executor->plan().calls.size() - r.executor->plan().prologue},
              {"peak_bytes", r.totals.memory(r.executor->plan())},
              {"arena_bytes", r.executor->plan().arena_size},
              {"kept_bytes", r.executor->plan().kept_bytes}};
  if (!c.shape.empty()) row["shape"] = c.shape;
  if (compile_times) {
    row["compile_cold_s"] = r.cold_seconds;
    row["compile_warm_s"] = r.warm_seconds;
  }
  return row;
}

// One row for each name: the fastest of its shapes. Work per time, since shapes differ in work.
Json running_json(const std::vector<Running>& running, bool compile_times) {
  const auto speed = [](const Running& r) {
    return std::max(flops(r), bytes(r)) / representative_ms(r);
  };
  std::vector<const Running*> chosen;
  for (const Running& r : running) {
    if (chosen.empty() || chosen.back()->benchmark->name != r.benchmark->name)
      chosen.push_back(&r);
    else if (speed(r) > speed(*chosen.back()))
      chosen.back() = &r;
  }
  Json rows = Json::array();
  double fma = 0;
  for (const Running* r : chosen) {
    Json row = row_json(*r, compile_times);
    if (row["name"] == "roof_fma") fma = row["gflops"].get<double>();
    if (fma > 0 && !r->benchmark->by_hand) row["of_roof_fma"] = row["gflops"].get<double>() / fma;
    rows.push_back(std::move(row));
  }
  return rows;
}

void print_table(const Json& rows) {
  fmt::print("{:<42} {:>10} {:>9} {:>6} {:>9} {:>9} {:>10} {:>8} {:>8}\n", "workload", "ms",
             "GFLOP/s", "roof", "GB/s", "host ms", "memory", "cold s", "warm s");
  for (const Json& row : rows) {
    const auto seconds = [&](const char* key) {
      return row.contains(key) ? fmt::format("{:.2f}", row[key].get<double>()) : std::string("-");
    };
    fmt::print("{:<42} {:>10.3f} {:>9.2f} {:>6} {:>9.2f} {:>9.3f} {:>10} {:>8} {:>8}\n",
               row["name"].get<std::string>(), row["ms"].get<double>(), row["gflops"].get<double>(),
               row.contains("of_roof_fma")
                   ? fmt::format("{:.0f}%", 100 * row["of_roof_fma"].get<double>())
                   : std::string("-"),
               row["gbps"].get<double>(), row["host_ms"].get<double>(),
               bytes_text(row["peak_bytes"].get<uint64_t>()), seconds("compile_cold_s"),
               seconds("compile_warm_s"));
  }
}

// Times every call of the last case: tables, and a trace in a file.
Status profile(vk::Device& device, const BenchCase& benchmark,
               const CompileOptions& compile_options, const std::string& trace, std::FILE* tables) {
  constexpr uint32_t kReplays = 5;
  constexpr size_t kSlowest = 30;
  ExecutorOptions options;
  options.profile = true;
  Plan plan = benchmark.plan;
  if (!benchmark.by_hand) {
    ITO_ASSIGN(plan, compile(benchmark.program, device.caps(), compile_options));
  }
  ITO_ASSIGN(auto executor, Executor::create(device, std::move(plan), options));
  ITO_TRY(fill_inputs(*executor, benchmark));
  ITO_TRY(executor->run(kReplays));
  ITO_TRY(executor->wait());
  const Profile& measured = executor->profile();
  fmt::print(tables, "\n{} in detail, {} replays\n{}\n{}", benchmark.name, kReplays,
             measured.kernel_table(executor->plan()),
             measured.call_table(executor->plan(), kSlowest));
  return measured.write_trace(executor->plan(), trace);
}

Status run_data(const BenchCommand& c) {
  ITO_ASSIGN(auto device, open_and_announce(c.device, "measuring how pictures become batches"));
  ITO_ASSIGN(Json rows, bench_data(*device));
  if (c.json) {
    for (Json& row : rows) row["device"] = device->info().name;
    fmt::print("{}", dump_json(rows));
    return {};
  }
  for (const Json& row : rows)
    fmt::print(
        "{:<34} {:>10.4f} ms/image {:>10.0f} images/s{}\n", row["name"].get<std::string>(),
        row["ms"].get<double>(), row["images_per_second"].get<double>(),
        row.contains("idle") ? fmt::format("  idle {:.2f}%", 100 * row["idle"].get<double>()) : "");
  return {};
}

Status run(const BenchCommand& c) {
  if (c.workload == kDataWorkload) return run_data(c);
  const ScratchCache cache;
  vk::DeviceOptions options;
  ITO_ASSIGN(auto device, open_and_announce(c.device, fmt::format("measuring {}", c.workload)));
  ITO_ASSIGN(std::vector<BenchCase> cases, bench_cases(c.workload, device->caps()));
  std::erase_if(cases, [&](const BenchCase& benchmark) {
    return benchmark.name.find(c.filter) == std::string::npos;
  });
  if (cases.empty())
    return Error{ErrorKind::kInvalidArgument,
                 fmt::format("--filter: no case of {} has a name with '{}'", c.workload, c.filter)};
  CompileOptions compile_options;
  compile_options.attention = c.attention;
  std::vector<Running> running(cases.size());
  ProgressLine line;
  uint64_t warm_compilations = 0;
  if (c.compile_times) {
    // Ito's own cache is empty for the first device and full for the second.
    options.cache_dir = cache.path();
    device.reset();
    ITO_ASSIGN(device, open_device(c.device.which, options));
    for (size_t i = 0; i < cases.size(); ++i) {
      line.update("compiling " + cases[i].name);
      ITO_TRY(start(*device, cases[i], compile_options, &running[i].cold_seconds));
    }
    device.reset();
    ITO_ASSIGN(device, open_device(c.device.which, options));
  }
  for (size_t i = 0; i < cases.size(); ++i) {
    Running& r = running[i];
    r.benchmark = &cases[i];
    ITO_ASSIGN(r.executor, start(*device, cases[i], compile_options, &r.warm_seconds));
    r.totals = plan_totals(r.executor->plan());
  }
  warm_compilations = device->counters().glsl_compilations;
  for (int round = 0; round < c.rounds; ++round) {
    for (Running& r : running) {
      line.update(fmt::format("round {} of {}: {}", round + 1, c.rounds, r.benchmark->name));
      ITO_TRY(measure_round(r, c.seconds));
    }
  }
  line.finish();
  Json rows = running_json(running, c.compile_times);
  if (c.json) {
    for (Json& row : rows) {
      row["device"] = device->info().name;
      row["driver"] = device->info().driver;
      row["rounds"] = c.rounds;
      if (c.compile_times) row["warm_glsl_compilations"] = warm_compilations;
    }
    fmt::print("{}", dump_json(rows));
  } else {
    print_table(rows);
    if (c.compile_times)
      fmt::print("{} shaders were compiled with the full cache\n", warm_compilations);
  }
  if (c.profile.empty()) return {};
  // Standard output holds the JSON and nothing else.
  return profile(*device, cases.back(), compile_options, c.profile, c.json ? stderr : stdout);
}

}  // namespace

Command add_bench_command(CLI::App& root) {
  auto c = std::make_shared<BenchCommand>();
  CLI::App* app = root.add_subcommand(
      "bench", "Measure kernels and training steps beside what the device can do at most");
  app->add_option("workload", c->workload,
                  "what to measure; the roof is measured with each but data, which "
                  "is how fast pictures become batches and whether a training waits for them")
      ->required()
      ->check(CLI::IsMember(workloads()));
  app->add_option("--filter", c->filter, "only cases whose name holds this text");
  app->add_option("--attention", c->attention, "how attention is computed")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, AttentionForm>{{"fastest", AttentionForm::kFastest},
                                               {"kernel", AttentionForm::kKernel},
                                               {"decomposed", AttentionForm::kDecomposed}}))
      ->default_str("fastest");
  app->add_option("--rounds", c->rounds, "rounds over all cases, which take turns; medians count")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app->add_option("--seconds", c->seconds, "time per case and round")
      ->check(positive_number())
      ->capture_default_str();
  app->add_flag("--compile-times,!--no-compile-times", c->compile_times,
                "also time the first run with an empty and with a full shader cache")
      ->capture_default_str();
  app->add_option("--profile", c->profile,
                  "also time every kernel of the workload's last case: tables, and this file for "
                  "Chrome's or Perfetto's trace viewer");
  add_device_option(*app, c->device);
  app->add_flag("--json", c->json, "print JSON");
  app->footer(
      "ms is the median time of one replay, over batches of replays that end with one wait.\n"
      "GFLOP/s and GB/s count what the mathematics needs. The roofs are kernels by hand in "
      "several\n"
      "shapes: multiply-adds with all operands in registers, and copying 32 MiB; the best shape's\n"
      "best round counts, so they bound what a kernel can reach through this driver, not what the\n"
      "hardware could. host ms is the processor time that submitting one replay costs the host.\n"
      "Vulkan drivers keep shader caches of their own: for an honest cold time on Mesa set\n"
      "MESA_SHADER_CACHE_DISABLE=true.");
  return {app, {}, [c] { return run(*c); }};
}

}  // namespace ito::apps
