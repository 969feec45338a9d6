// The end of a streaming call that wasn't let in.
#ifndef TANREN_COORDINATOR_SERVER_REFUSED_STREAM_H_
#define TANREN_COORDINATOR_SERVER_REFUSED_STREAM_H_

#include "grpcpp/support/server_callback.h"

namespace tanren::coordinator {

// `Reactor` is gRPC's; deletes itself.
template <typename Reactor>
class RefusedStream final : public Reactor {
 public:
  explicit RefusedStream(const grpc::Status& status) { this->Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_REFUSED_STREAM_H_
