#include "coordinator/client/client.h"

#include <sys/random.h>

#include <algorithm>
#include <cstdint>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

uint64_t RandomWord() {
  uint64_t word = 0;
  // Fails only where the kernel's pool was never filled; then nothing else would do either.
  TANREN_CHECK(getrandom(&word, sizeof(word), 0) == sizeof(word));
  return word;
}

// The call never left this machine.
bool NeverSent(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE &&
         absl::StrContains(status.error_message(), "failed to connect");
}

// It may answer later. (We cancel no call: one that still reaches a server which is shutting down
// is cancelled by that.)
bool IsAway(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE ||
         status.error_code() == grpc::StatusCode::CANCELLED;
}

}  // namespace

std::string NewRequestId() { return fmt::format("{:016x}{:016x}", RandomWord(), RandomWord()); }

std::chrono::milliseconds Backoff::Next() {
  const int64_t half = longest_ms_ / 2;
  const auto wait = half + static_cast<int64_t>(RandomWord() % static_cast<uint64_t>(half + 1));
  longest_ms_ = std::min<int64_t>(longest_ms_ * 2, 1000);
  return std::chrono::milliseconds(wait);
}

Client::Client(Channel channel, const Patience& patience)
    : channel_(std::move(channel)),
      patience_(patience),
      jobs_(Jobs::NewStub(channel_.grpc())),
      admin_(Admin::NewStub(channel_.grpc())) {}

absl::StatusOr<std::unique_ptr<Client>> Client::Open(const Endpoint& endpoint,
                                                     const Patience& patience) {
  TANREN_ASSIGN_OR_RETURN(Channel channel, Channel::Open(endpoint));
  return std::unique_ptr<Client>(new Client(std::move(channel), patience));
}

bool Client::Retries::WaitToTryAgain(const grpc::Status& status) {
  if (!IsAway(status)) return false;
  if (!NeverSent(status)) client_.reached_ = true;
  const double patience =
      client_.reached_ ? client_.patience_.lost_seconds : client_.patience_.unreached_seconds;
  const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - since_;
  const std::chrono::milliseconds wait = backoff_.Next();
  if (waited + wait > std::chrono::duration<double>(patience)) return false;
  client_.WaitForConnection(wait);
  return true;
}

void Client::WaitForConnection(std::chrono::milliseconds wait) {
  grpc::Channel& channel = *channel_.grpc();
  if (channel.GetState(/*try_to_connect=*/true) == GRPC_CHANNEL_READY) {
    std::this_thread::sleep_for(wait);
  } else {
    // A thread that sleeps wouldn't notice what becomes of its connection.
    channel.WaitForConnected(std::chrono::system_clock::now() + wait);
  }
}

void Client::Retries::GotThrough() {
  client_.reached_ = true;
  backoff_ = Backoff();
  since_ = std::chrono::steady_clock::now();
}

absl::Status Client::Try(const std::function<grpc::Status(grpc::ClientContext&)>& call) {
  Retries retries(*this);
  while (true) {
    grpc::ClientContext context;
    channel_.Prepare(context, patience_.answer_seconds);
    const grpc::Status status = call(context);
    if (status.ok()) {
      reached_ = true;
      return absl::OkStatus();
    }
    if (!NeverSent(status)) reached_ = true;
    if (!retries.WaitToTryAgain(status)) return Explain(status);
  }
}

absl::Status Client::Explain(const grpc::Status& status) const {
  const absl::Status plain = FromGrpc(status);
  const std::string& message = status.error_message();
  const std::string& address = endpoint().address;
  if (NeverSent(status)) {
    const bool refused = absl::StrContains(status.error_message(), "Connection refused");
    const std::string help = IsLoopback(address)
                                 ? "start one with `tanren up`, or name another with --coordinator"
                                 : "is it running there, and is the way open?";
    return absl::UnavailableError(
        fmt::format("no coordinator at {}{}: {}", address, refused ? "" : " can be reached", help) +
        (refused ? "" : fmt::format(" ({})", message)));
  }
  switch (plain.code()) {
    case absl::StatusCode::kUnavailable:
      return absl::UnavailableError(
          fmt::format("the coordinator at {} can't answer: {}", address, message));
    case absl::StatusCode::kCancelled:
      return absl::UnavailableError(
          fmt::format("the coordinator at {} can't answer: it is going down", address));
    case absl::StatusCode::kDeadlineExceeded:
      return absl::DeadlineExceededError(fmt::format(
          "the coordinator at {} gave no answer within {} s", address, patience_.answer_seconds));
    case absl::StatusCode::kUnauthenticated:
      return absl::UnauthenticatedError(
          fmt::format("the coordinator at {} doesn't take the token in {}: {}", address,
                      endpoint().token_file.string(), message));
    default:
      return plain;
  }
}

}  // namespace tanren::coordinator
