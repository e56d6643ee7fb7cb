#include "apps/ranks_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>

#include "base/error.h"
#include "ranks/local_ranks.h"
#include "ranks/mpi_ranks.h"

namespace ito::apps {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool is_number(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
}

// Where more than one device may be meant: the usable ones of which the name has `which`, and of
// the kind that the best of them is.
Result<std::string> device_by_local_rank(const std::string& which, size_t local_rank) {
  constexpr std::string_view kKinds[] = {"discrete GPU", "integrated GPU", "virtual GPU", "CPU"};
  ITO_ASSIGN(std::vector<vk::DeviceInfo> devices, vk::list_devices({}));
  std::erase_if(devices, [&](const vk::DeviceInfo& info) {
    return !info.missing.empty() || lower(info.name).find(lower(which)) == std::string::npos;
  });
  const auto place = [&](const vk::DeviceInfo& info) {
    return std::find(std::begin(kKinds), std::end(kKinds), info.type) - std::begin(kKinds);
  };
  std::stable_sort(devices.begin(), devices.end(),
                   [&](const auto& a, const auto& b) { return place(a) < place(b); });
  std::erase_if(devices, [&](const auto& info) { return place(info) != place(devices.front()); });
  if (devices.empty()) return which;  // opening it says what is wrong
  return std::to_string(devices[local_rank % devices.size()].index);
}

Result<std::string> device_of_rank(const RanksChoice& choice, const DeviceChoice& device) {
  const Ranks& ranks = choice.ranks;
  if (!ranks.started()) return device.which;
  const auto local = static_cast<size_t>(ranks.local_rank());
  if (choice.devices.empty())
    return is_number(device.which) ? Result<std::string>(device.which)
                                   : device_by_local_rank(device.which, local);
  if (local < choice.devices.size()) return choice.devices[local];
  return invalid_argument(
      "rank {} is number {} on its host, but --devices names {}: start fewer processes on a host, "
      "or name a device for each",
      ranks.rank(), local + 1, choice.devices.size());
}

}  // namespace

void add_devices_option(CLI::App& app, RanksChoice& choice, const std::string& what) {
  app.add_option("--devices", choice.devices,
                 "several devices, as --device names one, with commas between them: a process for "
                 "each " +
                     what +
                     " its part; under mpirun, which starts the processes, those of each host")
      ->delimiter(',')
      ->excludes(app.get_option("--device"));
}

bool speaks_for_ranks() { return mpi_launcher().rank == 0; }

Status join_ranks(RanksChoice& choice, const char* program) {
  if (const MpiLauncher launcher = mpi_launcher()) {
    ITO_ASSIGN(choice.ranks, join_mpi(launcher, program));
    return {};
  }
  if (choice.devices.empty()) return {};
  ITO_ASSIGN(choice.ranks, start_local_ranks(static_cast<int>(choice.devices.size())));
  return {};
}

Result<std::unique_ptr<vk::Device>> open_device_of_rank(const RanksChoice& choice,
                                                        const DeviceChoice& device,
                                                        const std::string& what) {
  ITO_ASSIGN(const std::string which, device_of_rank(choice, device));
  const Ranks& ranks = choice.ranks;
  if (!ranks.started()) return open_and_announce({which}, what);
  ITO_ASSIGN(auto opened, open_stoppable(which));
  if (ranks.first())
    fmt::print(stderr, "{} on {}{}\n", what, opened->info().name,
               ranks.several() ? fmt::format(" by {} ranks ({})", ranks.size(), ranks.name())
                               : std::string());
  return opened;
}

bool leave_ranks(const RanksChoice& choice, const Error* error) {
  return choice.ranks.leave(error);
}

}  // namespace ito::apps
