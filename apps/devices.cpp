// ito devices: the Vulkan devices of this machine.
#include <fmt/core.h>

#include "apps/command.h"
#include "io/json.h"

namespace ito::apps {

Command add_devices_command(CLI::App& root) {
  CLI::App* app = root.add_subcommand("devices", "List the Vulkan devices of this machine");
  auto json = std::make_shared<bool>(false);
  app->add_flag("--json", *json, "print JSON");
  const auto run = [json]() -> Status {
    const vk::DeviceOptions options;
    ITO_ASSIGN(const std::vector<vk::DeviceInfo> devices, vk::list_devices(options));
    Json list = Json::array();
    for (const vk::DeviceInfo& device : devices) {
      list.push_back({{"index", device.index},
                      {"name", device.name},
                      {"type", device.type},
                      {"driver", device.driver},
                      {"vulkan", device.vulkan},
                      {"memory_bytes", device.memory_bytes},
                      {"usable", device.missing.empty()},
                      {"missing", device.missing}});
    }
    if (*json) {
      fmt::print("{}", dump_json(list));
      return {};
    }
    for (const vk::DeviceInfo& device : devices) {
      fmt::print("{}  {} ({}, {})\n   Vulkan {}, {}\n", device.index, device.name, device.type,
                 bytes_text(device.memory_bytes), device.vulkan, device.driver);
      if (!device.missing.empty()) fmt::print("   cannot be used: no {}\n", device.missing);
    }
    return {};
  };
  return {app, {}, run};
}

}  // namespace ito::apps
