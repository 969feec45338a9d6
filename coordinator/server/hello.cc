#include "coordinator/server/hello.h"

#include <utility>

#include "coordinator/wire/channel.h"
#include "coordinator/wire/protocol.h"
#include "fmt/format.h"
#include "runtime/base/build.h"
#include "runtime/base/terminal.h"

namespace tanren::coordinator {
namespace {

absl::Status CheckProtocol(const HelloRequest& request) {
  // The newer end decides: one that is newer than this may still speak this version.
  // One that doesn't say which it speaks only asks who it is.
  if (request.protocol() == 0 || request.protocol() >= kOldestProtocol) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("version {} (protocol {}) is too old for this coordinator, {} (protocols {} to "
                  "{}): upgrade it",
                  OnOneLine(request.version().substr(0, 64)), request.protocol(), kVersion,
                  kOldestProtocol, kProtocolVersion));
}

}  // namespace

grpc::ServerUnaryReactor* AnswerHello(const CoordinatorParts& parts, std::string_view method,
                                      grpc::CallbackServerContext* context,
                                      const HelloRequest* request, HelloReply* reply) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  absl::StatusOr<Caller> caller = parts.admission.Admit(*context, method);
  absl::Status status = caller.ok() ? CheckProtocol(*request) : caller.status();
  if (status.ok()) {
    reply->set_protocol(kProtocolVersion);
    reply->set_version(kVersion);
    reply->set_user(caller->user);
    for (const std::string& role : caller->roles) reply->add_roles(role);
    if (parts.core_options.allow_commands) reply->add_features("commands");
    status = parts.loop.Read([reactor, reply](const absl::Status& read, const View* view) {
      if (read.ok()) reply->set_epoch(view->core.cluster().epoch);
      reactor->Finish(ToGrpc(read));
    });
  }
  if (!status.ok()) reactor->Finish(ToGrpc(status));
  return reactor;
}

}  // namespace tanren::coordinator
