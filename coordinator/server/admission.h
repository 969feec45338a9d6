// Who may call what: every handler asks here first.
#ifndef TANREN_COORDINATOR_SERVER_ADMISSION_H_
#define TANREN_COORDINATOR_SERVER_ADMISSION_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/server/credentials.h"
#include "grpcpp/server_context.h"

namespace tanren::coordinator {

// Thread-safe, as Credentials is.
class Admission {
 public:
  explicit Admission(const Credentials& credentials) : credentials_(credentials) {}

  // Who calls `method` ("Jobs.Submit"). kUnauthenticated without a valid token; kPermissionDenied
  // without a role that allows it, and for a method that the table doesn't hold;
  // kInvalidArgument for a call that isn't a stream and has no deadline.
  absl::StatusOr<Caller> Admit(const grpc::CallbackServerContext& context,
                               std::string_view method) const;
  const Credentials& credentials() const { return credentials_; }

 private:
  const Credentials& credentials_;
};

bool IsAdmin(const Caller& caller);

// For people: at most 1000 bytes.
absl::Status CheckReason(const std::string& reason);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_ADMISSION_H_
