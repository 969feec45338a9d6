// A call that changes something: who asked for it and how it ended stands in the audit.
#ifndef TANREN_COORDINATOR_SERVER_CHANGE_CALL_H_
#define TANREN_COORDINATOR_SERVER_CHANGE_CALL_H_

#include <string>
#include <string_view>
#include <utility>

#include "coordinator/server/audit.h"
#include "coordinator/server/coordinator_parts.h"
#include "grpcpp/support/server_callback.h"

namespace tanren::coordinator {

// Ends once, by Finish; copies are the same call.
class ChangeCall {
 public:
  // `target` is what it is about: "job 17".
  ChangeCall(const CoordinatorParts& parts, grpc::CallbackServerContext* context,
             std::string_view method, std::string target, std::string request_id);

  // Who calls, if they may and the request id is one. Otherwise the call is to be finished with
  // the error.
  absl::StatusOr<Caller> Admit();
  // The method's rule alone.
  absl::StatusOr<Caller> AdmitWithoutRequestId();

  void SetTarget(std::string target) { entry_.target = std::move(target); }
  grpc::ServerUnaryReactor* reactor() const { return reactor_; }
  // Writes the audit, and answers. The reactor, for a handler to return.
  grpc::ServerUnaryReactor* Finish(const absl::Status& status);

 private:
  const Admission* admission_;
  AuditLog* audit_;  // may be null
  grpc::CallbackServerContext* context_;
  grpc::ServerUnaryReactor* reactor_;
  AuditEntry entry_;
};

// Posts the change; `fill` is called once it is durable, before the answer goes out.
template <typename Fill>
grpc::ServerUnaryReactor* AnswerChange(Loop& loop, ChangeCall call, Input input, Fill fill) {
  const absl::Status posted =
      loop.Post(std::move(input), [call, fill = std::move(fill)](const Answer& answer) mutable {
        if (answer.status.ok()) fill(answer, call);
        call.Finish(answer.status);
      });
  if (!posted.ok()) call.Finish(posted);
  return call.reactor();
}

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_CHANGE_CALL_H_
