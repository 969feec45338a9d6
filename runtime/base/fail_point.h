// Named places in the programs where a test can make a process die, stop, wait or fail, chosen
// from outside:
//   TANREN_FAIL_POINT="store.before_commit:kill@3,agent.reported:wait=500"
// An entry is NAME:ACTION, with @N only the N-th time that the place is reached (from 1), else each
// time. Actions:
//   kill      SIGKILL to this process
//   stop      SIGSTOP to this process: goes on at SIGCONT
//   wait=MS   goes on after so many milliseconds
//   hold=FILE goes on when that file (an absolute path) is there
//   error     the place fails with kInternal
// A text that isn't of this form ends the program at its start with code 2: a test that names
// something wrongly mustn't pass because nothing happened.
#ifndef TANREN_RUNTIME_BASE_FAIL_POINT_H_
#define TANREN_RUNTIME_BASE_FAIL_POINT_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace tanren {

namespace internal {
extern std::atomic<bool> fail_points_are_set;
std::string NumberedName(std::string_view name, int64_t number);
absl::Status ReachFailPoint(std::string_view name, const std::function<bool()>& let_go);
}  // namespace internal

// To be called at the place `name` ("part.what_happens"). One branch where nothing is set. Any
// thread. Not OK only for the action "error"; a place that can't fail ignores the result.
inline absl::Status FailPoint(std::string_view name) {
  if (!internal::fail_points_are_set.load(std::memory_order_relaxed)) return absl::OkStatus();
  return internal::ReachFailPoint(name, nullptr);
}

// The same at a place that is passed many times, each of which has a name: "training.step_11". A
// hold ends, too, once `let_go` says so.
inline absl::Status FailPoint(std::string_view name, int64_t number,
                              const std::function<bool()>& let_go) {
  if (!internal::fail_points_are_set.load(std::memory_order_relaxed)) return absl::OkStatus();
  return internal::ReachFailPoint(internal::NumberedName(name, number), let_go);
}

// Replaces what is set, and counts from the start; empty sets nothing. For tests within a process:
// programs take the environment's. kInvalidArgument names the entry.
absl::Status SetFailPoints(std::string_view text);

}  // namespace tanren

#endif  // TANREN_RUNTIME_BASE_FAIL_POINT_H_
