#include "runtime/vk/staging.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/integer.h"
#include "runtime/vk/device.h"

namespace ito::vk {
namespace {

constexpr uint64_t kChunkBytes = 32ull << 20;
constexpr uint64_t kRingAlignment = 16;

Status wait_for_all(Device& device) {
  return device.queue().wait(device.queue().last_submitted(), WaitReason::kResult);
}

// Records, submits and waits for one command.
template <typename Record>
Status run_now(Device& device, Record&& record) {
  ITO_ASSIGN(CommandBuffer commands, CommandBuffer::create(device));
  ITO_ASSIGN(CommandRecorder recorder, commands.begin());
  recorder.begin_barrier();
  record(recorder);
  recorder.end_barrier();
  ITO_TRY(commands.end());
  ITO_ASSIGN(const uint64_t value, device.queue().submit({&commands}));
  return device.queue().wait(value, WaitReason::kResult);
}

}  // namespace

Status upload_now(Device& device, const Buffer& to, uint64_t offset,
                  std::span<const std::byte> data) {
  CHECK(offset + data.size() <= to.size(), "upload beyond the end of a buffer");
  ITO_TRY(wait_for_all(device));
  if (to.mapped() != nullptr) {
    std::memcpy(to.mapped() + offset, data.data(), data.size());
    to.changed();
    return {};
  }
  if (!device.queue().can_submit()) {
    to.changes_unseen();
    return device.uploads().write(to, offset, data);
  }
  for (size_t at = 0; at < data.size(); at += kChunkBytes) {
    const size_t size = std::min<size_t>(kChunkBytes, data.size() - at);
    ITO_ASSIGN(const Buffer host, device.memory().allocate(size, MemoryUse::kUpload));
    std::memcpy(host.mapped(), data.data() + at, size);
    ITO_TRY(run_now(
        device, [&](CommandRecorder& recorder) { recorder.copy(host, 0, to, offset + at, size); }));
    to.changed();
  }
  return {};
}

Status download_now(Device& device, const Buffer& from, uint64_t offset,
                    std::span<std::byte> data) {
  CHECK(offset + data.size() <= from.size(), "download beyond the end of a buffer");
  ITO_TRY(wait_for_all(device));
  if (from.mapped() != nullptr && from.host_cached()) {
    std::memcpy(data.data(), from.mapped() + offset, data.size());
    return {};
  }
  for (size_t at = 0; at < data.size(); at += kChunkBytes) {
    const size_t size = std::min<size_t>(kChunkBytes, data.size() - at);
    ITO_ASSIGN(const Buffer host, device.memory().allocate(size, MemoryUse::kReadback));
    ITO_TRY(run_now(device, [&](CommandRecorder& recorder) {
      recorder.copy(from, offset + at, host, 0, size);
    }));
    std::memcpy(data.data() + at, host.mapped(), size);
  }
  return {};
}

Status fill_now(Device& device, const Buffer& to, uint64_t offset, uint64_t size, uint32_t word) {
  CHECK(offset + size <= to.size(), "fill beyond the end of a buffer");
  if (size == 0) return {};
  if (to.mapped() != nullptr) {
    ITO_TRY(wait_for_all(device));
    std::fill_n(reinterpret_cast<uint32_t*>(to.mapped() + offset), size / sizeof(uint32_t), word);
    to.changed();
    return {};
  }
  if (!device.queue().can_submit()) {
    to.changes_unseen();
    device.uploads().fill(to, offset, size, word);
    return {};
  }
  ITO_TRY(
      run_now(device, [&](CommandRecorder& recorder) { recorder.fill(to, offset, size, word); }));
  to.changed();
  return {};
}

UploadRing::~UploadRing() {
  if (!in_flight_.empty())
    (void)device_.queue().wait(in_flight_.back()->value, WaitReason::kResult);
}

// Frees the places of all batches whose submission is done.
void UploadRing::retire(uint64_t completed) {
  while (!in_flight_.empty() && in_flight_.front()->value <= completed) {
    Batch* batch = in_flight_.front();
    in_flight_.pop_front();
    tail_ = batch->ring_end;
    batch->regions.clear();
    batch->value = 0;
  }
}

Status UploadRing::wait_for_oldest() {
  ITO_TRY(device_.queue().wait(in_flight_.front()->value, WaitReason::kResult));
  ITO_ASSIGN(const uint64_t completed, device_.queue().completed());
  retire(completed);
  return {};
}

Status UploadRing::flush() {
  ITO_ASSIGN(const CommandBuffer* commands, take());
  if (commands == nullptr) return {};
  ITO_ASSIGN(const uint64_t value, device_.queue().submit({commands}));
  submitted(value);
  return {};
}

// Makes `size` contiguous bytes free at head_.
Status UploadRing::make_room(uint64_t size) {
  if (ring_ == nullptr || size > bytes_) {
    ITO_TRY(flush());
    while (!in_flight_.empty()) ITO_TRY(wait_for_oldest());
    while (bytes_ < size) bytes_ *= 2;
    ring_.reset();
    ITO_ASSIGN(Buffer buffer, device_.memory().allocate(bytes_, MemoryUse::kUpload));
    ring_ = std::make_shared<Buffer>(std::move(buffer));
    head_ = tail_ = 0;
  }
  ITO_ASSIGN(const uint64_t completed, device_.queue().completed());
  retire(completed);
  for (;;) {
    if (in_flight_.empty() && pending_.empty()) head_ = tail_ = 0;
    // What does not fit before the end of the ring starts at its beginning.
    const uint64_t to_end = bytes_ - head_ % bytes_;
    const uint64_t needed = size <= to_end ? size : to_end + size;
    if (head_ + needed - tail_ <= bytes_) {
      if (size > to_end) head_ += to_end;
      return {};
    }
    ITO_TRY(flush());
    ITO_TRY(wait_for_oldest());
  }
}

Status UploadRing::write(std::shared_ptr<const Buffer> to, uint64_t offset,
                         std::span<const std::byte> data) {
  CHECK(offset + data.size() <= to->size(), "upload beyond the end of a buffer");
  if (data.empty()) return {};
  const uint64_t size = round_up(data.size(), kRingAlignment);
  ITO_TRY(make_room(size));
  const uint64_t place = head_ % bytes_;
  std::memcpy(ring_->mapped() + place, data.data(), data.size());
  head_ += size;
  pending_.push_back({ring_, std::move(to), place, offset, data.size()});
  return {};
}

Result<const CommandBuffer*> UploadRing::take() {
  // A batch whose submission failed is offered again.
  if (taken_ != nullptr) return &taken_->commands;
  if (pending_.empty()) return nullptr;
  ITO_ASSIGN(const uint64_t completed, device_.queue().completed());
  retire(completed);
  auto free = std::find_if(batches_.begin(), batches_.end(),
                           [](const auto& batch) { return batch->value == 0; });
  if (free == batches_.end()) {
    auto batch = std::make_unique<Batch>();
    ITO_ASSIGN(batch->commands, CommandBuffer::create(device_));
    batches_.push_back(std::move(batch));
    free = std::prev(batches_.end());
  }
  Batch& batch = **free;
  ITO_ASSIGN(CommandRecorder recorder, batch.commands.begin());
  recorder.begin_barrier();
  for (size_t i = 0; i < pending_.size(); ++i) {
    const Region& region = pending_[i];
    // A second write to one place must land after the first.
    for (size_t j = 0; j < i; ++j)
      if (pending_[j].to == region.to && pending_[j].to_offset < region.to_offset + region.size &&
          region.to_offset < pending_[j].to_offset + pending_[j].size) {
        recorder.begin_barrier();
        break;
      }
    recorder.copy(*region.from, region.from_offset, *region.to, region.to_offset, region.size);
  }
  recorder.end_barrier();
  ITO_TRY(batch.commands.end());
  batch.regions.swap(pending_);
  batch.ring_end = head_;
  taken_ = &batch;
  return &batch.commands;
}

void UploadRing::submitted(uint64_t value) {
  if (taken_ == nullptr) return;
  for (const Region& region : taken_->regions) region.to->changed();
  taken_->value = value;
  in_flight_.push_back(taken_);
  taken_ = nullptr;
}

struct ReadTicket::Slot {
  Buffer host;
  CommandBuffer commands;
  std::shared_ptr<const Buffer> from;
  uint64_t offset = 0, size = 0;
  uint64_t value = 0;  // of its newest submission
};

uint64_t ReadTicket::size() const { return slot_ == nullptr ? 0 : slot_->size; }

Result<bool> ReadTicket::ready() const {
  CHECK(valid(), "an empty read ticket");
  ITO_ASSIGN(const uint64_t completed, device_->queue().completed());
  return completed >= slot_->value;
}

Status ReadTicket::read(std::span<std::byte> data) const {
  CHECK(valid(), "an empty read ticket");
  CHECK(data.size() == slot_->size, "a read ticket was given a wrong number of bytes");
  ITO_TRY(device_->queue().wait(slot_->value, WaitReason::kResult));
  std::memcpy(data.data(), slot_->host.mapped(), data.size());
  return {};
}

ReadbackPool::~ReadbackPool() {
  uint64_t last = 0;
  for (const auto& slot : slots_) last = std::max(last, slot->value);
  (void)device_.queue().wait(last, WaitReason::kResult);
}

Result<std::shared_ptr<ReadTicket::Slot>> ReadbackPool::make_slot(uint64_t size) {
  auto slot = std::make_shared<ReadTicket::Slot>();
  ITO_ASSIGN(slot->host, device_.memory().allocate(size, MemoryUse::kReadback));
  ITO_ASSIGN(slot->commands, CommandBuffer::create(device_));
  slots_.push_back(slot);
  return slot;
}

Status ReadbackPool::record(ReadTicket::Slot& slot, std::shared_ptr<const Buffer> from,
                            uint64_t offset, uint64_t size) {
  slot.from = nullptr;
  ITO_ASSIGN(CommandRecorder recorder, slot.commands.begin());
  recorder.begin_barrier();
  recorder.copy(*from, offset, slot.host, 0, size);
  recorder.end_barrier();
  ITO_TRY(slot.commands.end());
  slot.from = std::move(from);
  slot.offset = offset;
  slot.size = size;
  return {};
}

Status ReadbackPool::reserve(const std::shared_ptr<const Buffer>& from, uint64_t offset,
                             uint64_t size, size_t tickets) {
  for (const auto& slot : slots_)
    if (tickets > 0 && slot->from == from && slot->offset == offset && slot->size == size)
      --tickets;
  for (; tickets > 0; --tickets) {
    ITO_ASSIGN(const auto slot, make_slot(size));
    ITO_TRY(record(*slot, from, offset, size));
  }
  return {};
}

Result<ReadTicket> ReadbackPool::enqueue(std::shared_ptr<const Buffer> from, uint64_t offset,
                                         uint64_t size) {
  CHECK(offset + size <= from->size(), "read beyond the end of a buffer");
  ITO_ASSIGN(const uint64_t completed, device_.queue().completed());
  std::shared_ptr<ReadTicket::Slot> chosen;
  bool recorded = false;
  for (const auto& slot : slots_) {
    // In slots_ and here: two owners, no ticket.
    if (slot.use_count() > 1 || slot->value > completed || slot->host.size() < size) continue;
    recorded = slot->from == from && slot->offset == offset && slot->size == size;
    chosen = slot;
    if (recorded) break;
  }
  if (chosen == nullptr) {
    ITO_ASSIGN(chosen, make_slot(size));
  }
  if (!recorded) ITO_TRY(record(*chosen, std::move(from), offset, size));
  ITO_ASSIGN(chosen->value, device_.queue().submit({&chosen->commands}));
  ReadTicket ticket;
  ticket.device_ = &device_;
  ticket.slot_ = std::move(chosen);
  return ticket;
}

}  // namespace ito::vk
