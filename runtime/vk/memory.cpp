#include "runtime/vk/memory.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/error.h"
#include "base/integer.h"

namespace ito::vk {
namespace {

constexpr uint64_t kAlignment = 256;
constexpr uint64_t kBlockBytes = 64ull << 20;

std::string mebibytes(uint64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

}  // namespace

struct MemoryBlock {
  MemoryUse use = MemoryUse::kDevice;
  VkDeviceMemory memory = VK_NULL_HANDLE;
  VkBuffer buffer = VK_NULL_HANDLE;
  uint64_t size = 0;
  uint64_t address = 0;
  std::byte* mapped = nullptr;
  bool host_cached = false;
  uint64_t used = 0;
  std::map<uint64_t, uint64_t> holes;  // offset to size

  // First fit; the offset, or UINT64_MAX.
  uint64_t take(uint64_t bytes) {
    for (auto it = holes.begin(); it != holes.end(); ++it) {
      const auto [offset, room] = *it;
      if (room < bytes) continue;
      holes.erase(it);
      if (room > bytes) holes.emplace(offset + bytes, room - bytes);
      used += bytes;
      return offset;
    }
    return UINT64_MAX;
  }

  void give_back(uint64_t offset, uint64_t bytes) {
    used -= bytes;
    auto it = holes.emplace(offset, bytes).first;
    auto next = std::next(it);
    if (next != holes.end() && it->first + it->second == next->first) {
      it->second += next->second;
      holes.erase(next);
    }
    if (it != holes.begin()) {
      auto previous = std::prev(it);
      if (previous->first + previous->second == it->first) {
        previous->second += it->second;
        holes.erase(it);
      }
    }
  }
};

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this == &other) return *this;
  release();
  memory_ = std::exchange(other.memory_, nullptr);
  block_ = std::exchange(other.block_, nullptr);
  handle_ = std::exchange(other.handle_, VkBuffer{VK_NULL_HANDLE});
  offset_ = other.offset_;
  size_ = other.size_;
  address_ = other.address_;
  mapped_ = other.mapped_;
  host_cached_ = other.host_cached_;
  version_ = other.version_.load();
  unseen_ = other.unseen_.load();
  return *this;
}

std::optional<uint64_t> Buffer::version() const {
  if (unseen_) return std::nullopt;
  return version_;
}

Buffer Buffer::borrow(VkBuffer handle, uint64_t offset, uint64_t size, uint64_t address) {
  Buffer buffer;
  buffer.handle_ = handle;
  buffer.offset_ = offset;
  buffer.size_ = size;
  buffer.address_ = address;
  buffer.unseen_ = true;
  return buffer;
}

void Buffer::release() {
  if (memory_ != nullptr) memory_->free(block_, offset_, size_);
  memory_ = nullptr;
  handle_ = VK_NULL_HANDLE;
}

Memory::Memory(const Context& context, uint64_t budget) : context_(context), budget_(budget) {
  VkPhysicalDeviceMemoryProperties2 properties = {};
  properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
  context_.instance_fn.vkGetPhysicalDeviceMemoryProperties2(context_.physical_device, &properties);
  properties_ = properties.memoryProperties;
  unified_ = context_.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU ||
             context_.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
}

Memory::~Memory() {
  CHECK(statistics_.live_buffers == 0,
        fmt::format("{} buffers outlive their device", statistics_.live_buffers));
  CHECK(blocks_.empty(), "memory blocks outlive their buffers");
}

// Types of memory to try, best first.
std::vector<uint32_t> Memory::candidate_types(MemoryUse use) const {
  constexpr VkMemoryPropertyFlags kLocal = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  constexpr VkMemoryPropertyFlags kHost =
      VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  constexpr VkMemoryPropertyFlags kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
  // Memory that needs features which are never enabled here.
  constexpr VkMemoryPropertyFlags kForeign =
      VK_MEMORY_PROPERTY_PROTECTED_BIT | VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT |
      VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD | VK_MEMORY_PROPERTY_DEVICE_UNCACHED_BIT_AMD;
  uint64_t largest_local = 0;
  for (uint32_t i = 0; i < properties_.memoryHeapCount; ++i)
    if ((properties_.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0)
      largest_local = std::max<uint64_t>(largest_local, properties_.memoryHeaps[i].size);

  std::vector<VkMemoryPropertyFlags> wishes;
  switch (use) {
    case MemoryUse::kDevice:
      if (unified_) wishes = {kLocal | kHost | kCached};
      wishes.insert(wishes.end(), {kLocal | kHost, kLocal});
      break;
    case MemoryUse::kUpload:
      wishes = {kHost};
      break;
    case MemoryUse::kReadback:
      wishes = {kHost | kCached, kHost};
      break;
  }
  std::vector<uint32_t> types;
  for (const VkMemoryPropertyFlags wish : wishes) {
    // On a discrete device, mapped local memory counts only where it is the whole memory (ReBAR).
    const bool whole_heap = use == MemoryUse::kDevice && !unified_ && (wish & kHost) != 0;
    // Host memory that is not device-local comes first for staging: it leaves the device's alone.
    for (const bool local_too : {false, true})
      for (uint32_t i = 0; i < properties_.memoryTypeCount; ++i) {
        const VkMemoryType& type = properties_.memoryTypes[i];
        if ((type.propertyFlags & wish) != wish || (type.propertyFlags & kForeign) != 0) continue;
        if (((type.propertyFlags & kLocal) != 0) != local_too) continue;
        if (whole_heap && properties_.memoryHeaps[type.heapIndex].size < largest_local) continue;
        if (std::find(types.begin(), types.end(), i) == types.end()) types.push_back(i);
      }
  }
  return types;
}

// Bytes the heap can still give, by the driver's own estimate where it gives one.
uint64_t Memory::heap_room(uint32_t heap) const {
  uint64_t room = properties_.memoryHeaps[heap].size;
  if (context_.features.memory_budget) {
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {};
    budget.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT;
    VkPhysicalDeviceMemoryProperties2 properties = {};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
    properties.pNext = &budget;
    context_.instance_fn.vkGetPhysicalDeviceMemoryProperties2(context_.physical_device,
                                                              &properties);
    const uint64_t free = budget.heapBudget[heap] > budget.heapUsage[heap]
                              ? budget.heapBudget[heap] - budget.heapUsage[heap]
                              : 0;
    room = std::min(room, free);
  }
  return room;
}

Status Memory::check_room(uint64_t size, MemoryUse use) const {
  std::set<uint32_t> heaps;
  for (const uint32_t type : candidate_types(use))
    heaps.insert(properties_.memoryTypes[type].heapIndex);
  uint64_t room = 0;
  for (const uint32_t heap : heaps) room += heap_room(heap);
  if (size <= room) return {};
  return out_of_memory(
      "{} of device memory are needed, {} are free; use a smaller batch, image or network",
      mebibytes(size), mebibytes(room));
}

uint64_t Memory::total() const {
  std::set<uint32_t> heaps;
  for (const uint32_t type : candidate_types(MemoryUse::kDevice))
    heaps.insert(properties_.memoryTypes[type].heapIndex);
  uint64_t bytes = 0;
  for (const uint32_t heap : heaps) bytes += properties_.memoryHeaps[heap].size;
  return budget_ == 0 ? bytes : std::min(bytes, budget_);
}

// Takes bytes of the budget for a block to come.
Status Memory::reserve_bytes(uint64_t size) {
  if (context_.lost) return device_lost("the Vulkan device was lost earlier");
  if (size > context_.max_allocation_bytes)
    return out_of_memory("{} of device memory in one piece exceed the device's limit of {}",
                         mebibytes(size), mebibytes(context_.max_allocation_bytes));
  const std::lock_guard lock(mutex_);
  if (budget_ != 0 && size > budget_ - std::min(budget_, statistics_.block_bytes))
    return out_of_memory("{} of device memory do not fit the budget of {} ({} are taken)",
                         mebibytes(size), mebibytes(budget_), mebibytes(statistics_.block_bytes));
  statistics_.block_bytes += size;
  return {};
}

Result<std::unique_ptr<MemoryBlock>> Memory::make_block(uint64_t size, MemoryUse use) {
  auto block = std::make_unique<MemoryBlock>();
  block->use = use;
  block->size = size;
  VkBufferCreateInfo buffer_info = {};
  buffer_info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
  buffer_info.size = size;
  buffer_info.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
                      VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                      VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;
  const DeviceFunctions& fn = context_.fn;
  VkResult result =
      fn.vkCreateBuffer(context_.device, &buffer_info, context_.callbacks, &block->buffer);
  if (result != VK_SUCCESS)
    return context_.error(result, fmt::format("creating a buffer of {}", mebibytes(size)));

  auto fail = [&](Error error) {
    if (block->memory != VK_NULL_HANDLE)
      fn.vkFreeMemory(context_.device, block->memory, context_.callbacks);
    fn.vkDestroyBuffer(context_.device, block->buffer, context_.callbacks);
    return error;
  };
  VkMemoryRequirements requirements;
  fn.vkGetBufferMemoryRequirements(context_.device, block->buffer, &requirements);
  VkMemoryAllocateFlagsInfo flags = {};
  flags.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO;
  flags.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
  VkMemoryAllocateInfo memory_info = {};
  memory_info.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
  memory_info.pNext = &flags;
  memory_info.allocationSize = requirements.size;

  result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
  uint64_t most_room = 0;
  VkMemoryPropertyFlags properties = 0;
  for (const uint32_t type : candidate_types(use)) {
    if ((requirements.memoryTypeBits & (1u << type)) == 0) continue;
    const uint64_t room = heap_room(properties_.memoryTypes[type].heapIndex);
    most_room = std::max(most_room, room);
    if (requirements.size > room) continue;
    memory_info.memoryTypeIndex = type;
    properties = properties_.memoryTypes[type].propertyFlags;
    result = fn.vkAllocateMemory(context_.device, &memory_info, context_.callbacks, &block->memory);
    if (result == VK_SUCCESS) break;
    block->memory = VK_NULL_HANDLE;
  }
  if (result != VK_SUCCESS)
    return fail(context_.error(result, fmt::format("allocating {} of device memory ({} are free)",
                                                   mebibytes(size), mebibytes(most_room))));
  ++context_.counters.memory_blocks;
  result = fn.vkBindBufferMemory(context_.device, block->buffer, block->memory, 0);
  if (result != VK_SUCCESS) return fail(context_.error(result, "binding device memory"));
  constexpr VkMemoryPropertyFlags kMappable =
      VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  if ((properties & kMappable) == kMappable) {
    void* data = nullptr;
    result = fn.vkMapMemory(context_.device, block->memory, 0, VK_WHOLE_SIZE, 0, &data);
    if (result != VK_SUCCESS) return fail(context_.error(result, "mapping device memory"));
    block->mapped = static_cast<std::byte*>(data);
    block->host_cached = (properties & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0;
  }
  VkBufferDeviceAddressInfo address_info = {};
  address_info.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO;
  address_info.buffer = block->buffer;
  block->address = fn.vkGetBufferDeviceAddress(context_.device, &address_info);
  block->holes.emplace(0, size);
  return block;
}

void Memory::destroy(std::unique_ptr<MemoryBlock> block) {
  context_.fn.vkDestroyBuffer(context_.device, block->buffer, context_.callbacks);
  context_.fn.vkFreeMemory(context_.device, block->memory, context_.callbacks);
}

// The lock is held; [offset, offset + bytes) is taken already.
Buffer Memory::cut(MemoryBlock& block, uint64_t offset, uint64_t size, uint64_t bytes) {
  Buffer buffer;
  buffer.memory_ = this;
  buffer.block_ = &block;
  buffer.handle_ = block.buffer;
  buffer.offset_ = offset;
  buffer.size_ = size;
  buffer.address_ = block.address + offset;
  buffer.mapped_ = block.mapped == nullptr ? nullptr : block.mapped + offset;
  buffer.host_cached_ = block.host_cached;
  ++context_.counters.allocations;
  ++statistics_.live_buffers;
  statistics_.used_bytes += bytes;
  statistics_.peak_used_bytes = std::max(statistics_.peak_used_bytes, statistics_.used_bytes);
  return buffer;
}

Result<Buffer> Memory::allocate(uint64_t size, MemoryUse use) {
  const uint64_t bytes = round_up(std::max<uint64_t>(size, 1), kAlignment);
  if (bytes < size) return out_of_memory("{} bytes of device memory are more than exist", size);
  {
    const std::lock_guard lock(mutex_);
    for (auto& candidate : blocks_) {
      if (candidate->use != use) continue;
      const uint64_t offset = candidate->take(bytes);
      if (offset != UINT64_MAX) return cut(*candidate, offset, size, bytes);
    }
  }
  const auto block_of = [&](uint64_t block_bytes) -> Result<std::unique_ptr<MemoryBlock>> {
    ITO_TRY(reserve_bytes(block_bytes));
    auto made = make_block(block_bytes, use);
    if (made.ok()) return made;
    const std::lock_guard lock(mutex_);
    statistics_.block_bytes -= block_bytes;
    return made;
  };
  // Big buffers get a block of their own; so do small ones where a whole block does not fit.
  const bool shared = bytes <= kBlockBytes / 2;
  auto made = block_of(shared ? kBlockBytes : bytes);
  if (!made.ok() && shared && made.error().kind == ErrorKind::kOutOfMemory) made = block_of(bytes);
  if (!made.ok()) return made.error();
  const std::lock_guard lock(mutex_);
  statistics_.peak_block_bytes = std::max(statistics_.peak_block_bytes, statistics_.block_bytes);
  blocks_.push_back(std::move(made).value());
  MemoryBlock& block = *blocks_.back();
  const uint64_t offset = block.take(bytes);
  CHECK(offset != UINT64_MAX, "a fresh memory block has no room");
  return cut(block, offset, size, bytes);
}

void Memory::free(MemoryBlock* block, uint64_t offset, uint64_t size) {
  const uint64_t bytes = round_up(std::max<uint64_t>(size, 1), kAlignment);
  if (on_free_) on_free_(block->buffer, offset, size);
  std::unique_ptr<MemoryBlock> empty;
  {
    const std::lock_guard lock(mutex_);
    block->give_back(offset, bytes);
    --statistics_.live_buffers;
    statistics_.used_bytes -= bytes;
    if (block->used != 0) return;
    statistics_.block_bytes -= block->size;
    const auto at = std::find_if(blocks_.begin(), blocks_.end(),
                                 [&](const auto& candidate) { return candidate.get() == block; });
    empty = std::move(*at);
    blocks_.erase(at);
  }
  destroy(std::move(empty));
}

MemoryStatistics Memory::statistics() const {
  std::lock_guard lock(mutex_);
  return statistics_;
}

}  // namespace ito::vk
