// The program `ito`: reads the command line and hands over to one of its subcommands.
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <new>
#include <stdexcept>
#include <vector>

#include "apps/command.h"
#include "apps/ranks_options.h"
#include "base/error.h"
#include "base/printable.h"

namespace {

int report(const ito::Error& error, int code, bool speaks = true) {
  if (speaks) fmt::print(stderr, "ito: {}\n", ito::printable(error.message));
  return code;
}

// What may go wrong anywhere.
template <typename Work>
ito::Status with_memory(const Work& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
  } catch (const std::length_error&) {  // a vector longer than any memory
  }
  return ito::out_of_memory("out of host memory; try a smaller batch, image or network");
}

// A file that is damaged or cannot be read is no wrong usage, whenever it is looked at.
int code_of_check(ito::ErrorKind kind) {
  const bool of_files = kind == ito::ErrorKind::kCorrupt || kind == ito::ErrorKind::kIo ||
                        kind == ito::ErrorKind::kNotFound;
  return of_files ? ito::apps::kFailed : ito::apps::kWrongUsage;
}

// Checks and runs it, alone or with the other ranks. Gives the exit code.
int run_command(const ito::apps::Command& command, const char* program) {
  using namespace ito::apps;
  std::vector<std::string> tables = {command.app->get_name()};
  tables.insert(tables.end(), command.choices.begin(), command.choices.end());
  ito::Status status = check_choices(*command.app, tables);
  if (!status.ok())
    return report(status.error(), kWrongUsage, command.ranks == nullptr || speaks_for_ranks());
  RanksChoice alone;
  RanksChoice& choice = command.ranks ? *command.ranks : alone;
  if (command.ranks) status = join_ranks(choice, program);
  if (!status.ok()) return report(status.error(), kFailed, speaks_for_ranks());
  int code = kDone;
  if (command.check) {
    status = choice.ranks.agree(command.check());
    if (!status.ok()) code = code_of_check(status.error().kind);
  }
  if (status.ok()) {
    status = with_memory(command.run);
    if (!status.ok())
      code = status.error().kind == ito::ErrorKind::kInterrupted ? kStopped : kFailed;
  }
  const bool speaks = leave_ranks(choice, status.ok() ? nullptr : &status.error());
  return status.ok() ? code : report(status.error(), code, speaks);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace ito::apps;
  end_on_signals();
  CLI::App root{"Ito trains and samples diffusion models on any Vulkan device.", "ito"};
  root.set_version_flag("--version", "ito 0.1.0");
  root.require_subcommand(1);
  root.footer(
      "Example:\n"
      "  ito train --data /usr/share/datasets/fashion-mnist --out run --steps 2000\n"
      "  ito sample --model run --sampler ddim --steps 50 --seeds 0-63 --out samples.png\n"
      "`ito COMMAND --help` explains each command.");
  const std::vector<Command> commands = {
      add_devices_command(root),      add_train_command(root),      add_report_command(root),
      add_sample_command(root),       add_merge_command(root),      add_interpolate_command(root),
      add_forward_command(root),      add_likelihood_command(root), add_evaluate_command(root),
      add_inspect_command(root),      add_convert_command(root),    add_pack_command(root),
      add_bench_command(root),        add_toy_command(root),        add_verify_command(root),
      add_view_command(root, argv[0])};
  const auto is_named = [&](const Command& command) { return command.app->get_name() == argv[1]; };
  if (argc > 1 && argv[1][0] != '-' && std::none_of(commands.begin(), commands.end(), is_named)) {
    fmt::print(stderr, "ito: there is no command '{}'; see `ito --help`\n", argv[1]);
    return kWrongUsage;
  }
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return root.exit(error);  // --help, --version
    if (!speaks_for_ranks()) return kWrongUsage;
    fmt::print(stderr, "ito: {}\n", error.what());
    fmt::print(stderr, "See `ito --help` and `ito COMMAND --help`.\n");
    return kWrongUsage;
  }
  for (const Command& command : commands) {
    if (!command.app->parsed()) continue;
    if (const int code = run_command(command, argv[0])) return code;
  }
  if (std::fflush(stdout) != 0) {
    fmt::print(stderr, "ito: cannot write to standard output\n");
    return kFailed;
  }
  return kDone;
}
