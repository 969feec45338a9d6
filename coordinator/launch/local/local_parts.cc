#include "coordinator/launch/local/local_parts.h"

#include <signal.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "coordinator/launch/process_table.h"
#include "coordinator/state/cluster.h"
#include "fmt/format.h"
#include "runtime/base/log.h"
#include "runtime/telemetry/process_identity.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kFreeAtLeastPercent = 5;

// Whether something of it lives; it is told to end.
bool EndProcesses(const PartFolder& folder, const PartProcesses& processes) {
  if (processes.first != 0) {
    if (!telemetry::ProcessRuns(processes.first, processes.first_start)) return false;
    kill(static_cast<pid_t>(processes.first), SIGKILL);
    return true;
  }
  bool any = false;
  for (const std::string& line : {"TANREN_EVENT_SOCKET=" + folder.event_socket().string(),
                                  "TANREN_PART_SOCKET=" + folder.rank_socket().string()}) {
    for (const pid_t process : ProcessesWithVariable(line)) {
      any = true;
      kill(process, SIGKILL);
    }
  }
  return any;
}

}  // namespace

std::optional<PartReport> SettleVanished(const PartFolder& folder, const std::string& node,
                                         const AttemptToken& token) {
  // With it, a supervisor that was still to come doesn't begin.
  absl::StatusOr<PartLock> lock = PartLock::Take(folder);
  if (!lock.ok()) {
    if (!absl::IsFailedPrecondition(lock.status()))
      LogWarning("{}", std::string(lock.status().message()));
    return std::nullopt;
  }
  if (absl::StatusOr<PartReport> state = ReadPartState(folder);
      state.ok() && state->state() == PART_ENDED) {
    return *std::move(state);
  }
  const PartProcesses processes = lock->processes();
  if (EndProcesses(folder, processes)) return std::nullopt;
  PartReport report;
  if (processes.supervisor == 0) {
    report = NeverStarted(token, node, "its supervisor could not be started");
  } else {
    if (absl::StatusOr<PartReport> state = ReadPartState(folder); state.ok()) report = *state;
    *report.mutable_token() = token;
    report.set_state(PART_ENDED);
    AttemptEnd& end = *report.mutable_end();
    end.set_kind(AttemptEnd::INFRASTRUCTURE);
    end.set_node(node);
    end.set_rank(-1);
    end.set_message(
        "there is no record of its end: its supervisor was killed, or the machine restarted");
  }
  const absl::Status written = ReplaceFile(folder.state(), report.SerializeAsString());
  if (!written.ok()) LogWarning("{}", std::string(written.message()));
  return report;
}

PartReport NeverStarted(const AttemptToken& token, const std::string& node, std::string why) {
  PartReport report;
  *report.mutable_token() = token;
  report.set_state(PART_ENDED);
  AttemptEnd& end = *report.mutable_end();
  end.set_kind(AttemptEnd::NEVER_STARTED);
  end.set_node(node);
  end.set_rank(-1);
  end.set_message(std::move(why));
  return report;
}

EndedParts::EndedParts(fs::path state, size_t most) : folder_(state / "ended"), most_(most) {
  std::error_code error;
  fs::create_directories(folder_, error);
  std::vector<std::pair<fs::file_time_type, fs::path>> found;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    found.emplace_back(fs::last_write_time(it->path(), ignored), it->path());
  }
  std::sort(found.begin(), found.end());
  for (auto& [time, path] : found) oldest_first_.push_back(std::move(path));
}

fs::path EndedParts::PathOf(const AttemptToken& token) const { return folder_ / TokenText(token); }

bool EndedParts::Has(const AttemptToken& token) const {
  std::error_code error;
  return fs::exists(PathOf(token), error);
}

bool EndedParts::IsDiskFull() const {
  struct statvfs disk = {};
  return statvfs(folder_.c_str(), &disk) == 0 &&
         uint64_t{disk.f_bavail} * 100 < uint64_t{disk.f_blocks} * kFreeAtLeastPercent;
}

void EndedParts::Add(const PartFolder& folder, const AttemptToken& token) {
  std::error_code error;
  fs::rename(folder.path(), PathOf(token), error);
  if (error) {
    fs::remove_all(folder.path(), error);
  } else {
    oldest_first_.push_back(PathOf(token));
  }
  while (!oldest_first_.empty() && (oldest_first_.size() > most_ || IsDiskFull())) {
    fs::remove_all(oldest_first_.front(), error);
    oldest_first_.pop_front();
  }
}

}  // namespace tanren::coordinator
