// The coordinator's log: a line for each change of a job, a node or the history.
#ifndef TANREN_COORDINATOR_SERVER_TRANSITION_LOG_H_
#define TANREN_COORDINATOR_SERVER_TRANSITION_LOG_H_

#include <string>

#include "proto/history.pb.h"

namespace tanren::coordinator {

// "job 17: placed on t1, t2 (attempt 2)". Safe on a terminal.
std::string TransitionText(const HistoryEvent& event);

void LogTransition(const HistoryEvent& event);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_TRANSITION_LOG_H_
