#include "coordinator/launch/slurm/acting_as.h"

#include <grp.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "runtime/base/log.h"

namespace tanren::coordinator {
namespace {

// The C library's setgroups changes all threads of the process, the kernel's only this one.
bool SetGroupsOfThread(const std::vector<gid_t>& groups) {
  return syscall(SYS_setgroups, groups.size(), groups.data()) == 0;
}

std::vector<gid_t> GroupsOfThread() {
  std::vector<gid_t> groups(static_cast<size_t>(std::max(0, getgroups(0, nullptr))));
  const int count = getgroups(static_cast<int>(groups.size()), groups.data());
  groups.resize(static_cast<size_t>(std::max(0, count)));
  return groups;
}

// Going on with another's rights would be worse than not going on.
[[noreturn]] void CantChange() {
  LogError("can't change this thread's rights on files");
  std::abort();
}

}  // namespace

std::shared_ptr<const FileUser> FileUserOf(const UserIds& user) {
  if (geteuid() != 0 || user.user == 0) return nullptr;
  auto files = std::make_shared<FileUser>();
  files->user = user.user;
  files->group = user.group;
  int count = 64;
  files->groups.resize(static_cast<size_t>(count));
  if (getgrouplist(user.account.name.c_str(), user.group, files->groups.data(), &count) < 0) {
    files->groups.resize(static_cast<size_t>(count));
    count = std::max(
        0, getgrouplist(user.account.name.c_str(), user.group, files->groups.data(), &count));
  }
  files->groups.resize(static_cast<size_t>(count));
  return files;
}

ActingAs::ActingAs(const std::shared_ptr<const FileUser>& user) : acts_(user != nullptr) {
  if (!acts_) return;
  own_.groups = GroupsOfThread();
  if (!SetGroupsOfThread(user->groups)) CantChange();
  own_.group = static_cast<gid_t>(setfsgid(user->group));
  // Last, for with it go root's own rights on files.
  own_.user = static_cast<uid_t>(setfsuid(user->user));
  // Asked for what can't be, it tells what is.
  if (setfsuid(static_cast<uid_t>(-1)) != static_cast<int>(user->user)) CantChange();
}

ActingAs::~ActingAs() {
  if (!acts_) return;
  setfsuid(own_.user);
  setfsgid(own_.group);
  if (!SetGroupsOfThread(own_.groups)) CantChange();
}

}  // namespace tanren::coordinator
