#include "coordinator/server/open_streams.h"

#include <algorithm>
#include <utility>

#include "coordinator/wire/channel.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

constexpr size_t kUsersShare = 4;

}  // namespace

absl::Status OpenStreams::Add(std::shared_ptr<OpenStream> stream, const Caller& caller) {
  const std::string owner = caller.Has(CallerRole::kAgent) ? "" : caller.user;
  const std::lock_guard lock(mutex_);
  if (closed_) return absl::UnavailableError("the coordinator is going down");
  const auto agents = owned_.find("");
  const size_t of_agents = agents == owned_.end() ? 0 : agents->second;
  const size_t of_kind = owner.empty() ? of_agents : streams_.size() - of_agents;
  if (of_kind >= limit_) {
    return absl::ResourceExhaustedError(fmt::format("{} streams are open already", of_kind));
  }
  size_t& own = owned_[owner];
  if (!owner.empty() && own >= std::max<size_t>(limit_ / kUsersShare, 1)) {
    return absl::ResourceExhaustedError(fmt::format("{} has {} streams open already", owner, own));
  }
  ++own;
  OpenStream* const key = stream.get();
  streams_.emplace(key, Entry{std::move(stream), owner, caller.token});
  return absl::OkStatus();
}

void OpenStreams::Remove(OpenStream* stream) {
  std::shared_ptr<OpenStream> removed;  // destroyed without the lock
  const std::lock_guard lock(mutex_);
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  removed = std::move(found->second.stream);
  if (const auto own = owned_.find(found->second.owner); --own->second == 0) owned_.erase(own);
  streams_.erase(found);
}

std::vector<std::shared_ptr<OpenStream>> OpenStreams::All() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<OpenStream>> all;
  all.reserve(streams_.size());
  for (const auto& [key, entry] : streams_) all.push_back(entry.stream);
  return all;
}

size_t OpenStreams::size() const {
  const std::lock_guard lock(mutex_);
  return streams_.size();
}

void OpenStreams::EndAll(const grpc::Status& status) {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  for (const auto& stream : All()) stream->End(status);
}

void OpenStreams::CancelAll() {
  for (const auto& stream : All()) stream->Cancel();
}

void OpenStreams::EndUnlessGood(
    const std::function<absl::Status(const std::string& token)>& standing) {
  std::vector<std::pair<std::shared_ptr<OpenStream>, absl::Status>> ended;
  {
    const std::lock_guard lock(mutex_);
    std::map<std::string, absl::Status> of_token;
    for (const auto& [key, entry] : streams_) {
      const auto [known, added] = of_token.try_emplace(entry.token);
      if (added) known->second = standing(entry.token);
      if (!known->second.ok()) ended.emplace_back(entry.stream, known->second);
    }
  }
  for (const auto& [stream, status] : ended) {
    stream->End(ToGrpc(status));
    stream->Cancel();  // should it take nothing
  }
}

}  // namespace tanren::coordinator
