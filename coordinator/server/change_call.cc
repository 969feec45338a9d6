#include "coordinator/server/change_call.h"

#include "coordinator/state/spec_check.h"
#include "coordinator/wire/channel.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"

namespace tanren::coordinator {

ChangeCall::ChangeCall(const CoordinatorParts& parts, grpc::CallbackServerContext* context,
                       std::string_view method, std::string target, std::string request_id)
    : admission_(&parts.admission),
      audit_(parts.audit),
      context_(context),
      reactor_(context->DefaultReactor()) {
  entry_.method = method;
  entry_.target = std::move(target);
  entry_.request_id = std::move(request_id);
}

absl::StatusOr<Caller> ChangeCall::AdmitWithoutRequestId() {
  absl::StatusOr<Caller> caller = admission_->Admit(*context_, entry_.method);
  if (caller.ok()) entry_.user = caller->user;
  return caller;
}

absl::StatusOr<Caller> ChangeCall::Admit() {
  TANREN_ASSIGN_OR_RETURN(Caller caller, AdmitWithoutRequestId());
  TANREN_RETURN_IF_ERROR(CheckRequestId(entry_.request_id));
  return caller;
}

grpc::ServerUnaryReactor* ChangeCall::Finish(const absl::Status& status) {
  if (audit_ != nullptr) {
    entry_.time_ms = SystemNow().wall_ms;
    entry_.outcome = status;
    const absl::Status written = audit_->Append(entry_);
    if (!written.ok()) LogError("audit: {}", std::string(written.message()));
  }
  reactor_->Finish(ToGrpc(status));
  return reactor_;
}

}  // namespace tanren::coordinator
