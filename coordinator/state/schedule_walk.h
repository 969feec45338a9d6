// Reads many jobs in a row. A cluster's jobs are spread over memory, and a pass waits more for them
// than it reckons: so they are looked up once, and asked for before they are read.
#ifndef TANREN_COORDINATOR_STATE_SCHEDULE_WALK_H_
#define TANREN_COORDINATOR_STATE_SCHEDULE_WALK_H_

#include <cstddef>
#include <set>
#include <span>
#include <vector>

#include "coordinator/state/cluster.h"

namespace tanren::coordinator {

// They are the cluster's.
using JobList = std::vector<const Job*>;

// In the order of `ids`, which are of jobs that there are.
JobList JobsOf(const Cluster& cluster, const std::set<uint64_t>& ids);

// What of a job will be read.
enum class JobPart {
  kOwn,   // its own fields and its spec's
  kRoles  // those, its attempt's, and what its roles ask for
};

// Asks for parts of a job that lie ever deeper; each step reads what the one before asked for.
template <JobPart part>
void Prefetch(const Job& job, int step);
inline constexpr int kPrefetchSteps = 5;

// To be called with each `i` in order: the jobs after number `i` get a step further each.
template <JobPart part>
void PrefetchAfter(std::span<const Job* const> jobs, size_t i) {
  // So many jobs are read while a step is under way.
  constexpr size_t kApart = 4;
  for (int step = 0; step < kPrefetchSteps; ++step) {
    const size_t ahead = i + kApart * (kPrefetchSteps - step);
    if (ahead < jobs.size()) Prefetch<part>(*jobs[ahead], step);
  }
}

// Calls `visit` with each, in order.
template <JobPart part, typename Visit>
void ForEachJob(std::span<const Job* const> jobs, Visit visit) {
  for (size_t i = 0; i < jobs.size(); ++i) {
    PrefetchAfter<part>(jobs, i);
    visit(*jobs[i]);
  }
}

namespace prefetch_internal {

constexpr size_t kCacheLine = 64;

template <typename T>
void Object(const T& object) {
  const char* const begin = reinterpret_cast<const char*>(&object);
  for (size_t at = 0; at < sizeof(T); at += kCacheLine) __builtin_prefetch(begin + at);
}

template <typename T>
void Elements(const google::protobuf::RepeatedPtrField<T>& field) {
  if (!field.empty()) __builtin_prefetch(field.data());
}

}  // namespace prefetch_internal

template <JobPart part>
void Prefetch(const Job& job, int step) {
  using prefetch_internal::Elements;
  using prefetch_internal::Object;
  const auto& roles = job.spec().roles();
  switch (step) {
    case 0:
      Object(job);
      break;
    case 1:
      Object(job.spec());
      if constexpr (part != JobPart::kOwn) Object(job.attempt());
      break;
    case 2:
      if constexpr (part == JobPart::kRoles) {
        Elements(roles);
        __builtin_prefetch(&job.spec().launcher());
      }
      break;
    case 3:
      if constexpr (part == JobPart::kRoles) {
        if (!roles.empty()) Object(roles[0]);
      }
      break;
    default:
      if constexpr (part == JobPart::kRoles) {
        if (!roles.empty()) Object(roles[0].per_rank());
      }
      break;
  }
}

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_SCHEDULE_WALK_H_
