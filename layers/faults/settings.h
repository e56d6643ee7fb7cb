// Settings: what the environment asks of the layer (README.md lists the variables), read once a
// process. Not for doing it.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "functions.h"

namespace ito_faults {

// Calls of `function` that fail: the `nth`, counted from 1, or that and all after it.
struct Rule {
  Function function = Function::kCount;
  uint64_t nth = 0;
  VkResult result = VK_SUCCESS;
  bool for_ever = false;
};

// What of a device is hidden. A number is the most that is shown, but `subgroup`, which is shown.
struct Masks {
  std::optional<uint64_t> invocations, shared, push_constants, storage_range, allocation,
      allocations, groups, heap, queues, subgroup;
  std::optional<uint32_t> api_version;
  std::optional<VkPhysicalDeviceType> device_type;
  std::set<std::string>
      without;  // names of kFeatures (masks.cpp), and two kinds of subgroup operations
  std::set<std::string> hidden_extensions;
};

struct Settings {
  std::vector<Rule> rules;
  uint64_t lose_at_submit = 0;  // 0: never
  Masks masks;
  std::string count_file;  // empty: none
  std::string error;       // what of the environment is not understood; empty: nothing
};

const Settings& settings();

// Of what the variables say; `error` is set where that is no setting. For tests of the reading.
Settings parse_settings(const char* fail, const char* lose_at_submit, const char* mask,
                        const char* count_file);

// The value of a result's name, such as VK_ERROR_DEVICE_LOST.
std::optional<VkResult> result_named(std::string_view name);

}  // namespace ito_faults
