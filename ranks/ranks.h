// Ranks: the processes that work on one job together, a device each: which of them this one is, and
// what they do together. A value; copies are of the same ranks. Every rank makes the same calls in
// the same order. One process alone is the common case, in which nothing waits and nothing is sent.
// Not for how they are started or reach each other (local_ranks.h, mpi.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.h"
#include "ranks/transport.h"

namespace ito {

class Ranks {
 public:
  // One process, started as such.
  Ranks() = default;
  explicit Ranks(std::shared_ptr<Transport> transport);

  // Whether this process was started as a rank, if only as one of one.
  bool started() const { return shared_ != nullptr; }
  int rank() const { return shared_ ? shared_->transport->rank() : 0; }
  int size() const { return shared_ ? shared_->transport->size() : 1; }
  int local_rank() const { return shared_ ? shared_->transport->local_rank() : 0; }
  bool several() const { return size() > 1; }
  // The one that writes and speaks.
  bool first() const { return rank() == 0; }
  std::string name() const { return shared_ ? shared_->transport->name() : std::string(); }

  // The sum over all ranks, on all, in the order of a SumTree over them (base/sum_tree.h): the same
  // bits everywhere. Sends 2 (R - 1) / R of the bytes, in 2 log2 R messages; of few numbers all, in
  // log2 R. The number of ranks must be a power of two.
  Status sum(std::span<float> values) const;
  // What rank 0 has, to all.
  Status broadcast(std::span<std::byte> bytes) const;
  Result<std::string> broadcast_text(std::string text) const;
  // Of all ranks, in their order; only on rank 0, else empty.
  Result<std::vector<std::string>> gather(const std::string& text) const;
  // The items (plain values, which all hosts must store alike) of all ranks one after the other, in
  // their order; only on rank 0, else empty.
  template <typename Item>
  Result<std::vector<Item>> gather_items(std::vector<Item> items) const;
  // The share of this rank in `count` things, [first, last): contiguous, in the ranks' order, of
  // whole batches of them (the last may be cut), and no two differ by more than one batch. Rank 0
  // has one if any has.
  std::pair<size_t, size_t> share_of(size_t count, size_t batch = 1) const;
  // Whether it is so on any rank, on all.
  Result<bool> any(bool mine) const;
  // Good where it is good on all ranks; else the error of the first that has one, on all, with that
  // rank before it where it is not rank 0. Nobody comes back before all have called.
  Status agree(Status mine) const;
  // Ends it, once, as Transport::leave; gives whether this process should say `why`.
  bool leave(const Error* why) const;

  // Sent by this rank so far.
  uint64_t bytes_sent() const { return shared_ ? shared_->bytes_sent : 0; }

 private:
  struct Shared {
    std::shared_ptr<Transport> transport;
    std::string agreed;  // the last error of agree(): everybody has it, and one says it
    uint64_t bytes_sent = 0;
  };
  Status exchange(int peer, std::span<const std::byte> out, std::span<std::byte> in) const;
  Status send_text(int peer, const std::string& text) const;
  Result<std::string> receive_text(int peer) const;
  Status sum_small(std::span<float> values) const;
  Status sum_large(std::span<float> values) const;

  std::shared_ptr<Shared> shared_;
};

template <typename Item>
Result<std::vector<Item>> Ranks::gather_items(std::vector<Item> items) const {
  static_assert(std::is_trivially_copyable_v<Item>);
  const uint64_t own = items.size();
  if (!first()) {
    ITO_TRY(exchange(0, std::as_bytes(std::span(&own, 1)), {}));
    ITO_TRY(exchange(0, std::as_bytes(std::span(items)), {}));
    return std::vector<Item>();
  }
  for (int peer = 1; peer < size(); ++peer) {
    uint64_t count = 0;
    ITO_TRY(exchange(peer, {}, std::as_writable_bytes(std::span(&count, 1))));
    const size_t there = items.size();
    items.resize(there + count);
    ITO_TRY(exchange(peer, {}, std::as_writable_bytes(std::span(items).subspan(there))));
  }
  return items;
}

}  // namespace ito
