#include "runtime/vk/command_buffer.h"

#include "base/check.h"
#include "base/error.h"
#include "runtime/vk/device.h"

namespace ito::vk {
namespace {

VkBufferImageCopy image_copy(const ForeignImage& image, uint64_t buffer_offset) {
  VkBufferImageCopy region = {};
  region.bufferOffset = buffer_offset;
  region.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, image.mip_level, image.array_layer, 1};
  region.imageOffset = image.offset;
  region.imageExtent = {image.width, image.height, 1};
  return region;
}

}  // namespace

CommandRecorder::CommandRecorder(Device& device, VkCommandBuffer handle)
    : context_(device.context()),
      family_(device.queue().family()),
      layout_(device.pipelines().layout()),
      handle_(handle) {}

void CommandRecorder::bind(const Pipeline& pipeline) {
  if (pipeline.handle() == bound_) return;
  bound_ = pipeline.handle();
  context_.fn.vkCmdBindPipeline(handle_, VK_PIPELINE_BIND_POINT_COMPUTE, bound_);
}

void CommandRecorder::push_addresses(std::span<const uint64_t> addresses) {
  if (addresses.empty()) return;
  CHECK(addresses.size_bytes() <= kPushConstantBytes, "too many kernel arguments");
  context_.fn.vkCmdPushConstants(handle_, layout_, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                                 static_cast<uint32_t>(addresses.size_bytes()), addresses.data());
}

void CommandRecorder::dispatch(const std::array<uint32_t, 3>& base,
                               const std::array<uint32_t, 3>& groups) {
  if (base == std::array<uint32_t, 3>{0, 0, 0})
    context_.fn.vkCmdDispatch(handle_, groups[0], groups[1], groups[2]);
  else
    context_.fn.vkCmdDispatchBase(handle_, base[0], base[1], base[2], groups[0], groups[1],
                                  groups[2]);
}

void CommandRecorder::memory_barrier(VkPipelineStageFlags from, VkAccessFlags writes,
                                     VkPipelineStageFlags to, VkAccessFlags accesses) {
  VkMemoryBarrier barrier = {};
  barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
  barrier.srcAccessMask = writes;
  barrier.dstAccessMask = accesses;
  context_.fn.vkCmdPipelineBarrier(handle_, from, to, 0, 1, &barrier, 0, nullptr, 0, nullptr);
}

void CommandRecorder::barrier() {
  memory_barrier(VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                 VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                 VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
}

void CommandRecorder::begin_barrier() {
  memory_barrier(VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_ACCESS_MEMORY_WRITE_BIT,
                 VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                 VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                     VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT);
}

void CommandRecorder::end_barrier() {
  memory_barrier(VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                 VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                 VK_PIPELINE_STAGE_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_HOST_BIT,
                 VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT | VK_ACCESS_HOST_READ_BIT);
}

void CommandRecorder::copy(const Buffer& from, uint64_t from_offset, const Buffer& to,
                           uint64_t to_offset, uint64_t size) {
  if (size == 0) return;
  const VkBufferCopy region = {from.offset() + from_offset, to.offset() + to_offset, size};
  context_.fn.vkCmdCopyBuffer(handle_, from.handle(), to.handle(), 1, &region);
}

void CommandRecorder::fill(const Buffer& buffer, uint64_t offset, uint64_t size, uint32_t word) {
  if (size == 0) return;
  context_.fn.vkCmdFillBuffer(handle_, buffer.handle(), buffer.offset() + offset, size, word);
}

void CommandRecorder::update(const Buffer& buffer, uint64_t offset,
                             std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  CHECK(bytes.size() <= 65536 && bytes.size() % 4 == 0, "an update of such a size");
  context_.fn.vkCmdUpdateBuffer(handle_, buffer.handle(), buffer.offset() + offset, bytes.size(),
                                bytes.data());
}

void CommandRecorder::transition(const ForeignImage& image, const ForeignUse& from,
                                 const ForeignUse& to) {
  VkImageMemoryBarrier barrier = {};
  barrier.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER;
  barrier.srcAccessMask = from.accesses;
  barrier.dstAccessMask = to.accesses;
  barrier.oldLayout = from.layout;
  barrier.newLayout = to.layout;
  barrier.srcQueueFamilyIndex = from.family;
  barrier.dstQueueFamilyIndex = to.family;
  barrier.image = image.image;
  barrier.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, image.mip_level, 1, image.array_layer, 1};
  context_.fn.vkCmdPipelineBarrier(handle_, from.stages, to.stages, 0, 0, nullptr, 0, nullptr, 1,
                                   &barrier);
}

void CommandRecorder::transition(const ForeignBuffer& buffer, const ForeignUse& from,
                                 const ForeignUse& to) {
  VkBufferMemoryBarrier barrier = {};
  barrier.sType = VK_STRUCTURE_TYPE_BUFFER_MEMORY_BARRIER;
  barrier.srcAccessMask = from.accesses;
  barrier.dstAccessMask = to.accesses;
  barrier.srcQueueFamilyIndex = from.family;
  barrier.dstQueueFamilyIndex = to.family;
  barrier.buffer = buffer.buffer;
  barrier.offset = buffer.offset;
  barrier.size = buffer.size;
  context_.fn.vkCmdPipelineBarrier(handle_, from.stages, to.stages, 0, 0, nullptr, 1, &barrier, 0,
                                   nullptr);
}

// A change of layout within one family, and before or behind it, where a use is another family's,
// the half of a change of owners that is ours: without a change of layout.
template <typename Foreign>
void CommandRecorder::hand_over(const Foreign& foreign, const ForeignUse& from,
                                const ForeignUse& to) {
  const auto elsewhere = [&](const ForeignUse& use) {
    return use.family != VK_QUEUE_FAMILY_IGNORED && use.family != family_;
  };
  ForeignUse ours = from, next = to;
  ours.family = next.family = VK_QUEUE_FAMILY_IGNORED;
  if (elsewhere(from)) {
    ForeignUse owner = from, acquired = from;
    owner.accesses = 0;
    acquired.family = family_;
    acquired.stages = ours.stages = VK_PIPELINE_STAGE_TRANSFER_BIT;
    acquired.accesses = ours.accesses = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
    transition(foreign, owner, acquired);
  }
  if (elsewhere(to)) {
    next.stages = VK_PIPELINE_STAGE_TRANSFER_BIT;
    next.accesses = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  }
  transition(foreign, ours, next);
  if (elsewhere(to)) {
    ForeignUse owned = next, owner = to;
    owned.family = family_;
    owner.stages = VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT;
    owner.accesses = 0;
    transition(foreign, owned, owner);
  }
}

void CommandRecorder::copy_to(const Buffer& from, uint64_t from_offset, const ForeignImage& to) {
  const ForeignUse copying{VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, VK_PIPELINE_STAGE_TRANSFER_BIT,
                           VK_ACCESS_TRANSFER_WRITE_BIT};
  hand_over(to, to.before, copying);
  const VkBufferImageCopy region = image_copy(to, from.offset() + from_offset);
  context_.fn.vkCmdCopyBufferToImage(handle_, from.handle(), to.image, copying.layout, 1, &region);
  hand_over(to, copying, to.after);
}

void CommandRecorder::copy_from(const ForeignImage& from, const Buffer& to, uint64_t to_offset) {
  const ForeignUse copying{VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, VK_PIPELINE_STAGE_TRANSFER_BIT,
                           VK_ACCESS_TRANSFER_READ_BIT};
  hand_over(from, from.before, copying);
  const VkBufferImageCopy region = image_copy(from, to.offset() + to_offset);
  context_.fn.vkCmdCopyImageToBuffer(handle_, from.image, copying.layout, to.handle(), 1, &region);
  hand_over(from, copying, from.after);
}

void CommandRecorder::copy_to(const Buffer& from, uint64_t from_offset, const ForeignBuffer& to) {
  const ForeignUse copying{VK_IMAGE_LAYOUT_UNDEFINED, VK_PIPELINE_STAGE_TRANSFER_BIT,
                           VK_ACCESS_TRANSFER_WRITE_BIT};
  hand_over(to, to.before, copying);
  const VkBufferCopy region = {from.offset() + from_offset, to.offset, to.size};
  context_.fn.vkCmdCopyBuffer(handle_, from.handle(), to.buffer, 1, &region);
  hand_over(to, copying, to.after);
}

void CommandRecorder::copy_from(const ForeignBuffer& from, const Buffer& to, uint64_t to_offset) {
  const ForeignUse copying{VK_IMAGE_LAYOUT_UNDEFINED, VK_PIPELINE_STAGE_TRANSFER_BIT,
                           VK_ACCESS_TRANSFER_READ_BIT};
  hand_over(from, from.before, copying);
  const VkBufferCopy region = {from.offset, to.offset() + to_offset, from.size};
  context_.fn.vkCmdCopyBuffer(handle_, from.buffer, to.handle(), 1, &region);
  hand_over(from, copying, from.after);
}

void CommandRecorder::set_priority(float priority) {
  if (context_.occupancy_priority == 0) return;
  VkComputeOccupancyPriorityParametersNV parameters = {};
  parameters.sType = VK_STRUCTURE_TYPE_COMPUTE_OCCUPANCY_PRIORITY_PARAMETERS_NV;
  parameters.occupancyPriority = priority;
  context_.fn.vkCmdSetComputeOccupancyPriorityNV(handle_, &parameters);
}

void CommandRecorder::begin_priority() { set_priority(context_.occupancy_priority); }
void CommandRecorder::end_priority() { set_priority(VK_COMPUTE_OCCUPANCY_PRIORITY_NORMAL_NV); }

void CommandRecorder::reset(const Timestamps& timestamps) {
  reset(timestamps, 0, timestamps.count());
}

void CommandRecorder::reset(const Timestamps& timestamps, uint32_t first, uint32_t count) {
  context_.fn.vkCmdResetQueryPool(handle_, timestamps.handle(), first, count);
}

void CommandRecorder::copy_marks(const Timestamps& timestamps, uint32_t first, uint32_t count,
                                 const Buffer& to, uint64_t offset) {
  context_.fn.vkCmdCopyQueryPoolResults(handle_, timestamps.handle(), first, count, to.handle(),
                                        to.offset() + offset, sizeof(uint64_t),
                                        VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
}

void CommandRecorder::timestamp(const Timestamps& timestamps, uint32_t index) {
  CHECK(index < timestamps.count(), "timestamp index out of range");
  context_.fn.vkCmdWriteTimestamp(handle_, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT,
                                  timestamps.handle(), index);
}

Result<CommandBuffer> CommandBuffer::create(Device& device) {
  const Context& context = device.context();
  CommandBuffer self;
  self.device_ = &device;
  VkCommandPoolCreateInfo pool = {};
  pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
  pool.queueFamilyIndex = device.queue().family();
  VkResult result =
      context.fn.vkCreateCommandPool(context.device, &pool, context.callbacks, &self.pool_);
  if (result != VK_SUCCESS) return context.error(result, "creating a command pool");
  VkCommandBufferAllocateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
  info.commandPool = self.pool_;
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = 1;
  result = context.fn.vkAllocateCommandBuffers(context.device, &info, &self.handle_);
  if (result != VK_SUCCESS) return context.error(result, "allocating a command buffer");
  return self;
}

CommandBuffer& CommandBuffer::operator=(CommandBuffer&& other) noexcept {
  if (this == &other) return *this;
  release();
  device_ = std::exchange(other.device_, nullptr);
  pool_ = std::exchange(other.pool_, VkCommandPool{VK_NULL_HANDLE});
  handle_ = std::exchange(other.handle_, VkCommandBuffer{VK_NULL_HANDLE});
  return *this;
}

void CommandBuffer::release() {
  if (pool_ != VK_NULL_HANDLE) {
    const Context& context = device_->context();
    context.fn.vkDestroyCommandPool(context.device, pool_, context.callbacks);
  }
  pool_ = VK_NULL_HANDLE;
  handle_ = VK_NULL_HANDLE;
}

Result<CommandRecorder> CommandBuffer::begin() {
  const Context& context = device_->context();
  VkResult result = context.fn.vkResetCommandPool(context.device, pool_, 0);
  if (result != VK_SUCCESS) return context.error(result, "resetting a command buffer");
  VkCommandBufferBeginInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  info.flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT;
  result = context.fn.vkBeginCommandBuffer(handle_, &info);
  if (result != VK_SUCCESS) return context.error(result, "beginning a command buffer");
  ++context.counters.recordings;
  return CommandRecorder(*device_, handle_);
}

Status CommandBuffer::end() {
  const Context& context = device_->context();
  const VkResult result = context.fn.vkEndCommandBuffer(handle_);
  if (result != VK_SUCCESS) return context.error(result, "recording a command buffer");
  return {};
}

Result<std::unique_ptr<Timestamps>> Timestamps::create(Device& device, uint32_t count) {
  const Context& context = device.context();
  uint32_t families = 0;
  context.instance_fn.vkGetPhysicalDeviceQueueFamilyProperties(context.physical_device, &families,
                                                               nullptr);
  std::vector<VkQueueFamilyProperties> properties(families);
  context.instance_fn.vkGetPhysicalDeviceQueueFamilyProperties(context.physical_device, &families,
                                                               properties.data());
  const uint32_t bits = properties[device.queue().family()].timestampValidBits;
  if (bits == 0) return unsupported("the queue of '{}' has no timestamps", context.caps.name);
  std::unique_ptr<Timestamps> self(new Timestamps(context, count));
  self->mask_ = bits >= 64 ? ~0ull : (1ull << bits) - 1;
  VkQueryPoolCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO;
  info.queryType = VK_QUERY_TYPE_TIMESTAMP;
  info.queryCount = count;
  const VkResult result =
      context.fn.vkCreateQueryPool(context.device, &info, context.callbacks, &self->handle_);
  if (result != VK_SUCCESS) return context.error(result, "creating a timestamp pool");
  return self;
}

Timestamps::~Timestamps() {
  if (handle_ != VK_NULL_HANDLE)
    context_.fn.vkDestroyQueryPool(context_.device, handle_, context_.callbacks);
}

double Timestamps::milliseconds(uint64_t from_ticks, uint64_t to_ticks) const {
  return static_cast<double>((to_ticks - from_ticks) & mask_) *
         static_cast<double>(context_.properties.limits.timestampPeriod) * 1e-6;
}

Result<std::vector<double>> Timestamps::read() const {
  std::vector<uint64_t> ticks(count_);
  const VkResult result = context_.fn.vkGetQueryPoolResults(
      context_.device, handle_, 0, count_, ticks.size() * sizeof(uint64_t), ticks.data(),
      sizeof(uint64_t), VK_QUERY_RESULT_64_BIT);
  if (result != VK_SUCCESS) return context_.error(result, "reading timestamps");
  std::vector<double> nanoseconds(count_);
  for (uint32_t i = 0; i < count_; ++i)
    nanoseconds[i] = static_cast<double>(ticks[i] & mask_) *
                     static_cast<double>(context_.properties.limits.timestampPeriod);
  return nanoseconds;
}

}  // namespace ito::vk
