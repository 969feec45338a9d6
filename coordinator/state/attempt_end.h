// What the end of one part means for its gang, and the end of an attempt for its job.
#ifndef TANREN_COORDINATOR_STATE_ATTEMPT_END_H_
#define TANREN_COORDINATOR_STATE_ATTEMPT_END_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "proto/job.pb.h"

namespace tanren::coordinator {

// Of what an end tells, in bytes: more is cut.
inline constexpr size_t kLongestEndMessage = 4 << 10;
inline constexpr size_t kLongestLogTail = 8 << 10;

// A part that ends so before it was asked to takes its gang with it.
bool BreaksTheGang(AttemptEnd::Kind kind);

// Whether this end of the part on `node` is the attempt's, as far as is known: the first that
// breaks the gang, else the head's. What parts say once they are being stopped is no cause; but a
// head that finished has finished.
bool SpeaksForTheGang(const Attempt& attempt, const std::string& node, const AttemptEnd& end);

struct AttemptVerdict {
  enum class Next {
    kAgain,  // the job is PENDING, not before `delay_ms` have passed
    kEnd,    // it ends as `state`
    kHold,   // PENDING, held until somebody releases it
  };
  Next next = Next::kAgain;
  AttemptEnd end;  // the attempt's, for good
  int64_t delay_ms = 0;
  int32_t failures = 0;  // the job's, after it
  JobState state = PENDING;
  std::string message;  // of the job's end, or why it is held
  std::string suspect;  // the node whose fault it may be; empty: none
};

// What follows from the end of the job's attempt, of which no part lives. `last_step` is what the
// attempt last told of.
//
// FINISHED                   SUCCEEDED, whatever was asked of it meanwhile
// cancelled by its user      CANCELLED
// time limit                 again at once if it SAVED; else FAILED
// preempted, drained,        again at once
// requeued, fenced
// USER_ERROR                 FAILED
// INFRASTRUCTURE, HUNG,      again after a back-off (that of the first lost node is left out by
//                            the core), as long as the budget of retries lasts; then
// NEVER_STARTED              FAILED, or held if no attempt got to its first step
// SAVED, STOPPED by itself   again; after the first delay unless it published a checkpoint
AttemptVerdict Judge(const Job& job, int64_t last_step);

// Nodes that failed the job since its last checkpoint, each once, those first that did so most
// often: where there is room elsewhere, its next attempt goes there. (A signal may be its own
// program's doing, on any node.)
std::vector<std::string> NodesToAvoid(const Job& job);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_ATTEMPT_END_H_
