// What of a job, or of a node, its viewers may see.
#ifndef TANREN_COORDINATOR_SERVER_SHOWN_JOB_H_
#define TANREN_COORDINATOR_SERVER_SHOWN_JOB_H_

#include "coordinator/server/credentials.h"
#include "proto/history.pb.h"
#include "proto/job.pb.h"

namespace tanren::coordinator {

// The values of a job's environment may be secrets: others than its user and administrators get
// the names alone.
void HideSecrets(const Caller& caller, Job& job);
void HideSecrets(const Caller& caller, HistoryEvent& event);
// What an agent's key is known by is the coordinator's alone.
void HideSecrets(Node& node);

// Leaves out what makes a list long: the recipe's text, attempts before the last, ends of logs.
void ShortenForList(Job& job);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_SHOWN_JOB_H_
