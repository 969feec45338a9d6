// What starts and ends processes for an agent: a part of an attempt at a time.
#ifndef TANREN_COORDINATOR_LAUNCH_LAUNCHER_H_
#define TANREN_COORDINATOR_LAUNCH_LAUNCHER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/coordinator.pb.h"

namespace tanren::coordinator {

// Calls return at once; what becomes of them shows in Parts(). All calls come from one thread.
class Launcher {
 public:
  virtual ~Launcher() = default;

  // Idempotent by token: a part that is there, living or ended, stays as it is.
  virtual void Start(const PartSpec& part) = 0;
  // Asks its processes to save and exit, and kills what lives after `grace_ms`. A part that isn't
  // there is remembered as ended without having run: a late Start of the token does nothing.
  virtual void Stop(const AttemptToken& token, StopReason reason, int64_t grace_ms) = 0;
  // An ended part's records may go; its logs stay as long as there is room.
  virtual void Forget(const AttemptToken& token) = 0;
  // All parts: those that an earlier agent process of this machine started too.
  virtual std::vector<PartReport> Parts() = 0;
  // Processes of all parts end themselves, whatever becomes of this process, once CLOCK_BOOTTIME
  // reads more than `steady_ms`.
  virtual void SetDeadline(int64_t steady_ms) = 0;
  // The last one, of an earlier agent process too, that living parts go by; 0: none.
  virtual int64_t Deadline() const { return 0; }

  // A piece of what a rank wrote. kNotFound; `end` once no more can come.
  virtual absl::StatusOr<LogChunk> ReadLog(const ReadLogChunk& request) = 0;

  // Starts a daemon of mpirun within a part that is here; `ended` is called once, from any thread.
  virtual absl::Status StartRemote(const RemoteStart& request,
                                   std::function<void(const RemoteEnd&)> ended) = 0;
  // Called, from any thread, when Parts() has something new.
  virtual void OnChange(std::function<void()> changed) = 0;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LAUNCHER_H_
