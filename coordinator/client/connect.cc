#include <memory>

#include "coordinator/client/commands.h"
#include "grpc/grpc.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {

absl::StatusOr<std::unique_ptr<Client>> CommonOptions::Connect() const {
  // Held to the end: gRPC would end its threads one by one when the last of its objects goes.
  static const bool held = (grpc_init(), true);
  static_cast<void>(held);
  TANREN_ASSIGN_OR_RETURN(const Endpoint found, FindEndpoint(endpoint, OwnEnvironment));
  return Client::Open(found, patience);
}

}  // namespace tanren::coordinator
