// Ranks as processes under mpirun or srun, with tensors on the CPU.
//
// Results equal the local backend's bit for bit: sums are taken here in rank order, MPI only moves
// bytes. So a reduce-scatter is an all-to-all in the storage type followed by the sum (bf16 moves
// half of what an fp32 reduce-scatter would), and an all-reduce is that and an all-gather.
#ifndef TANREN_RUNTIME_COMM_MPI_H_
#define TANREN_RUNTIME_COMM_MPI_H_

#include <cstdint>
#include <memory>

#include "runtime/comm/communicator.h"

namespace tanren::comm {

struct MpiOptions {
  // Collectives run on a thread of their own, so that a Work goes on while the caller computes.
  // Worth it between hosts; on one host it takes a core from the computation. Needs
  // MPI_THREAD_MULTIPLE. Otherwise collectives are done when the call returns.
  bool progress_thread = false;
  // Before each collective the ranks compare what they are about to call, and disagreement is an
  // error that names both calls instead of a hang. Costs one small all-gather for each call.
  bool verify = false;
  // Scratch memory of a reduction, and the most that one message carries, at most 1 GiB.
  int64_t chunk_bytes = int64_t{8} << 20;
};

// True where mpirun or srun started this process as a rank.
bool StartedByMpi();

// MPI from its start to its end: one in a process, made and destroyed by the same thread, the
// communicators before it.
class MpiSession {
 public:
  // Throws Error(kFailedPrecondition) if MPI gives a lower thread level than the options need.
  explicit MpiSession(const MpiOptions& options);
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;
  // Waits for all ranks to come here; while an exception unwinds it doesn't.
  ~MpiSession();

  // All ranks of the job. A collective call: each rank calls it equally often.
  std::unique_ptr<Communicator> World();

 private:
  MpiOptions options_;
  int exceptions_;
};

// The exit code of a job that Abort ended.
inline constexpr int kAbortExitCode = 70;

}  // namespace tanren::comm

#endif  // TANREN_RUNTIME_COMM_MPI_H_
