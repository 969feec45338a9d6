// The parts that a machine's launcher knows, and its connections to their supervisors.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_LOCAL_PARTS_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_LOCAL_PARTS_H_

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/launch/local/poll_set.h"
#include "coordinator/launch/part_folder.h"
#include "proto/coordinator.pb.h"
#include "proto/launch.pb.h"
#include "runtime/base/descriptor.h"

namespace tanren::coordinator {

// A part as its launcher sees it.
struct LocalPart {
  PartFolder folder;
  PartReport report;
  Descriptor control;  // not open: its supervisor isn't reached yet, or there is none any more
  std::deque<std::string> unsent;  // requests
};

// How the part of a supervisor that left no record of its end is settled: its processes are ended,
// and the record written. Nothing: something still holds it; to be asked again soon.
std::optional<PartReport> SettleVanished(const PartFolder& folder, const std::string& node,
                                         const AttemptToken& token);

// An end of a part that was never begun.
PartReport NeverStarted(const AttemptToken& token, const std::string& node, std::string why);

// Parts that have ended and that nobody asks for any more but for their logs: <state>/ended/. The
// oldest go when they are too many or the disk is full.
class EndedParts {
 public:
  EndedParts(std::filesystem::path state, size_t most);
  void Add(const PartFolder& folder, const AttemptToken& token);
  std::filesystem::path PathOf(const AttemptToken& token) const;
  bool Has(const AttemptToken& token) const;

 private:
  bool IsDiskFull() const;
  const std::filesystem::path folder_;
  const size_t most_;
  std::deque<std::filesystem::path> oldest_first_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_LOCAL_PARTS_H_
