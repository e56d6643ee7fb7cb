#include "api/gradient_exchange.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "base/error.h"

namespace ito {
namespace {

constexpr uint64_t kBucketBytes = uint64_t{4} << 20;
// Buckets that are on their way to the host at once, and back.
constexpr size_t kAhead = 4;

}  // namespace

GradientExchange::GradientExchange(vk::Device& device, std::vector<DeviceTensor> tensors)
    : down_(device), up_(device, kAhead * kBucketBytes) {
  for (const DeviceTensor& tensor : tensors)
    for (uint64_t offset = 0; offset < tensor.size(); offset += kBucketBytes)
      buckets_.push_back({.tensor = tensor,
                          .offset = offset,
                          .size = std::min(kBucketBytes, tensor.size() - offset)});
}

Status GradientExchange::sum(const Ranks& ranks) {
  std::deque<vk::ReadTicket> tickets;
  size_t asked = 0;
  std::vector<float> numbers;
  for (const Bucket& bucket : buckets_) {
    for (; asked < buckets_.size() && tickets.size() < kAhead; ++asked) {
      const Bucket& next = buckets_[asked];
      ITO_ASSIGN(
          vk::ReadTicket ticket,
          down_.enqueue(next.tensor.buffer(), next.tensor.offset() + next.offset, next.size));
      tickets.push_back(std::move(ticket));
    }
    numbers.resize(bucket.size / sizeof(float));
    ITO_TRY(tickets.front().read(writable_bytes_of(numbers)));
    tickets.pop_front();
    ITO_TRY(ranks.sum(numbers));
    ITO_TRY(up_.write(bucket.tensor.buffer(), bucket.tensor.offset() + bucket.offset,
                      bytes_of(numbers)));
    ITO_TRY(up_.flush());
  }
  return {};
}

}  // namespace ito
