// How handlers of single requests answer.
#ifndef TANREN_COORDINATOR_SERVER_UNARY_CALL_H_
#define TANREN_COORDINATOR_SERVER_UNARY_CALL_H_

#include <utility>

#include "coordinator/server/loop.h"
#include "coordinator/wire/channel.h"
#include "grpcpp/support/server_callback.h"

namespace tanren::coordinator {

// Answers with an error.
inline grpc::ServerUnaryReactor* Refuse(grpc::ServerUnaryReactor* reactor,
                                        const absl::Status& status) {
  reactor->Finish(ToGrpc(status));
  return reactor;
}

// `fill` is called on the loop's thread with the durable state, and says how the call ends. What it
// fills may be used until then, whatever becomes of the caller.
template <typename Fill>
grpc::ServerUnaryReactor* AnswerFromView(Loop& loop, grpc::ServerUnaryReactor* reactor, Fill fill) {
  const absl::Status posted = loop.Read(
      [reactor, fill = std::move(fill)](const absl::Status& status, const View* view) mutable {
        reactor->Finish(ToGrpc(status.ok() ? fill(*view) : status));
      });
  if (!posted.ok()) reactor->Finish(ToGrpc(posted));
  return reactor;
}

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_UNARY_CALL_H_
