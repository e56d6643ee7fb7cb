#include "dispatch.h"

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

namespace ito_faults {
namespace {

struct Table {
  std::shared_mutex mutex;
  std::unordered_map<void*, std::unique_ptr<Dispatch>> dispatches;
};
// Never destroyed: calls may come while the process ends.
Table& table() {
  static Table* const all = new Table;
  return *all;
}

}  // namespace

PFN_vkVoidFunction Dispatch::find(const char* name) const {
  return device_ != VK_NULL_HANDLE ? next_device_(device_, name) : next_instance_(instance_, name);
}

PFN_vkVoidFunction Dispatch::find(Function function) {
  auto& found = found_[static_cast<size_t>(function)];
  PFN_vkVoidFunction known = found.load(std::memory_order_acquire);
  if (known == nullptr) {
    known = find(name_of(function));
    found.store(known, std::memory_order_release);
  }
  return known;
}

void Dispatch::lose() {
  if (device_ == VK_NULL_HANDLE || lost_.exchange(true)) return;
  get<PFN_vkDeviceWaitIdle>(Function::vkDeviceWaitIdle)(device_);
}

void keep(void* key, std::unique_ptr<Dispatch> dispatch) {
  const std::unique_lock lock(table().mutex);
  table().dispatches[key] = std::move(dispatch);
}

Dispatch& dispatch_of(void* key) {
  const std::shared_lock lock(table().mutex);
  const auto found = table().dispatches.find(key);
  if (found == table().dispatches.end()) {
    std::fprintf(stderr, "VK_LAYER_ITO_faults: a call on a handle that the layer never saw\n");
    std::abort();
  }
  return *found->second;
}

std::unique_ptr<Dispatch> take(void* key) {
  const std::unique_lock lock(table().mutex);
  auto node = table().dispatches.extract(key);
  return node.empty() ? nullptr : std::move(node.mapped());
}

}  // namespace ito_faults
