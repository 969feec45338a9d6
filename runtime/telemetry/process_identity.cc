#include "runtime/telemetry/process_identity.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "fmt/format.h"

namespace tanren::telemetry {

int64_t ProcessStart(int64_t process_id) {
  std::ifstream file(fmt::format("/proc/{}/stat", process_id));
  std::string line;
  if (!std::getline(file, line)) return 0;
  // The second field is the program's name in parentheses, which may itself hold spaces and
  // parentheses: count fields after the last ')'. The state is the third, the start the 22nd.
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(line.substr(name_end + 1));
  std::string field;
  fields >> field;
  if (field == "Z" || field == "X") return 0;
  for (int i = 4; i < 22; ++i) fields >> field;
  int64_t start = 0;
  fields >> start;
  return fields ? start : 0;
}

bool ProcessRuns(int64_t process_id, int64_t process_start) {
  const int64_t found = ProcessStart(process_id);
  return found != 0 && found == process_start;
}

std::string HostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "unknown host";
  return name.data();
}

std::string LaunchName() {
  for (const char* variable : {"TANREN_LAUNCH", "PMIX_NAMESPACE", "SLURM_JOB_ID"}) {
    if (const char* value = std::getenv(variable); value != nullptr && *value != '\0') {
      return value;
    }
  }
  return "";
}

}  // namespace tanren::telemetry
