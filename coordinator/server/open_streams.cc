#include "coordinator/server/open_streams.h"

#include <utility>

namespace tanren::coordinator {

bool OpenStreams::Add(std::shared_ptr<OpenStream> stream) {
  const std::lock_guard lock(mutex_);
  if (closed_ || streams_.size() >= limit_) return false;
  OpenStream* const key = stream.get();
  streams_.emplace(key, std::move(stream));
  return true;
}

void OpenStreams::Remove(OpenStream* stream) {
  std::shared_ptr<OpenStream> removed;  // destroyed without the lock
  const std::lock_guard lock(mutex_);
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  removed = std::move(found->second);
  streams_.erase(found);
}

std::vector<std::shared_ptr<OpenStream>> OpenStreams::All() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<OpenStream>> all;
  all.reserve(streams_.size());
  for (const auto& [key, stream] : streams_) all.push_back(stream);
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

}  // namespace tanren::coordinator
