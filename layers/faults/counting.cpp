#include "counting.h"

#include <array>
#include <atomic>
#include <cstdio>
#include <mutex>

namespace ito_faults {
namespace {

std::array<std::atomic<uint64_t>, kFunctions> g_calls{}, g_failures{};
std::atomic<uint64_t> g_submissions{0};

VkResult fail(Function function, VkResult result) {
  ++g_failures[static_cast<size_t>(function)];
  return result;
}

}  // namespace

VkResult count_call(Function function, Health health) {
  const Settings& asked = settings();
  const uint64_t n = ++g_calls[static_cast<size_t>(function)];
  if (health == Health::kLost && tells_of_loss(function))
    return fail(function, VK_ERROR_DEVICE_LOST);
  if (asked.lose_at_submit > 0 && is_submission(function) &&
      ++g_submissions == asked.lose_at_submit)
    return fail(function, VK_ERROR_DEVICE_LOST);
  for (const Rule& rule : asked.rules)
    if (rule.function == function && (n == rule.nth || (rule.for_ever && n > rule.nth)))
      return fail(function, rule.result);
  return VK_SUCCESS;
}

uint64_t calls_of(Function function) { return g_calls[static_cast<size_t>(function)]; }

uint64_t failures_of(Function function) { return g_failures[static_cast<size_t>(function)]; }

std::string counts_text() {
  std::string text;
  for (size_t i = 0; i < kFunctions; ++i) {
    const auto function = static_cast<Function>(i);
    if (calls_of(function) == 0) continue;
    text += name_of(function);
    text += ' ' + std::to_string(calls_of(function)) + ' ' +
            (can_fail(function) ? std::to_string(failures_of(function)) : "-") + '\n';
  }
  return text;
}

void write_counts() {
  const std::string& path = settings().count_file;
  if (path.empty()) return;
  static std::mutex mutex;
  const std::scoped_lock lock(mutex);
  std::FILE* file = std::fopen(path.c_str(), "we");
  const std::string text = counts_text();
  const bool written =
      file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if ((file != nullptr && std::fclose(file) != 0) || !written)
    std::fprintf(stderr, "VK_LAYER_ITO_faults: cannot write the counts to %s\n", path.c_str());
}

}  // namespace ito_faults
