// The parts of `tanren admin`.
#ifndef TANREN_COORDINATOR_CLIENT_ADMIN_COMMANDS_H_
#define TANREN_COORDINATOR_CLIENT_ADMIN_COMMANDS_H_

#include "coordinator/client/commands.h"

namespace tanren::coordinator {

// token, init-tls, restore.
void AddAdminSecurity(CLI::App& admin, const CommonOptions& common, Action& action);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_CLIENT_ADMIN_COMMANDS_H_
