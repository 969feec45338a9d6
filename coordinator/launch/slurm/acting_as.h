// Reaching users' files as those users: an agent that is root would read for one what another keeps
// to himself, and can't write at all where a file system trusts no other machine's root.
#ifndef TANREN_COORDINATOR_LAUNCH_SLURM_ACTING_AS_H_
#define TANREN_COORDINATOR_LAUNCH_SLURM_ACTING_AS_H_

#include <sys/types.h>

#include <memory>
#include <vector>

#include "coordinator/launch/account.h"

namespace tanren::coordinator {

struct FileUser {
  uid_t user = 0;
  gid_t group = 0;
  std::vector<gid_t> groups;
};

// Nothing where there is nothing to change: this process isn't root, or the user is.
std::shared_ptr<const FileUser> FileUserOf(const UserIds& user);

// For its life the calling thread, and no other, opens files with that user's rights and makes them
// that user's. Null changes nothing. A child that is forked meanwhile is itself again once it
// execs.
class ActingAs {
 public:
  explicit ActingAs(const std::shared_ptr<const FileUser>& user);
  ActingAs(const ActingAs&) = delete;
  ActingAs& operator=(const ActingAs&) = delete;
  ~ActingAs();

 private:
  const bool acts_;
  // What it was before.
  FileUser own_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_SLURM_ACTING_AS_H_
