// What the ranks here write: a pipe each, emptied into its spool as it comes.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_RANK_OUTPUTS_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_RANK_OUTPUTS_H_

#include <cstdint>
#include <filesystem>
#include <list>
#include <map>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "coordinator/launch/local/poll_set.h"
#include "coordinator/launch/log_spool.h"
#include "runtime/base/descriptor.h"

namespace tanren::coordinator {

class RankOutputs {
 public:
  RankOutputs(std::filesystem::path logs, int64_t limit_bytes, PollSet& polls)
      : logs_(std::move(logs)), limit_bytes_(limit_bytes), polls_(polls) {}

  // The end to write to, for the standard output and error of the rank (-1: its launcher). A rank
  // may have several.
  absl::StatusOr<Descriptor> Open(const std::string& role, int rank);
  // Takes what is left in all pipes. Once nobody writes to them any more.
  void Drain();
  // A line of the supervisor's own.
  void Say(const std::string& role, int rank, const std::string& text);

 private:
  LogSpool& SpoolOf(const std::string& role, int rank);
  // False at the end.
  bool Pump(const Descriptor& pipe, LogSpool& spool, int reads);

  const std::filesystem::path logs_;
  const int64_t limit_bytes_;
  PollSet& polls_;
  std::map<std::pair<std::string, int>, LogSpool> spools_;
  std::list<std::pair<Descriptor, LogSpool*>> pipes_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_RANK_OUTPUTS_H_
