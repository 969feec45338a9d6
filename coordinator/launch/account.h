// The user that a job's processes run as.
#ifndef TANREN_COORDINATOR_LAUNCH_ACCOUNT_H_
#define TANREN_COORDINATOR_LAUNCH_ACCOUNT_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tanren::coordinator {

struct Account {
  std::string name;
  std::string home;
};

struct UserIds {
  Account account;
  uid_t user = 0;
  gid_t group = 0;
};

// Of the job's user; an empty name is whoever this process is. kPermissionDenied for root unless
// `allow_root`, and for anyone else than itself unless this process is root; kNotFound for a name
// that this machine doesn't know.
absl::StatusOr<UserIds> FindUser(const std::string& name, bool allow_root);

// This process, with no way back, and with no program that would give it more.
absl::Status BecomeUser(const UserIds& user);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_ACCOUNT_H_
