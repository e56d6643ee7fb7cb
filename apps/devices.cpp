// ito devices: the Vulkan devices of this machine, and what kernels may assume of each.
#include <fmt/core.h>

#include <map>

#include "apps/command.h"
#include "io/json.h"

namespace ito::apps {
namespace {

// What is enabled on the device when Ito opens it; nothing where that fails.
std::optional<DeviceCaps> capabilities(const vk::DeviceInfo& info) {
  if (!info.missing.empty()) return std::nullopt;
  vk::DeviceOptions options;
  options.index = info.index;
  options.compile_only = true;
  options.cache_dir = "";
  const auto device = vk::Device::create(options);
  if (!device.ok()) return std::nullopt;
  return (*device)->caps();
}

Json matrices_json(const DeviceCaps& caps) {
  Json list = Json::array();
  for (const MatrixShape& shape : caps.matrix_shapes)
    list.push_back({{"m", shape.m},
                    {"n", shape.n},
                    {"k", shape.k},
                    {"a", matrix_element_name(shape.a)},
                    {"b", matrix_element_name(shape.b)},
                    {"c", matrix_element_name(shape.c)},
                    {"result", matrix_element_name(shape.result)},
                    {"saturating", shape.saturating},
                    {"scope", matrix_scope_name(shape.scope)}});
  return list;
}

// 0 stands for "not said" in DeviceCaps.
Json or_null(uint32_t number) { return number == 0 ? Json(nullptr) : Json(number); }

Json capabilities_json(const DeviceCaps& caps) {
  return {{"subgroup_size", caps.subgroup_size},
          {"min_subgroup_size", or_null(caps.min_subgroup_size)},
          {"max_subgroup_size", or_null(caps.max_subgroup_size)},
          {"required_subgroup_size", caps.required_subgroup_size},
          {"subgroup_arithmetic", caps.subgroup_arithmetic},
          {"workgroup_invocations", caps.max_workgroup_invocations},
          {"shared_memory_bytes", caps.shared_memory_bytes},
          {"compute_units", or_null(caps.compute_units)},
          {"shader_float16", caps.shader_float16},
          {"storage_16bit", caps.storage_16bit},
          {"cooperative_matrix", caps.cooperative_matrix},
          {"matrix_shapes", matrices_json(caps)}};
}

// "16x16x16 f16 to f32, f16 to f16": of each size what is multiplied and what it adds up to.
std::string matrices_text(const DeviceCaps& caps) {
  std::map<std::string, std::string> products;
  for (const MatrixShape& shape : caps.matrix_shapes) {
    std::string& list = products[fmt::format("{}x{}x{}", shape.m, shape.n, shape.k)];
    const std::string product =
        fmt::format("{}{} to {}", matrix_element_name(shape.a),
                    shape.a == shape.b ? "" : fmt::format("·{}", matrix_element_name(shape.b)),
                    matrix_element_name(shape.result));
    if (list.find(product) == std::string::npos) list += (list.empty() ? "" : ", ") + product;
  }
  std::string text;
  for (const auto& [size, list] : products)
    text += fmt::format("{}{} {}", text.empty() ? "" : "; ", size, list);
  return text.empty() ? "none" : text;
}

std::string capabilities_text(const DeviceCaps& caps) {
  std::string sizes = std::to_string(caps.subgroup_size);
  if (caps.min_subgroup_size != 0)
    sizes += fmt::format(" ({} to {}{})", caps.min_subgroup_size, caps.max_subgroup_size,
                         caps.required_subgroup_size ? ", as a kernel wants" : "");
  return fmt::format(
      "   subgroups of {}, {} of shared memory, compute units: {}\n"
      "   16-bit floats: arithmetic {}, storage {}; cooperative matrices: {}\n",
      sizes, bytes_text(caps.shared_memory_bytes),
      caps.compute_units == 0 ? "not said" : std::to_string(caps.compute_units),
      caps.shader_float16 ? "yes" : "no", caps.storage_16bit ? "yes" : "no", matrices_text(caps));
}

}  // namespace

Command add_devices_command(CLI::App& root) {
  CLI::App* app = root.add_subcommand("devices", "List the Vulkan devices of this machine");
  auto json = std::make_shared<bool>(false);
  app->add_flag("--json", *json, "print JSON");
  const auto run = [json]() -> Status {
    const vk::DeviceOptions options;
    ITO_ASSIGN(const std::vector<vk::DeviceInfo> devices, vk::list_devices(options));
    Json list = Json::array();
    std::string text;
    for (const vk::DeviceInfo& device : devices) {
      const std::optional<DeviceCaps> caps = capabilities(device);
      list.push_back({{"index", device.index},
                      {"name", device.name},
                      {"type", device.type},
                      {"driver", device.driver},
                      {"vulkan", device.vulkan},
                      {"memory_bytes", device.memory_bytes},
                      {"usable", device.missing.empty()},
                      {"missing", device.missing},
                      {"capabilities", caps ? capabilities_json(*caps) : Json(nullptr)}});
      text +=
          fmt::format("{}  {} ({}, {})\n   Vulkan {}, {}\n", device.index, device.name, device.type,
                      bytes_text(device.memory_bytes), device.vulkan, device.driver);
      if (!device.missing.empty())
        text += fmt::format("   cannot be used: no {}\n", device.missing);
      if (caps) text += capabilities_text(*caps);
    }
    fmt::print("{}", *json ? dump_json(list) : text);
    return {};
  };
  return {app, {}, run};
}

}  // namespace ito::apps
