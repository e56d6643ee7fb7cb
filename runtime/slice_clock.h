// SliceClock: how long recorded slices took on the device, by marks that they make around
// themselves, and by how much the estimates of the slices to come have to be corrected. Works in
// anybody's command buffers and never waits: the marks are copied into memory that the host reads
// when it records the next slice. Not for single dispatches (Executor::measure_calls).
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/result.h"
#include "runtime/vk/command_buffer.h"
#include "runtime/vk/device.h"

namespace ito {

// What slices take beyond their estimates, from the newest slices: the mean of measured over
// estimated times and the mean distance from it, as transports estimate round trips (RFC 6298,
// section 2, with its four distances). The mean follows by 1/8 a slice; the distance, slower than
// there, by 1/16, so that it remembers what is rare. Where four distances hold less than 99.5% of
// the slices, as beside other work on the same processors, an allowance in their place does: a slice
// beyond the bound makes it half as large again, 199 within take that back, so it rests where one
// in 200 is beyond (stochastic approximation of a quantile, Robbins and Monro 1951, in logarithms).
class SlicePace {
 public:
  void add(double measured_ms, double estimated_ms);
  // Nearly all slices take less than this times their estimate. 1.2 before the first.
  double bound() const { return mean_ + allowance(); }
  uint64_t count() const { return count_; }

 private:
  double allowance() const;

  double mean_ = 1, distance_ = 0.05, rare_ = 0;
  uint64_t count_ = 0;
};

class SliceClock {
 public:
  // Null where the queue family has no timestamps.
  static Result<std::unique_ptr<SliceClock>> create(vk::Device& device);
  ~SliceClock();

  // Takes in the slices that are known to be done, then begins a slice; end() is called with the
  // same recorder.
  void begin(vk::CommandRecorder& recorder);
  void end(vk::CommandRecorder& recorder, double estimated_ms);

  const SlicePace& pace() const { return pace_; }
  // Of the newest slice that is known to be done.
  double measured_ms() const { return measured_ms_; }

 private:
  static constexpr uint32_t kSlots = 32;
  // What a slice's commands write, the number last.
  struct Marks {
    uint64_t begin, end;
    uint32_t number, unused;
  };
  struct Slot {
    uint32_t number = 0;  // of the slice that was recorded here; 0: free
    uint64_t last_begin = 0;
    double estimated_ms = 0;
  };
  SliceClock() = default;
  void collect();

  std::unique_ptr<vk::Timestamps> times_;
  vk::Buffer marks_;  // Marks [kSlots]
  std::array<Slot, kSlots> slots_;
  uint32_t newest_ = 0;  // numbers rise from 1
  uint32_t oldest_ = 1;  // that is not known to be done
  SlicePace pace_;
  double measured_ms_ = 0;
};

}  // namespace ito
