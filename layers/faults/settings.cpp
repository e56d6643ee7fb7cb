#include "settings.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <iterator>

#include "masks.h"

namespace ito_faults {
namespace {

struct NamedResult {
  const char* name;
  VkResult result;
};
// What commands fail with.
constexpr NamedResult kResults[] = {
#define RESULT(name) \
  { #name, name }
    RESULT(VK_ERROR_OUT_OF_HOST_MEMORY),
    RESULT(VK_ERROR_OUT_OF_DEVICE_MEMORY),
    RESULT(VK_ERROR_INITIALIZATION_FAILED),
    RESULT(VK_ERROR_DEVICE_LOST),
    RESULT(VK_ERROR_MEMORY_MAP_FAILED),
    RESULT(VK_ERROR_LAYER_NOT_PRESENT),
    RESULT(VK_ERROR_EXTENSION_NOT_PRESENT),
    RESULT(VK_ERROR_FEATURE_NOT_PRESENT),
    RESULT(VK_ERROR_INCOMPATIBLE_DRIVER),
    RESULT(VK_ERROR_TOO_MANY_OBJECTS),
    RESULT(VK_ERROR_FORMAT_NOT_SUPPORTED),
    RESULT(VK_ERROR_FRAGMENTED_POOL),
    RESULT(VK_ERROR_UNKNOWN),
    RESULT(VK_ERROR_OUT_OF_POOL_MEMORY),
    RESULT(VK_ERROR_INVALID_EXTERNAL_HANDLE),
    RESULT(VK_ERROR_FRAGMENTATION),
    RESULT(VK_ERROR_INVALID_OPAQUE_CAPTURE_ADDRESS),
    RESULT(VK_ERROR_SURFACE_LOST_KHR),
    RESULT(VK_ERROR_NATIVE_WINDOW_IN_USE_KHR),
    RESULT(VK_ERROR_OUT_OF_DATE_KHR),
    RESULT(VK_ERROR_NOT_PERMITTED_KHR),
    RESULT(VK_ERROR_INVALID_SHADER_NV),
    RESULT(VK_NOT_READY),
    RESULT(VK_TIMEOUT),
    RESULT(VK_INCOMPLETE),
    RESULT(VK_SUBOPTIMAL_KHR),
    RESULT(VK_PIPELINE_COMPILE_REQUIRED_EXT),
#undef RESULT
};

struct NamedType {
  const char* name;
  VkPhysicalDeviceType type;
};
constexpr NamedType kTypes[] = {{"other", VK_PHYSICAL_DEVICE_TYPE_OTHER},
                                {"integrated", VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU},
                                {"discrete", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU},
                                {"virtual", VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU},
                                {"cpu", VK_PHYSICAL_DEVICE_TYPE_CPU}};

struct NamedLimit {
  const char* name;
  std::optional<uint64_t> Masks::*member;
};
constexpr NamedLimit kLimits[] = {{"invocations", &Masks::invocations},
                                  {"shared", &Masks::shared},
                                  {"push_constants", &Masks::push_constants},
                                  {"storage_range", &Masks::storage_range},
                                  {"allocation", &Masks::allocation},
                                  {"allocations", &Masks::allocations},
                                  {"groups", &Masks::groups},
                                  {"heap", &Masks::heap},
                                  {"queues", &Masks::queues},
                                  {"subgroup", &Masks::subgroup}};

std::vector<std::string_view> parts_of(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = std::min(text.find(separator), text.size());
    parts.push_back(text.substr(0, end));
    if (end == text.size()) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<uint64_t> positive(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0) return std::nullopt;
  return value;
}

template <typename Row, size_t kSize>
const Row* row_named(const Row (&rows)[kSize], std::string_view name) {
  const auto found = std::find_if(std::begin(rows), std::end(rows),
                                  [&](const Row& row) { return row.name == name; });
  return found == std::end(rows) ? nullptr : found;
}

// FUNCTION:N:RESULT[:ever]
std::string parse_rule(std::string_view text, std::vector<Rule>& rules) {
  const auto parts = parts_of(text, ':');
  const std::string wrong = "ITO_FAULTS_FAIL: \"" + std::string(text) + "\" ";
  if (parts.size() < 3 || parts.size() > 4 || (parts.size() == 4 && parts[3] != "ever"))
    return wrong + "is not FUNCTION:N:RESULT or FUNCTION:N:RESULT:ever";
  const auto function = function_named(parts[0]);
  const auto nth = positive(parts[1]);
  const auto result = result_named(parts[2]);
  if (!function) return wrong + "names no function of Vulkan that the layer knows";
  if (!can_fail(*function)) return wrong + "names a function that gives no result";
  if (!nth) return wrong + "counts calls from 1";
  if (!result) return wrong + "names no result with which commands fail";
  rules.push_back({*function, *nth, *result, parts.size() == 4});
  return {};
}

std::string parse_mask(std::string_view text, Masks& masks) {
  const std::string wrong = "ITO_FAULTS_MASK: \"" + std::string(text) + "\" ";
  if (text.starts_with("no_")) {
    const std::string_view feature = text.substr(3);
    if (!is_maskable(feature)) return wrong + "names nothing that can be masked";
    masks.without.emplace(feature);
    return {};
  }
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) return wrong + "is neither NAME=VALUE nor no_NAME";
  const std::string_view name = text.substr(0, equals), value = text.substr(equals + 1);
  if (const NamedLimit* limit = row_named(kLimits, name)) {
    masks.*limit->member = positive(value);
    return masks.*limit->member ? std::string() : wrong + "wants a number above 0";
  }
  if (name == "hide") {
    masks.hidden_extensions.emplace(value);
    return {};
  }
  if (name == "type") {
    const NamedType* type = row_named(kTypes, value);
    if (type == nullptr) return wrong + "wants one of other, integrated, discrete, virtual, cpu";
    masks.device_type = type->type;
    return {};
  }
  if (name == "api") {
    const auto numbers = parts_of(value, '.');
    const auto major = positive(numbers[0]);
    const auto minor = numbers.size() == 2 ? positive(numbers[1]) : std::nullopt;
    if (!major || !minor || *major > 9 || *minor > 99) return wrong + "wants a version such as 1.2";
    masks.api_version =
        VK_MAKE_API_VERSION(0, static_cast<uint32_t>(*major), static_cast<uint32_t>(*minor), 0);
    return {};
  }
  return wrong + "names nothing that can be masked";
}

// %p is the process's number.
std::string expanded(std::string text) {
  const size_t at = text.find("%p");
  if (at != std::string::npos) text.replace(at, 2, std::to_string(getpid()));
  return text;
}

}  // namespace

std::optional<VkResult> result_named(std::string_view name) {
  const NamedResult* row = row_named(kResults, name);
  if (row == nullptr) return std::nullopt;
  return row->result;
}

Settings parse_settings(const char* fail, const char* lose_at_submit, const char* mask,
                        const char* count_file) {
  Settings out;
  if (fail != nullptr && *fail != '\0')
    for (const std::string_view part : parts_of(fail, ','))
      if (out.error.empty()) out.error = parse_rule(part, out.rules);
  if (mask != nullptr && *mask != '\0')
    for (const std::string_view part : parts_of(mask, ','))
      if (out.error.empty()) out.error = parse_mask(part, out.masks);
  if (lose_at_submit != nullptr && *lose_at_submit != '\0') {
    const auto nth = positive(lose_at_submit);
    if (!nth) out.error = "ITO_FAULTS_LOSE_AT_SUBMIT counts submissions from 1";
    out.lose_at_submit = nth.value_or(0);
  }
  if (count_file != nullptr) out.count_file = expanded(count_file);
  return out;
}

const Settings& settings() {
  static const Settings* const read = new Settings(
      parse_settings(std::getenv("ITO_FAULTS_FAIL"), std::getenv("ITO_FAULTS_LOSE_AT_SUBMIT"),
                     std::getenv("ITO_FAULTS_MASK"), std::getenv("ITO_FAULTS_COUNT")));
  return *read;
}

}  // namespace ito_faults
