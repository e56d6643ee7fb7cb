#include "runtime/slice_clock.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "base/error.h"

namespace ito {

namespace {

// kRise * pow(kFall, 199) = 1.
constexpr double kRise = 1.5, kFall = 0.997965;

}  // namespace

double SlicePace::allowance() const { return std::max(4 * distance_, rare_); }

void SlicePace::add(double measured_ms, double estimated_ms) {
  const double ratio = measured_ms / std::max(estimated_ms, 1e-3);
  if (count_++ == 0) {
    mean_ = ratio;
    distance_ = ratio / 4;
    return;
  }
  rare_ = ratio > bound() ? kRise * allowance() : rare_ * kFall;
  distance_ += (std::abs(ratio - mean_) - distance_) / 16;
  mean_ += (ratio - mean_) / 8;
}

SliceClock::~SliceClock() = default;

Result<std::unique_ptr<SliceClock>> SliceClock::create(vk::Device& device) {
  auto times = vk::Timestamps::create(device, 2 * kSlots);
  if (!times.ok() && times.error().kind == ErrorKind::kUnsupported)
    return std::unique_ptr<SliceClock>();
  if (!times.ok()) return times.error();
  std::unique_ptr<SliceClock> self(new SliceClock);
  self->times_ = std::move(times).value();
  ITO_ASSIGN(self->marks_,
             device.memory().allocate(sizeof(Marks) * kSlots, vk::MemoryUse::kReadback));
  std::memset(self->marks_.mapped(), 0, sizeof(Marks) * kSlots);
  return self;
}

// In order, as far as the device is done. A slice that was dropped is passed over once a later one
// is done.
void SliceClock::collect() {
  auto* all = reinterpret_cast<Marks*>(marks_.mapped());
  for (uint32_t number = newest_; number >= oldest_ && number > 0; --number) {
    Marks& marks = all[number % kSlots];
    if (std::atomic_ref(marks.number).load(std::memory_order_acquire) != number) continue;
    for (; oldest_ <= number; ++oldest_) {
      Slot& slot = slots_[oldest_ % kSlots];
      const Marks& done = all[oldest_ % kSlots];
      if (slot.number != oldest_ || done.number != oldest_ || done.begin == slot.last_begin)
        continue;
      slot.last_begin = done.begin;
      measured_ms_ = times_->milliseconds(done.begin, done.end);
      pace_.add(measured_ms_, slot.estimated_ms);
    }
    return;
  }
}

void SliceClock::begin(vk::CommandRecorder& recorder) {
  collect();
  // Of those that the device has not done by now, as of those that nobody executed, nothing is
  // expected any more.
  if (newest_ + 1 - oldest_ >= kSlots) oldest_ = newest_ + 1;
  const uint32_t slot = (newest_ + 1) % kSlots;
  recorder.reset(*times_, 2 * slot, 2);
  recorder.timestamp(*times_, 2 * slot);
}

void SliceClock::end(vk::CommandRecorder& recorder, double estimated_ms) {
  const uint32_t number = ++newest_;
  const uint32_t slot = number % kSlots;
  slots_[slot].number = number;
  slots_[slot].estimated_ms = estimated_ms;
  recorder.timestamp(*times_, 2 * slot + 1);
  const uint64_t offset = sizeof(Marks) * slot;
  recorder.copy_marks(*times_, 2 * slot, 2, marks_, offset);
  recorder.begin_barrier();
  recorder.fill(marks_, offset + offsetof(Marks, number), sizeof(uint32_t), number);
  recorder.end_barrier();
}

}  // namespace ito
