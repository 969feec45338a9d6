#include "coordinator/server/agents_service.h"

#include <memory>

#include "coordinator/server/agent_stream.h"
#include "coordinator/server/hello.h"
#include "coordinator/server/refused_stream.h"
#include "coordinator/wire/channel.h"

namespace tanren::coordinator {

grpc::ServerUnaryReactor* AgentsService::Hello(grpc::CallbackServerContext* context,
                                               const HelloRequest* request, HelloReply* reply) {
  return AnswerHello(parts_, "Agents.Hello", context, request, reply);
}

AgentReactor* AgentsService::Serve(grpc::CallbackServerContext* context) {
  const absl::StatusOr<Caller> caller = parts_.admission.Admit(*context, "Agents.Serve");
  if (!caller.ok()) return new RefusedStream<AgentReactor>(ToGrpc(caller.status()));
  auto stream =
      std::make_shared<AgentStream>(context, parts_, IdentityOf(*context, *caller), refused_);
  if (const absl::Status added = parts_.streams.Add(stream, *caller); !added.ok()) {
    return new RefusedStream<AgentReactor>(ToGrpc(added));
  }
  stream->Begin();
  return stream.get();
}

}  // namespace tanren::coordinator
