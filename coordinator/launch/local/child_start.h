// What a child does between fork and exec: become the user, make the job's folders, and tell the
// supervisor if that fails.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_CHILD_START_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_CHILD_START_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/launch/account.h"
#include "coordinator/launch/local/part_commands.h"
#include "coordinator/launch/local/part_end.h"
#include "proto/launch.pb.h"
#include "runtime/base/descriptor.h"

namespace tanren::coordinator {

struct ChildStart {
  std::string program;                   // what is executed
  std::vector<std::string> arguments;    // from argv[0]
  std::vector<std::string> environment;  // NAME=value: the whole
  std::string folder;                    // to run in
  int output = -1;                       // for standard output and error
  int failure = -1;  // closed by exec; else gets a ProcessEnd's refusal and blame
};

// Makes <folder>/job-<id>/attempt-<n>/, writes the recipe beside it and points `latest` at it; as
// the user, so with the user's rights. What is there already stays.
absl::Status PrepareFolders(const PartSpec& part);

// Runs in the child. `part`, where not null, has its folders prepared first. Returns only what to
// exit with.
int StartProgram(const ChildStart& start, const UserIds& user, const PartSpec* part);

// What arrived at the other end of `failure`.
void ReadRefusal(std::string_view bytes, ProcessEnd& end);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_CHILD_START_H_
