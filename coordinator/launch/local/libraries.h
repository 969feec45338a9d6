// What a program is loaded with.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_LIBRARIES_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_LIBRARIES_H_

#include <filesystem>
#include <string>
#include <vector>

namespace tanren::coordinator {

// The shared libraries that the dynamic loader finds for `program`, by their paths; none where it
// can't tell (a static program, a script). Takes some milliseconds. The program isn't run.
std::vector<std::string> LibrariesOf(const std::filesystem::path& program);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_LIBRARIES_H_
