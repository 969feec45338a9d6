// Lists of jobs and nodes, gathered a slice at a time, so that a long list delays no submission.
#ifndef TANREN_COORDINATOR_SERVER_JOB_PAGES_H_
#define TANREN_COORDINATOR_SERVER_JOB_PAGES_H_

#include "coordinator/server/coordinator_parts.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

// Each job and node is as it was at one moment; two of them may be of different moments. A page
// ends early (`more`) where the message would be longer than half of what may be sent.
void AnswerList(const CoordinatorParts& parts, const Caller& caller, const ListJobsRequest* request,
                ListJobsReply* reply, grpc::ServerUnaryReactor* reactor);

void AnswerListNodes(const CoordinatorParts& parts, ListNodesReply* reply,
                     grpc::ServerUnaryReactor* reactor);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_JOB_PAGES_H_
