// The service that agents call.
#ifndef TANREN_COORDINATOR_SERVER_AGENTS_SERVICE_H_
#define TANREN_COORDINATOR_SERVER_AGENTS_SERVICE_H_

#include "coordinator/server/agent_identity.h"
#include "coordinator/server/coordinator_parts.h"
#include "proto/coordinator.grpc.pb.h"

namespace tanren::coordinator {

class AgentsService final : public Agents::CallbackService {
 public:
  explicit AgentsService(const CoordinatorParts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* Hello(grpc::CallbackServerContext* context, const HelloRequest* request,
                                  HelloReply* reply) override;
  grpc::ServerBidiReactor<AgentMessage, CoordinatorMessage>* Serve(
      grpc::CallbackServerContext* context) override;

 private:
  const CoordinatorParts parts_;
  RefusedAgents refused_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_AGENTS_SERVICE_H_
