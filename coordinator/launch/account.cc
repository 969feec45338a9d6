#include "coordinator/launch/account.h"

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>

#include "fmt/format.h"

namespace tanren::coordinator {

absl::StatusOr<UserIds> FindUser(const std::string& name, bool allow_root) {
  const uid_t own = geteuid();
  errno = 0;
  const passwd* entry = name.empty() ? getpwuid(own) : getpwnam(name.c_str());
  if (entry == nullptr) {
    return absl::NotFoundError(fmt::format("this machine doesn't know the user '{}'",
                                           name.empty() ? std::to_string(own) : name));
  }
  if (entry->pw_uid == 0 && !allow_root) {
    return absl::PermissionDeniedError(
        "jobs of root are refused here; the agent's --allow-root would run them");
  }
  if (own != 0 && entry->pw_uid != own) {
    return absl::PermissionDeniedError(
        fmt::format("the agent runs as another user than '{}' and isn't root", name));
  }
  return UserIds{{entry->pw_name, entry->pw_dir}, entry->pw_uid, entry->pw_gid};
}

absl::Status BecomeUser(const UserIds& user) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return absl::ErrnoToStatus(errno, "can't give up new privileges");
  }
  if (geteuid() == 0 && user.user != 0 &&
      (initgroups(user.account.name.c_str(), user.group) != 0 || setgid(user.group) != 0 ||
       setuid(user.user) != 0)) {
    return absl::ErrnoToStatus(errno, fmt::format("can't become '{}'", user.account.name));
  }
  return absl::OkStatus();
}

}  // namespace tanren::coordinator
