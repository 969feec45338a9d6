// What `tanren` ends with, for scripts.
#ifndef TANREN_COORDINATOR_CLIENT_EXIT_CODES_H_
#define TANREN_COORDINATOR_CLIENT_EXIT_CODES_H_

#include "absl/status/status.h"

namespace tanren::coordinator {

inline constexpr int kDone = 0;
inline constexpr int kWrongUse = 1;  // an option, a recipe, a job that isn't there or can't do that
inline constexpr int kJobFailed = 2;    // with --wait or --follow: the job failed or was cancelled
inline constexpr int kUnreachable = 3;  // no coordinator, or it can't answer now
inline constexpr int kNotAllowed = 4;   // the token isn't known, or may not do that
inline constexpr int kTryLater = 5;     // a quota or a full queue

inline constexpr char kExitCodes[] =
    "Exit codes: 0 done; 1 wrong use (an option, a recipe, a job that isn't there); 2 with --wait "
    "or "
    "--follow: the job failed or was cancelled; 3 the coordinator can't be reached or can't answer "
    "now; 4 the token may not do that; 5 a quota or a full queue: try later.";

int ExitCodeOf(const absl::Status& status);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_CLIENT_EXIT_CODES_H_
