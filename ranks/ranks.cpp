#include "ranks/ranks.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/integer.h"
#include "base/sum_tree.h"

namespace ito {
namespace {

// Up to here fewer messages are worth more than fewer bytes.
constexpr size_t kFew = 1024;

struct SpanOfNumbers {
  size_t first = 0, last = 0;
  std::span<float> of(std::span<float> values) const { return values.subspan(first, last - first); }
};

// With the lower rank's number first: of two that are no numbers the first decides the bits.
void add_into(std::span<float> mine, std::span<const float> theirs, bool mine_first) {
  for (size_t i = 0; i < mine.size(); ++i)
    mine[i] = mine_first ? sum_in_tree(mine[i], theirs[i]) : sum_in_tree(theirs[i], mine[i]);
}

}  // namespace

Ranks::Ranks(std::shared_ptr<Transport> transport) : shared_(std::make_shared<Shared>()) {
  shared_->transport = std::move(transport);
}

Status Ranks::exchange(int peer, std::span<const std::byte> out, std::span<std::byte> in) const {
  if (out.empty() && in.empty()) return {};
  shared_->bytes_sent += out.size();
  return shared_->transport->exchange(peer, out, in);
}

// Every rank has the whole sum of ever larger groups.
Status Ranks::sum_small(std::span<float> values) const {
  std::vector<float> theirs(values.size());
  for (int distance = 1; distance < size(); distance *= 2) {
    const int peer = rank() ^ distance;
    ITO_TRY(exchange(peer, std::as_bytes(values), std::as_writable_bytes(std::span(theirs))));
    add_into(values, theirs, rank() < peer);
  }
  return {};
}

// Recursive halving, then recursive doubling (Rabenseifner 2004): each number is summed by one rank
// of every group, in the tree's order, and then handed to all.
Status Ranks::sum_large(std::span<float> values) const {
  std::vector<float> theirs((values.size() + 1) / 2);
  std::vector<SpanOfNumbers> kept = {{0, values.size()}};
  for (int distance = 1; distance < size(); distance *= 2) {
    const SpanOfNumbers whole = kept.back();
    const size_t middle = whole.first + (whole.last - whole.first) / 2;
    SpanOfNumbers mine{whole.first, middle}, sent{middle, whole.last};
    if ((rank() & distance) != 0) std::swap(mine, sent);
    const std::span<float> received = std::span(theirs).first(mine.last - mine.first);
    const int peer = rank() ^ distance;
    ITO_TRY(exchange(peer, std::as_bytes(sent.of(values)), std::as_writable_bytes(received)));
    add_into(mine.of(values), received, rank() < peer);
    kept.push_back(mine);
  }
  for (int distance = size() / 2; distance > 0; distance /= 2) {
    const SpanOfNumbers mine = kept.back();
    kept.pop_back();
    const SpanOfNumbers whole = kept.back();
    const SpanOfNumbers other = mine.first == whole.first ? SpanOfNumbers{mine.last, whole.last}
                                                          : SpanOfNumbers{whole.first, mine.first};
    ITO_TRY(exchange(rank() ^ distance, std::as_bytes(mine.of(values)),
                     std::as_writable_bytes(other.of(values))));
  }
  return {};
}

Status Ranks::sum(std::span<float> values) const {
  if (!several()) return {};
  CHECK(std::has_single_bit(static_cast<unsigned>(size())), "a sum over no power of two of ranks");
  return values.size() <= kFew ? sum_small(values) : sum_large(values);
}

// Along a binomial tree: who has it hands it on over ever smaller distances.
Status Ranks::broadcast(std::span<std::byte> bytes) const {
  if (!several() || bytes.empty()) return {};
  int distance = 1;
  while (distance < size() && (rank() & distance) == 0) distance *= 2;
  if (rank() != 0) ITO_TRY(exchange(rank() - distance, {}, bytes));
  for (distance /= 2; distance > 0; distance /= 2)
    if (rank() + distance < size()) ITO_TRY(exchange(rank() + distance, bytes, {}));
  return {};
}

Status Ranks::send_text(int peer, const std::string& text) const {
  const uint64_t size = text.size();
  ITO_TRY(exchange(peer, std::as_bytes(std::span(&size, 1)), {}));
  if (size == 0) return {};
  return exchange(peer, std::as_bytes(std::span(text)), {});
}

Result<std::string> Ranks::receive_text(int peer) const {
  uint64_t size = 0;
  ITO_TRY(exchange(peer, {}, std::as_writable_bytes(std::span(&size, 1))));
  std::string text(size, '\0');
  if (size > 0) ITO_TRY(exchange(peer, {}, std::as_writable_bytes(std::span(text))));
  return text;
}

Result<std::vector<std::string>> Ranks::gather(const std::string& text) const {
  std::vector<std::string> all;
  if (!first()) {
    ITO_TRY(send_text(0, text));
    return all;
  }
  all.push_back(text);
  for (int peer = 1; peer < size(); ++peer) {
    ITO_ASSIGN(std::string theirs, receive_text(peer));
    all.push_back(std::move(theirs));
  }
  return all;
}

std::pair<size_t, size_t> Ranks::share_of(size_t count, size_t batch) const {
  const auto n = static_cast<size_t>(size()), k = static_cast<size_t>(rank());
  const size_t batches = ceil_div(count, batch);
  const auto begin = [&](size_t of) { return std::min(ceil_div(of * batches, n) * batch, count); };
  return {begin(k), begin(k + 1)};
}

Result<std::string> Ranks::broadcast_text(std::string text) const {
  uint64_t size = text.size();
  ITO_TRY(broadcast(std::as_writable_bytes(std::span(&size, 1))));
  text.resize(size);
  ITO_TRY(broadcast(std::as_writable_bytes(std::span(text))));
  return text;
}

Result<bool> Ranks::any(bool mine) const {
  if (!several()) return mine;
  ITO_ASSIGN(const std::vector<std::string> all, gather(mine ? "1" : ""));
  auto some = static_cast<std::byte>(
      std::any_of(all.begin(), all.end(), [](const std::string& text) { return !text.empty(); }));
  ITO_TRY(broadcast(std::span(&some, 1)));
  return some != std::byte{0};
}

Status Ranks::agree(Status mine) const {
  if (!several()) return mine;
  // Empty: good. Else the kind of the error, and its text.
  std::string text;
  if (!mine.ok())
    text = static_cast<char>('A' + static_cast<int>(mine.error().kind)) + mine.error().message;
  ITO_ASSIGN(const std::vector<std::string> all, gather(text));
  std::string common;
  for (size_t k = 0; k < all.size() && common.empty(); ++k) {
    common = all[k];
    if (!common.empty() && k > 0) common.insert(1, fmt::format("rank {}: ", k));
  }
  ITO_ASSIGN(common, broadcast_text(std::move(common)));
  if (common.empty()) return {};
  shared_->agreed = common.substr(1);
  return Error{static_cast<ErrorKind>(common[0] - 'A'), shared_->agreed};
}

bool Ranks::leave(const Error* why) const {
  if (!shared_) return true;
  if (why != nullptr && several() && why->message == shared_->agreed) {
    shared_->transport->leave(nullptr);
    return first();
  }
  return !shared_->transport->leave(why);
}

}  // namespace ito
