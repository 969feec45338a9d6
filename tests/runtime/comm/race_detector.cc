#include "tests/runtime/comm/race_detector.h"

#include <algorithm>

#include "fmt/format.h"

namespace tanren::comm {
namespace {

std::string NameOf(int stream, std::string_view what) {
  if (stream == RaceDetector::kComputation) return fmt::format("the computation's {}", what);
  return fmt::format("{} on stream {}", what, stream);
}

}  // namespace

bool RaceDetector::Before(const Use& use, const Clock& clock) {
  return static_cast<size_t>(use.stream) < clock.size() && use.time <= clock[use.stream];
}

void RaceDetector::Merge(Clock& clock, const Clock& other) {
  if (clock.size() < other.size()) clock.resize(other.size());
  for (size_t i = 0; i < other.size(); ++i) clock[i] = std::max(clock[i], other[i]);
}

int RaceDetector::NewStream() {
  std::lock_guard lock(mutex_);
  const size_t stream = clocks_.size();
  clocks_.emplace_back(stream + 1);
  return static_cast<int>(stream);
}

void RaceDetector::Access(int stream, const void* data, int64_t bytes, Kind kind,
                          std::string_view what) {
  if (bytes <= 0) return;
  std::lock_guard lock(mutex_);
  const auto begin = reinterpret_cast<uintptr_t>(data);
  const uintptr_t end = begin + static_cast<uintptr_t>(bytes);
  Clock& clock = clocks_[stream];
  for (const Use& use : uses_) {
    const bool overlap = use.begin < end && begin < use.end;
    const bool conflict = use.kind == Kind::kWrite || kind == Kind::kWrite;
    if (!overlap || !conflict || use.stream == stream || Before(use, clock)) continue;
    races_.push_back(fmt::format("{} {} what {} may still {}", NameOf(stream, what),
                                 kind == Kind::kRead ? "reads" : "overwrites",
                                 NameOf(use.stream, use.what),
                                 use.kind == Kind::kRead ? "read" : "write"));
  }
  // What the stream did to the same place before is covered by what it does now, unless it wrote.
  std::erase_if(uses_, [&](const Use& use) {
    return use.stream == stream && begin <= use.begin && use.end <= end &&
           (use.kind == Kind::kRead || kind == Kind::kWrite);
  });
  uses_.push_back({begin, end, stream, ++clock[stream], kind, std::string(what)});
}

void RaceDetector::Record(const void* event, int stream) {
  std::lock_guard lock(mutex_);
  events_[event] = clocks_[stream];
}

void RaceDetector::Wait(int stream, const void* event) {
  std::lock_guard lock(mutex_);
  Merge(clocks_[stream], events_[event]);
}

void RaceDetector::SeenByHost(const void* event) {
  std::lock_guard lock(mutex_);
  Merge(host_, events_[event]);
}

void RaceDetector::Free(const void* data, int64_t bytes) {
  std::lock_guard lock(mutex_);
  const auto begin = reinterpret_cast<uintptr_t>(data);
  const uintptr_t end = begin + static_cast<uintptr_t>(bytes);
  Clock known = clocks_[kComputation];
  Merge(known, host_);
  for (const Use& use : uses_) {
    if (use.begin >= end || begin >= use.end || Before(use, known)) continue;
    races_.push_back(fmt::format("memory is given back that {} may still {}",
                                 NameOf(use.stream, use.what),
                                 use.kind == Kind::kRead ? "read" : "write"));
  }
  std::erase_if(uses_, [&](const Use& use) { return use.begin < end && begin < use.end; });
}

std::vector<std::string> RaceDetector::races() const {
  std::lock_guard lock(mutex_);
  return races_;
}

}  // namespace tanren::comm
