// A process as a rank of a run, from its start to its end: the group of all ranks, what records
// their calls, who watches the other ranks, and how the process ends.
//
//   int main() {
//     return comm::RunRank(options, [](comm::World& world) -> absl::StatusOr<int> {
//       … world.communicator() …
//       return 0;
//     });
//   }
#ifndef TANREN_RUNTIME_COMM_WORLD_H_
#define TANREN_RUNTIME_COMM_WORLD_H_

#include <c10/core/Device.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/comm/communicator.h"
#include "runtime/telemetry/flight_recorder.h"

namespace tanren::comm {

enum class Backend {
  kAuto,    // as many ranks as the launcher says; on GPUs where every rank has one
  kSingle,  // one rank, on the CPU
  kMpi,     // ranks of mpirun or srun, on the CPU
  kNccl,    // ranks of any launcher (launched_rank.h), each with a GPU
};

struct WorldOptions {
  Backend backend = Backend::kAuto;
  // mpi: see MpiOptions in mpi.h.
  bool progress_thread = false;
  bool verify = false;
  // nccl: see NcclOptions in nccl.h.
  bool sum_half_by_nccl = false;
  // How long ranks wait for each other at the start.
  std::chrono::milliseconds join_timeout = std::chrono::minutes(2);
  // Flight records go to its folder "flight", which ranks of one host must share. Empty: nothing is
  // recorded, and no rank watches the others.
  std::filesystem::path run_folder;
  // What names this launch on all ranks; empty: what the environment says (process_identity.h).
  std::string launch;
  // How long one collective may take until the run is ended; zero: for ever.
  std::chrono::milliseconds collective_timeout = std::chrono::minutes(10);
};

// One in a process; made by main before other threads, which inherit its signal mask, and before
// anything that needs a device.
class World {
 public:
  // Throws Error if the backend isn't to be had. Where other ranks wait for this one by then, the
  // error ends them too, and the process with it.
  explicit World(const WorldOptions& options);
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  // Unless Finish was called, the ranks' records say that this one ended unexpectedly.
  ~World();

  // The group of all ranks.
  Communicator& communicator();
  // Where this rank computes, and tensors for the communicator lie; a GPU is the thread's current.
  at::Device device() const;
  // Null without a run folder.
  telemetry::FlightRecorder* flight_recorder();
  // A SIGUSR1 came: save at the next step, and return kSavedExitCode. Ranks may see it at
  // different steps, so they must agree on it by a collective.
  bool SaveRequested() const;

  // A collective: waits until all ranks have come to their end.
  void Finish();
  // After a failure of this rank: explains it (one message for all ranks), and ends the group.
  // Ranks under MPI don't return. kAborted stands for another rank's failure, whose own message
  // comes first.
  void Fail(const absl::Status& failure);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// The body saved what it had, and is to be resumed.
inline constexpr int kSavedExitCode = 75;

// Makes the world, runs `body` in it and returns the process's exit code: what the body returns
// (0: done; kSavedExitCode), or 70 after an error or an exception of the body's, which has then
// been explained and has ended the group.
int RunRank(const WorldOptions& options,
            const std::function<absl::StatusOr<int>(World& world)>& body);

}  // namespace tanren::comm

#endif  // TANREN_RUNTIME_COMM_WORLD_H_
