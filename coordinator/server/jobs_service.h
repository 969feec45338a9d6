// The service that people and their programs call.
#ifndef TANREN_COORDINATOR_SERVER_JOBS_SERVICE_H_
#define TANREN_COORDINATOR_SERVER_JOBS_SERVICE_H_

#include "coordinator/server/coordinator_parts.h"
#include "coordinator/server/status_counts.h"
#include "proto/coordinator.grpc.pb.h"

namespace tanren::coordinator {

class JobsService final : public Jobs::CallbackService {
 public:
  explicit JobsService(const CoordinatorParts& parts) : parts_(parts) {}

  using Context = grpc::CallbackServerContext;
  using Unary = grpc::ServerUnaryReactor;

  Unary* Hello(Context* context, const HelloRequest* request, HelloReply* reply) override;
  Unary* Submit(Context* context, const SubmitRequest* request, SubmitReply* reply) override;
  Unary* Cancel(Context* context, const JobRequest* request, JobReply* reply) override;
  Unary* Hold(Context* context, const JobRequest* request, JobReply* reply) override;
  Unary* Release(Context* context, const JobRequest* request, JobReply* reply) override;
  Unary* Requeue(Context* context, const JobRequest* request, JobReply* reply) override;
  Unary* Get(Context* context, const JobRequest* request, JobReply* reply) override;
  Unary* List(Context* context, const ListJobsRequest* request, ListJobsReply* reply) override;
  Unary* Explain(Context* context, const JobRequest* request, Explanation* reply) override;
  grpc::ServerWriteReactor<HistoryEvent>* Watch(Context* context,
                                                const WatchRequest* request) override;
  grpc::ServerWriteReactor<LogReply>* ReadLog(Context* context, const LogRequest* request) override;
  Unary* ListNodes(Context* context, const ListNodesRequest* request,
                   ListNodesReply* reply) override;
  Unary* Status(Context* context, const StatusRequest* request, StatusReply* reply) override;
  Unary* ListQuotas(Context* context, const ListQuotasRequest* request, QuotaReply* reply) override;

 private:
  // What would happen to the job if it were submitted now.
  Unary* DryRun(Context* context, const SubmitRequest* request, SubmitReply* reply);
  Unary* Change(Context* context, std::string_view method, ChangeJobInput::Kind kind,
                const JobRequest* request, JobReply* reply);

  const CoordinatorParts parts_;
  StatusCounts counts_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_JOBS_SERVICE_H_
