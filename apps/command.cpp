#include "apps/command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "api/device.h"
#include "apps/rows.h"
#include "base/error.h"
#include "base/platform.h"
#include "base/precision.h"
#include "base/printable.h"

namespace ito::apps {
namespace {

// A signal handler can reach nothing but globals.
std::atomic<bool> g_stop{false};
std::atomic<bool> g_asked{false};  // a command asks whether it shall stop
// A command's loop has begun, which ends by itself: it saves what it has, and what it needs for
// that is made.
std::atomic<bool> g_looping{false};

void on_interruption(int) {
  if (!g_asked) {
    constexpr int kStandardError = 2;
    (void)platform::write_all(kStandardError, "ito: stopped\n");
    std::_Exit(kStopped);
  }
  g_stop = true;
}

constexpr size_t kMaxSeeds = 100'000'000;

bool parse_number(std::string_view text, uint32_t* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

void add_device_option(CLI::App& app, DeviceChoice& choice) {
  app.add_option("--device", choice.which,
                 "index or part of the name of a Vulkan device (see `ito devices`); the best one "
                 "where left out");
}

void add_precision_option(CLI::App& app, DType& multiply) {
  std::vector<std::string> names;
  for (const PrecisionRow& row : precision_rows()) names.emplace_back(row.name.name);
  app.add_option_function<std::string>(
         "--precision",
         [&multiply](const std::string& name) {
           multiply = find_row(precision_rows(), name)->precision.multiply;
         },
         with_choices(app.get_name() + " --precision",
                      names[0] + " where left out: what matrix products and convolutions multiply "
                                 "in; sums and all else are fp32"))
      ->check([names](const std::string& name) {
        if (std::find(names.begin(), names.end(), name) != names.end()) return std::string();
        return fmt::format("there is no precision \"{}\", expected one of {}", name,
                           fmt::join(names, ", "));
      });
}

Result<std::unique_ptr<vk::Device>> open_stoppable(const std::string& which,
                                                   const vk::DeviceOptions& options) {
  vk::DeviceOptions stoppable = options;
  if (!stoppable.on_progress)
    stoppable.on_progress = [](size_t, size_t) { return g_looping || !g_stop; };
  return open_device(which, stoppable);
}

Result<std::unique_ptr<vk::Device>> open_and_announce(const DeviceChoice& choice,
                                                      const std::string& what,
                                                      const vk::DeviceOptions& options) {
  ITO_ASSIGN(auto device, open_stoppable(choice.which, options));
  fmt::print(stderr, "{} on {}\n", what, device->info().name);
  return device;
}

Status check_choices(const CLI::App& app, const std::vector<std::string>& commands) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() == 0) continue;
    std::vector<std::string> names;
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    if (names.empty()) names.push_back("NAME");  // by its place
    for (const std::string& command : commands) {
      const auto chosen = std::find_if(names.begin(), names.end(), [&](const std::string& name) {
        return is_choice(command + " " + name);
      });
      if (chosen == names.end()) continue;
      // Its default may be a word that stands for none of the names, such as auto.
      for (const std::string& value : option->results())
        if (value != option->get_default_str())
          ITO_TRY(check_choice(command + " " + *chosen, value));
      break;
    }
  }
  return {};
}

void print_note(const std::string& text) { fmt::print(stderr, "note: {}\n", printable(text)); }

void end_on_signals() { platform::on_interruption(on_interruption); }

const std::atomic<bool>& stop_requested() {
  g_asked = true;
  return g_stop;
}

ProgressLine::ProgressLine(bool speaks)
    : speaks_(speaks), terminal_(platform::error_output_is_terminal()), last_(Clock::now()) {}

ProgressLine::~ProgressLine() { finish(); }

void ProgressLine::update(const std::string& text) {
  g_looping = true;
  if (!speaks_) return;
  const Clock::time_point now = Clock::now();
  const double since = std::chrono::duration<double>(now - last_).count();
  if (since < (terminal_ ? 0.1 : 10.0)) return;
  last_ = now;
  if (terminal_) {
    fmt::print(stderr, "\r{}\033[K", text);
    std::fflush(stderr);
    open_ = true;
  } else {
    fmt::print(stderr, "{}\n", text);
  }
}

void ProgressLine::note(const std::string& text) {
  if (!speaks_) return;
  finish();
  fmt::print(stderr, "{}\n", printable(text));
}

void ProgressLine::finish() {
  if (open_) fmt::print(stderr, "\n");
  open_ = false;
}

std::string duration_text(double seconds) {
  const int64_t s = static_cast<int64_t>(seconds + 0.5);
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

std::string bytes_text(uint64_t bytes) {
  const double value = static_cast<double>(bytes);
  if (bytes >= 1'000'000'000) return fmt::format("{:.2f} GB", value / 1e9);
  if (bytes >= 1'000'000) return fmt::format("{:.1f} MB", value / 1e6);
  if (bytes >= 1'000) return fmt::format("{:.1f} kB", value / 1e3);
  return fmt::format("{} B", bytes);
}

CLI::Validator at_least(int64_t least) {
  return CLI::Validator(
      [least](std::string& text) {
        int64_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool good =
            error == std::errc() && end == text.data() + text.size() && value >= least;
        return good ? std::string()
                    : fmt::format("expected an integer of at least {}, found {}", least, text);
      },
      "");
}

CLI::Validator positive_number() {
  return CLI::Validator(
      [](std::string& text) {
        double value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool good = error == std::errc() && end == text.data() + text.size() && value > 0;
        return good ? std::string() : "expected a positive number, found " + text;
      },
      "");
}

Result<std::vector<uint32_t>> parse_ranges(const std::string& text, const std::string& option) {
  const Error wrong = invalid_argument(
      "{} is \"{}\", expected numbers and ranges such as 7 or 0-63 or 0-3,9, each at most "
      "4294967295 and {} in all",
      option, text, kMaxSeeds);
  std::vector<uint32_t> values;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    const std::string_view part = std::string_view(text).substr(begin, comma - begin);
    const size_t dash = part.find('-');
    uint32_t first = 0, last = 0;
    if (!parse_number(part.substr(0, dash), &first)) return wrong;
    last = first;
    if (dash != std::string_view::npos && !parse_number(part.substr(dash + 1), &last)) return wrong;
    if (last < first || values.size() + (last - first) >= kMaxSeeds) return wrong;
    for (uint64_t v = first; v <= last; ++v) values.push_back(static_cast<uint32_t>(v));
    begin = comma + 1;
  }
  return values;
}

}  // namespace ito::apps
