// The tokens that a new coordinator begins with.
#ifndef TANREN_COORDINATOR_SERVER_FIRST_TOKENS_H_
#define TANREN_COORDINATOR_SERVER_FIRST_TOKENS_H_

#include <filesystem>

#include "absl/status/status.h"
#include "coordinator/server/credentials.h"
#include "coordinator/store/store.h"

namespace tanren::coordinator {

// Where there is no token yet: makes one of an administrator, who is the user that this process
// runs as, and one of an agent, and leaves them as <folder>/admin.token and <folder>/agent.token,
// mode 0600.
absl::Status MakeFirstTokens(Credentials& credentials, Store& store,
                             const std::filesystem::path& folder);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_FIRST_TOKENS_H_
