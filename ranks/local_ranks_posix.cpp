#include "ranks/local_ranks.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"

namespace ito {
namespace {

using SteadyClock = std::chrono::steady_clock;

// How long a rank that is gone may take to be reaped, and the others to end, before they are ended.
constexpr std::chrono::milliseconds kToBeReaped{500};
constexpr std::chrono::seconds kToEnd{10};

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

// What precedes the bytes of a message.
struct FrameHeader {
  enum Kind : uint64_t {
    kData = 1,
    kEnd = 2
  };  // kEnd: the sender ends, for the error that follows
  uint64_t kind = kData;
  uint64_t size = 0;
};

struct Child {
  pid_t pid = 0;
  std::optional<int> status;  // as of waitpid, when it has ended
};

class LocalTransport final : public Transport {
 public:
  // `first`: the process of rank 0.
  LocalTransport(int rank, pid_t first, std::vector<FileDescriptor> peers,
                 std::vector<Child> children)
      : rank_(rank), first_(first), peers_(std::move(peers)), children_(std::move(children)) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(peers_.size()); }
  int local_rank() const override { return rank_; }
  std::string name() const override { return "--devices"; }
  Status exchange(int peer, std::span<const std::byte> out, std::span<std::byte> in) override;
  bool leave(const Error* why) override;

 private:
  // Of the bytes under way to one rank or from it.
  struct Sending {
    FrameHeader header;
    std::span<const std::byte> bytes;
    size_t done = 0;  // header included
    bool over() const { return done == sizeof header + bytes.size(); }
  };
  struct Receiving {
    FrameHeader header;
    std::span<std::byte> bytes;
    size_t done = 0;
    bool over() const { return done == sizeof header + bytes.size(); }
  };
  // Whether the connection still stands.
  bool send_some(int fd, Sending& sending);
  bool receive_some(int fd, Receiving& receiving);
  Error gone(int peer, std::string words = {});
  std::string last_words(int peer, uint64_t size);
  void reap();
  void reap_all_within(std::chrono::milliseconds time);

  const int rank_;
  const pid_t first_;
  std::vector<FileDescriptor> peers_;  // by rank; none at the own one
  std::vector<Child> children_;        // of rank 0, from rank 1 on
  bool somebody_says_it_ = false;
};

// Bytes [done, ...) of a header and what follows it, as many as go without waiting.
bool LocalTransport::send_some(int fd, Sending& sending) {
  const auto header = std::as_bytes(std::span(&sending.header, 1));
  while (!sending.over()) {
    const auto rest = sending.done < header.size()
                          ? header.subspan(sending.done)
                          : sending.bytes.subspan(sending.done - header.size());
    const ssize_t sent = send(fd, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    sending.done += static_cast<size_t>(sent);
  }
  return true;
}

bool LocalTransport::receive_some(int fd, Receiving& receiving) {
  const auto header = std::as_writable_bytes(std::span(&receiving.header, 1));
  while (!receiving.over()) {
    const bool in_header = receiving.done < header.size();
    if (!in_header && receiving.header.kind == FrameHeader::kEnd) return false;
    const auto rest = in_header ? header.subspan(receiving.done)
                                : receiving.bytes.subspan(receiving.done - header.size());
    const ssize_t received = recv(fd, rest.data(), rest.size(), MSG_DONTWAIT);
    if (received == 0) return false;
    if (received < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    receiving.done += static_cast<size_t>(received);
    if (receiving.done == header.size() && receiving.header.kind == FrameHeader::kData &&
        !receiving.bytes.empty())
      CHECK(receiving.header.size == receiving.bytes.size(),
            fmt::format("rank {} expected a message of {} bytes, but got one of {}", rank_,
                        receiving.bytes.size(), receiving.header.size));
  }
  return receiving.header.kind == FrameHeader::kData;
}

Status LocalTransport::exchange(int peer, std::span<const std::byte> out, std::span<std::byte> in) {
  const int fd = peers_[static_cast<size_t>(peer)].get();
  Sending sending{.header = {.kind = FrameHeader::kData, .size = out.size()}, .bytes = out};
  Receiving receiving{.header = {}, .bytes = in};
  const bool sends = !out.empty(), receives = !in.empty();
  while (true) {
    const bool sent = !sends || send_some(fd, sending);
    // Who can be sent nothing may have said why.
    const bool hears = receives || !sent;
    if (hears && !receive_some(fd, receiving)) {
      const bool ended = receiving.done == sizeof receiving.header &&
                         receiving.header.kind == FrameHeader::kEnd;
      return gone(peer, ended ? last_words(peer, receiving.header.size) : std::string());
    }
    if (!sent) return gone(peer);
    if ((!sends || sending.over()) && (!receives || receiving.over())) return {};
    pollfd wanted{.fd = fd, .events = 0, .revents = 0};
    if (sends && !sending.over()) wanted.events |= POLLOUT;
    if (receives && !receiving.over()) wanted.events |= POLLIN;
    poll(&wanted, 1, -1);
  }
}

// What a rank said when it ended.
std::string LocalTransport::last_words(int peer, uint64_t size) {
  std::string words(std::min<uint64_t>(size, 1 << 16), '\0');
  size_t done = 0;
  while (done < words.size()) {
    const ssize_t received =
        recv(peers_[static_cast<size_t>(peer)].get(), words.data() + done, words.size() - done, 0);
    if (received <= 0) break;
    done += static_cast<size_t>(received);
  }
  words.resize(done);
  return words;
}

void LocalTransport::reap() {
  for (Child& child : children_) {
    int status = 0;
    if (!child.status && waitpid(child.pid, &status, WNOHANG) == child.pid) child.status = status;
  }
}

void LocalTransport::reap_all_within(std::chrono::milliseconds time) {
  const SteadyClock::time_point end = SteadyClock::now() + time;
  const auto all_ended = [&] {
    for (const Child& child : children_)
      if (!child.status) return false;
    return true;
  };
  for (reap(); !all_ended() && SteadyClock::now() < end; reap())
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

// That a rank is gone, and of what, by its own words where it had any. One rank says it: 0, or 1
// where 0 is what is gone.
Error LocalTransport::gone(int peer, std::string words) {
  if (rank_ != 0) {
    somebody_says_it_ = getppid() == first_ || rank_ > 1;
    if (!words.empty()) return Error{ErrorKind::kIo, std::move(words)};
    if (peer != 0) return io_error("rank {} is gone", peer);
    return io_error("rank 0 (process {}) is gone", first_);
  }
  const SteadyClock::time_point end = SteadyClock::now() + kToBeReaped;
  do {
    reap();
    for (size_t k = 0; k < children_.size(); ++k) {
      const Child& child = children_[k];
      if (child.status && WIFSIGNALED(*child.status))
        return io_error("rank {} (process {}) was ended by signal {} ({})", k + 1, child.pid,
                        WTERMSIG(*child.status), strsignal(WTERMSIG(*child.status)));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  } while (SteadyClock::now() < end);
  if (!words.empty()) return Error{ErrorKind::kIo, std::move(words)};
  return io_error("rank {} (process {}) is gone", peer,
                  children_[static_cast<size_t>(peer) - 1].pid);
}

bool LocalTransport::leave(const Error* why) {
  bool told = somebody_says_it_;
  if (why != nullptr) {
    // Rank 0 says what others ended for.
    const std::string words = rank_ == 0 || somebody_says_it_
                                  ? why->message
                                  : fmt::format("rank {}: {}", rank_, why->message);
    for (size_t peer = 0; peer < peers_.size(); ++peer) {
      if (peers_[peer].get() < 0) continue;
      Sending sending{.header = {.kind = FrameHeader::kEnd, .size = words.size()},
                      .bytes = std::as_bytes(std::span(words))};
      (void)send_some(peers_[peer].get(), sending);
    }
    if (rank_ != 0 && getppid() == first_) told = true;
  }
  peers_.clear();
  reap_all_within(kToEnd);
  for (const Child& child : children_)
    if (!child.status) kill(child.pid, SIGKILL);
  reap_all_within(kToEnd);
  children_.clear();
  return told;
}

}  // namespace

Result<Ranks> start_local_ranks(int count) {
  // Between each two a pair of sockets, of which each keeps its own end.
  const auto n = static_cast<size_t>(count);
  std::vector<std::vector<FileDescriptor>> ends(n);
  for (auto& row : ends) row.resize(n);
  for (size_t a = 0; a < n; ++a) {
    for (size_t b = a + 1; b < n; ++b) {
      std::array<int, 2> pair{};
      if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0)
        return io_error("cannot connect {} processes: {}", count, std::strerror(errno));
      ends[a][b] = FileDescriptor(pair[0]);
      ends[b][a] = FileDescriptor(pair[1]);
    }
  }
  const pid_t first = getpid();
  std::vector<Child> children;
  for (size_t k = 1; k < n; ++k) {
    const pid_t pid = fork();
    if (pid < 0) {
      const int reason = errno;
      for (const Child& child : children) kill(child.pid, SIGKILL);
      return io_error("cannot start process {} of {}: {}", k + 1, count, std::strerror(reason));
    }
    if (pid == 0) {
      std::vector<FileDescriptor> own = std::move(ends[k]);
      ends.clear();
      return Ranks(std::make_shared<LocalTransport>(static_cast<int>(k), first, std::move(own),
                                                    std::vector<Child>()));
    }
    children.push_back({.pid = pid, .status = {}});
  }
  std::vector<FileDescriptor> own = std::move(ends[0]);
  ends.clear();
  return Ranks(std::make_shared<LocalTransport>(0, first, std::move(own), std::move(children)));
}

}  // namespace ito
