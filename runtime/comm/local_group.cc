#include "runtime/comm/local_group.h"

#include <algorithm>

#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::comm {

LocalGroup::LocalGroup(std::shared_ptr<LocalOrigin> origin, std::string name, int size)
    : origin_(std::move(origin)), name_(std::move(name)), entries_(size) {}

void LocalGroup::ThrowIfAborted() const {
  if (origin_->abort_reason.has_value()) throw Error(absl::AbortedError(*origin_->abort_reason));
}

void LocalGroup::CompareEntries() {
  for (const Entry& entry : entries_) {
    if (entry.description != entries_[0].description) {
      mismatch_ = fmt::format("ranks disagree in group '{}': rank 0 calls {}, rank {} calls {}",
                              name_, entries_[0].description, entry.rank, entry.description);
      return;
    }
  }
}

void LocalGroup::Enter(Entry entry) {
  std::unique_lock lock(origin_->mutex);
  ThrowIfAborted();
  const uint64_t before = enters_;
  entries_[entry.rank] = std::move(entry);
  if (++entered_ == size()) {
    entered_ = 0;
    ++enters_;
    places_.clear();
    CompareEntries();
    origin_->changed.notify_all();
  } else {
    origin_->changed.wait(lock,
                          [&] { return enters_ != before || origin_->abort_reason.has_value(); });
    if (enters_ == before) ThrowIfAborted();
  }
  if (!mismatch_.empty()) {
    if (!origin_->abort_reason.has_value()) origin_->abort_reason = mismatch_;
    origin_->changed.notify_all();
    throw Error(absl::InternalError(mismatch_));
  }
}

void LocalGroup::Leave() {
  std::unique_lock lock(origin_->mutex);
  const uint64_t before = leaves_;
  if (++left_ == size()) {
    left_ = 0;
    ++leaves_;
    origin_->changed.notify_all();
  } else {
    origin_->changed.wait(lock, [&] { return leaves_ != before; });
  }
}

void LocalGroup::Post(int from, int to, Message message) {
  std::lock_guard lock(origin_->mutex);
  ThrowIfAborted();
  mail_[{from, to}].push_back(std::move(message));
  origin_->changed.notify_all();
}

LocalGroup::Message LocalGroup::Take(int from, int to) {
  std::unique_lock lock(origin_->mutex);
  std::deque<Message>& queue = mail_[{from, to}];
  origin_->changed.wait(lock, [&] { return !queue.empty() || origin_->abort_reason.has_value(); });
  ThrowIfAborted();
  Message message = std::move(queue.front());
  queue.pop_front();
  return message;
}

LocalGroup::Place LocalGroup::Split(int rank) {
  std::lock_guard lock(origin_->mutex);
  if (places_.empty()) {
    places_.resize(size());
    std::map<int, std::vector<const Entry*>> colors;
    for (const Entry& entry : entries_) colors[entry.color].push_back(&entry);
    for (auto& [color, members] : colors) {
      std::stable_sort(members.begin(), members.end(),
                       [](const Entry* a, const Entry* b) { return a->key < b->key; });
      const auto group = std::make_shared<LocalGroup>(origin_, members[0]->new_name,
                                                      static_cast<int>(members.size()));
      for (size_t i = 0; i < members.size(); ++i) {
        places_[members[i]->rank] = {group, static_cast<int>(i)};
      }
    }
  }
  return places_[rank];
}

void LocalGroup::Abort(std::string_view reason) {
  std::lock_guard lock(origin_->mutex);
  if (!origin_->abort_reason.has_value()) origin_->abort_reason = std::string(reason);
  origin_->changed.notify_all();
}

}  // namespace tanren::comm
