// How a connection begins: whether both ends understand each other, and who the caller is.
#ifndef TANREN_COORDINATOR_SERVER_HELLO_H_
#define TANREN_COORDINATOR_SERVER_HELLO_H_

#include <string_view>

#include "coordinator/server/coordinator_parts.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

// Answers `method`'s Hello. FAILED_PRECONDITION for a protocol that this version doesn't speak,
// with both versions and which end is to be upgraded.
grpc::ServerUnaryReactor* AnswerHello(const CoordinatorParts& parts, std::string_view method,
                                      grpc::CallbackServerContext* context,
                                      const HelloRequest* request, HelloReply* reply);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_HELLO_H_
