#include "runtime/comm/tcp_meeting.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "runtime/base/error.h"

namespace tanren::comm {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::array<char, 8> kMagic = {'T', 'A', 'N', 'R', 'M', 'T', 'G', '1'};
constexpr milliseconds kRetry{50};
// Rank 0 tells who is missing when the time is up; the others stay that much longer to hear it.
constexpr milliseconds kTimeToTell{5000};
// Connections that haven't said who they are: more than ranks can be strangers only.
constexpr size_t kMostStrangers = 64;

// What a rank says first. All ranks run on the same kind of machine, so bytes are as they lie.
struct Hello {
  std::array<char, 8> magic = kMagic;
  int32_t rank = 0;
  int32_t size = 0;
  std::array<char, 64> job{};
};
// The answer's head; `length` bytes follow: the text, or why there is none.
struct Answer {
  std::array<char, 8> magic = kMagic;
  uint32_t is_error = 0;
  uint32_t length = 0;
};

class Socket {
 public:
  explicit Socket(int descriptor = -1) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Socket() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  int get() const { return descriptor_; }
  bool ok() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

int LeftMs(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1'000'000'000));
}

bool WaitFor(const Socket& socket, short events, Clock::time_point deadline) {
  pollfd wait{socket.get(), events, 0};
  return poll(&wait, 1, LeftMs(deadline)) == 1;
}

// Both on a socket that doesn't block; false if the other end went away or the time ran out.
bool SendAll(const Socket& socket, const void* data, size_t size, Clock::time_point deadline) {
  const auto* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t sent = send(socket.get(), at, size, MSG_NOSIGNAL);
    if (sent > 0) {
      at += sent;
      size -= static_cast<size_t>(sent);
    } else if (errno == EAGAIN) {
      if (!WaitFor(socket, POLLOUT, deadline)) return false;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

bool ReceiveAll(const Socket& socket, void* data, size_t size, Clock::time_point deadline) {
  auto* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t got = recv(socket.get(), at, size, 0);
    if (got > 0) {
      at += got;
      size -= static_cast<size_t>(got);
    } else if (got < 0 && errno == EAGAIN) {
      if (!WaitFor(socket, POLLIN, deadline)) return false;
    } else if (got == 0 || errno != EINTR) {
      return false;
    }
  }
  return true;
}

void SendAnswer(const Socket& socket, bool is_error, std::string_view text,
                Clock::time_point deadline) {
  Answer answer;
  answer.is_error = is_error;
  answer.length = static_cast<uint32_t>(text.size());
  if (SendAll(socket, &answer, sizeof(answer), deadline)) {
    SendAll(socket, text.data(), text.size(), deadline);
  }
}

void SetJob(Hello& hello, const std::string& job) {
  std::memcpy(hello.job.data(), job.data(), std::min(job.size(), hello.job.size() - 1));
}

std::string JobOf(const Hello& hello) {
  return std::string(hello.job.data(), strnlen(hello.job.data(), hello.job.size()));
}

// Rank 0's side: who came, and who is still saying hello.
class Host {
 public:
  explicit Host(const LaunchedRank& launched) : launched_(launched) { SetJob(own_, launched.job); }

  absl::Status Listen() {
    socket_ = Socket(socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_in6 any6{};
    any6.sin6_family = AF_INET6;
    any6.sin6_port = htons(static_cast<uint16_t>(launched_.port));
    if (socket_.ok()) {
      const int off = 0;
      setsockopt(socket_.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
      if (Bind(reinterpret_cast<sockaddr*>(&any6), sizeof(any6))) return absl::OkStatus();
    }
    // A kernel without IPv6.
    socket_ = Socket(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_in any4{};
    any4.sin_family = AF_INET;
    any4.sin_port = htons(static_cast<uint16_t>(launched_.port));
    if (socket_.ok() && Bind(reinterpret_cast<sockaddr*>(&any4), sizeof(any4))) {
      return absl::OkStatus();
    }
    return absl::UnavailableError(
        fmt::format("rank 0 can't listen on port {}: {}", launched_.port, std::strerror(errno)));
  }

  absl::Status Gather(Clock::time_point deadline, milliseconds timeout) {
    while (static_cast<int>(ranks_.size()) < launched_.size - 1) {
      std::vector<pollfd> waits = {{socket_.get(), POLLIN, 0}};
      for (const Stranger& stranger : strangers_) {
        waits.push_back({stranger.socket.get(), POLLIN, 0});
      }
      const int ready = poll(waits.data(), waits.size(), LeftMs(deadline));
      if (ready == 0) return Late(timeout);
      if (ready < 0) continue;
      for (size_t i = waits.size() - 1; i > 0; --i) {
        if (waits[i].revents != 0) TANREN_RETURN_IF_ERROR(Hear(i - 1));
      }
      if (waits[0].revents != 0) Accept();
    }
    return absl::OkStatus();
  }

  void Tell(bool is_error, std::string_view text, Clock::time_point deadline) {
    for (const auto& [rank, socket] : ranks_) SendAnswer(socket, is_error, text, deadline);
  }

 private:
  struct Stranger {
    Socket socket;
    Hello hello;
    size_t received = 0;
  };

  bool Bind(const sockaddr* address, socklen_t size) {
    const int on = 1;
    setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    return bind(socket_.get(), address, size) == 0 && listen(socket_.get(), SOMAXCONN) == 0;
  }

  void Accept() {
    Socket came(accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!came.ok()) return;
    // The oldest has had its time.
    if (strangers_.size() >= kMostStrangers) strangers_.erase(strangers_.begin());
    strangers_.push_back({std::move(came), {}, 0});
  }

  // Takes what stranger `i` says; a whole hello makes it a rank, or an error.
  absl::Status Hear(size_t i) {
    Stranger& stranger = strangers_[i];
    const ssize_t got =
        recv(stranger.socket.get(), reinterpret_cast<char*>(&stranger.hello) + stranger.received,
             sizeof(Hello) - stranger.received, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return absl::OkStatus();
    if (got > 0) stranger.received += static_cast<size_t>(got);
    const size_t magic = std::min(stranger.received, kMagic.size());
    if (got <= 0 || std::memcmp(stranger.hello.magic.data(), kMagic.data(), magic) != 0) {
      strangers_.erase(strangers_.begin() + static_cast<ptrdiff_t>(i));
      return absl::OkStatus();
    }
    if (stranger.received < sizeof(Hello)) return absl::OkStatus();
    const Hello hello = stranger.hello;
    Socket socket = std::move(stranger.socket);
    strangers_.erase(strangers_.begin() + static_cast<ptrdiff_t>(i));
    if (JobOf(hello) != JobOf(own_)) {
      // Another launch that has the same port: its trouble, not ours.
      SendAnswer(socket, true,
                 fmt::format("this is the meeting of job '{}', not of job '{}'", JobOf(own_),
                             JobOf(hello)),
                 Clock::now());
      return absl::OkStatus();
    }
    const absl::Status welcome = Welcome(hello);
    // One of them is to hear why, too.
    const int key = welcome.ok() ? hello.rank : -1 - static_cast<int>(ranks_.size());
    ranks_.emplace(key, std::move(socket));
    return welcome;
  }

  absl::Status Welcome(const Hello& hello) const {
    if (hello.size != launched_.size) {
      return absl::InvalidArgumentError(
          fmt::format("rank {} was started as one of {} ranks, rank 0 as one of {}", hello.rank,
                      hello.size, launched_.size));
    }
    if (hello.rank <= 0 || hello.rank >= launched_.size) {
      return absl::InvalidArgumentError(
          fmt::format("a rank calls itself {} of {}", hello.rank, hello.size));
    }
    if (ranks_.contains(hello.rank)) {
      return absl::InvalidArgumentError(
          fmt::format("two processes were started as rank {}", hello.rank));
    }
    return absl::OkStatus();
  }

  absl::Status Late(milliseconds timeout) const {
    std::vector<int> missing;
    for (int rank = 1; rank < launched_.size && missing.size() < 8; ++rank) {
      if (!ranks_.contains(rank)) missing.push_back(rank);
    }
    return absl::DeadlineExceededError(fmt::format(
        "{} of {} ranks did not come to {}:{} within {} s, among them rank {}",
        launched_.size - 1 - static_cast<int>(ranks_.size()), launched_.size, launched_.host,
        launched_.port, static_cast<double>(timeout.count()) / 1000, fmt::join(missing, ", ")));
  }

  const LaunchedRank& launched_;
  Hello own_;
  Socket socket_;
  std::vector<Stranger> strangers_;
  std::map<int, Socket> ranks_;
};

// A connection to rank 0; none if it isn't there (yet), and then `why` says so.
Socket Connect(const LaunchedRank& launched, Clock::time_point deadline, std::string& why) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* addresses = nullptr;
  const int error =
      getaddrinfo(launched.host.c_str(), std::to_string(launched.port).c_str(), &hints, &addresses);
  if (error != 0) {
    why = gai_strerror(error);
    return Socket();
  }
  absl::Cleanup free_addresses = [&] { freeaddrinfo(addresses); };
  for (const addrinfo* address = addresses; address != nullptr; address = address->ai_next) {
    Socket made(socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!made.ok()) continue;
    int failure = 0;
    if (connect(made.get(), address->ai_addr, address->ai_addrlen) != 0) {
      failure = errno;
      if (failure == EINPROGRESS && WaitFor(made, POLLOUT, deadline)) {
        socklen_t size = sizeof(failure);
        getsockopt(made.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
      }
    }
    if (failure == 0) return made;
    why = std::strerror(failure);
  }
  return Socket();
}

absl::StatusOr<std::string> Visit(const LaunchedRank& launched, Clock::time_point deadline,
                                  milliseconds timeout) {
  Hello hello;
  hello.rank = launched.rank;
  hello.size = launched.size;
  SetJob(hello, launched.job);
  std::string why = "no time was left";
  while (Clock::now() < deadline) {
    const Socket socket = Connect(launched, deadline, why);
    Answer answer;
    if (socket.ok() && SendAll(socket, &hello, sizeof(hello), deadline) &&
        ReceiveAll(socket, &answer, sizeof(answer), deadline + kTimeToTell)) {
      if (answer.magic != kMagic || answer.length > kMostSharedBytes) {
        return absl::InvalidArgumentError(
            fmt::format("what listens on {}:{} is not rank 0", launched.host, launched.port));
      }
      std::string text(answer.length, '\0');
      if (ReceiveAll(socket, text.data(), text.size(), deadline + kTimeToTell)) {
        if (answer.is_error == 0) return text;
        return absl::InvalidArgumentError(fmt::format("rank 0 says: {}", text));
      }
    }
    if (socket.ok()) why = "the connection was closed before all ranks had come";
    std::this_thread::sleep_for(std::min(kRetry, milliseconds(LeftMs(deadline))));
  }
  return absl::DeadlineExceededError(
      fmt::format("rank {} had no answer from rank 0 at {}:{} within {} s: {}", launched.rank,
                  launched.host, launched.port, static_cast<double>(timeout.count()) / 1000, why));
}

}  // namespace

absl::StatusOr<std::string> ShareFromRankZero(const LaunchedRank& launched, std::string_view text,
                                              milliseconds timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  if (launched.rank != 0) return Visit(launched, deadline, timeout);
  if (text.size() > kMostSharedBytes) {
    return absl::InvalidArgumentError(
        fmt::format("{} bytes are to be shared, at most {} can be", text.size(), kMostSharedBytes));
  }
  if (launched.size == 1) return std::string(text);
  Host host(launched);
  TANREN_RETURN_IF_ERROR(host.Listen());
  const absl::Status gathered = host.Gather(deadline, timeout);
  if (gathered.ok()) {
    host.Tell(false, text, Clock::now() + kTimeToTell);
    return std::string(text);
  }
  host.Tell(true, std::string(gathered.message().data(), gathered.message().size()),
            Clock::now() + kTimeToTell);
  return gathered;
}

}  // namespace tanren::comm
