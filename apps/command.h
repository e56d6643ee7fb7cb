// Command: one subcommand of `ito`, and what all of them share. Each apps/<command>.cpp parses its
// options and calls api; the work is not done here.
#pragma once

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "runtime/vk/device.h"

namespace ito::apps {

// Exit codes of `ito`.
inline constexpr int kDone = 0, kFailed = 1, kWrongUsage = 2;
// Stopped by a signal before the end, as shells have it for Ctrl-C.
inline constexpr int kStopped = 130;

struct RanksChoice;  // apps/ranks_options.h

struct Command {
  CLI::App* app = nullptr;
  std::function<Status()> check;  // what the parser cannot check; a failure is wrong usage
  std::function<Status()> run;
  // Other commands whose tables its options are chosen from beside its own ones (apps/rows.h).
  std::vector<std::string> choices = {};
  // Of a command that several processes may share; null: each does all of it.
  std::shared_ptr<RanksChoice> ranks = {};
};

Command add_convert_command(CLI::App& root);
Command add_devices_command(CLI::App& root);
Command add_train_command(CLI::App& root);
Command add_merge_command(CLI::App& root);
Command add_report_command(CLI::App& root);
Command add_sample_command(CLI::App& root);
Command add_interpolate_command(CLI::App& root);
Command add_forward_command(CLI::App& root);
Command add_likelihood_command(CLI::App& root);
Command add_evaluate_command(CLI::App& root);
Command add_inspect_command(CLI::App& root);
Command add_pack_command(CLI::App& root);
Command add_bench_command(CLI::App& root);
Command add_toy_command(CLI::App& root);
Command add_verify_command(CLI::App& root);
// `program`: argv[0].
Command add_view_command(CLI::App& root, const char* program);

// --device, for the commands that compute.
struct DeviceChoice {
  std::string which;
};
void add_device_option(CLI::App& app, DeviceChoice& choice);
// Opens a device (api/device.h). Until the first ProgressLine::update the making of its kernels is
// stopped where stop_requested() says so: kInterrupted.
Result<std::unique_ptr<vk::Device>> open_stoppable(const std::string& which,
                                                   const vk::DeviceOptions& options = {});
// The same, and says on standard error what is done on it: "<what> on <device>".
Result<std::unique_ptr<vk::Device>> open_and_announce(const DeviceChoice& choice,
                                                      const std::string& what,
                                                      const vk::DeviceOptions& options = {});

// Whether the options that a call gives are names of their tables, where they have one
// (apps/rows.h). `commands`: whose tables. Error kInvalidArgument as of check_choice.
Status check_choices(const CLI::App& app, const std::vector<std::string>& commands);

// --precision, for the commands that run a network: what it multiplies in.
void add_precision_option(CLI::App& app, DType& multiply);

// "note: <text>" on standard error.
void print_note(const std::string& text);

// From now on SIGINT and SIGTERM end the program with kStopped and a line that says so: at once,
// until a command asks for stop_requested().
void end_on_signals();

// Set by SIGINT and SIGTERM from the first call on, whose caller asks again and again and ends by
// itself; a second signal ends the program at once.
const std::atomic<bool>& stop_requested();

// A line on standard error that is rewritten on a terminal, and repeated at most every ten seconds
// elsewhere.
class ProgressLine {
 public:
  // `speaks`: whether anything is said at all; of several processes one does.
  explicit ProgressLine(bool speaks = true);
  ~ProgressLine();
  void update(const std::string& text);
  // A line of its own above the progress.
  void note(const std::string& text);
  // Ends the line, so that what follows starts on a new one.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  bool speaks_;
  bool terminal_;
  bool open_ = false;
  Clock::time_point last_;
};

// "1:02:03" or "4:05".
std::string duration_text(double seconds);
// "12.3 MB".
std::string bytes_text(uint64_t bytes);

// Checks of single options: integers of at least `least`, and numbers above zero.
CLI::Validator at_least(int64_t least);
CLI::Validator positive_number();

// "0-63", "3", "0-3,7" → numbers below 2^32. Errors: kInvalidArgument naming the option.
Result<std::vector<uint32_t>> parse_ranges(const std::string& text, const std::string& option);

}  // namespace ito::apps
