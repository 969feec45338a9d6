#include "coordinator/client/exit_codes.h"

namespace tanren::coordinator {

int ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kDone;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return kUnreachable;
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return kNotAllowed;
    case absl::StatusCode::kResourceExhausted:
      return kTryLater;
    default:
      return kWrongUse;
  }
}

}  // namespace tanren::coordinator
