// How many threads a rank computes with.
#ifndef TANREN_TRAINER_THREADS_H_
#define TANREN_TRAINER_THREADS_H_

namespace tanren::trainer {

// Logical cores that this process may use: the tighter of its affinity and its control group's
// quota, at least 1.
int UsableCores();

// Ranks of this launch on this host, as mpirun and Slurm tell; 1 for a single process.
int RanksOnThisHost();

// Sets libtorch's threads: `asked`, or for 0 the rank's share of the cores. Where the launcher has
// bound each rank to cores of its own, these are its share.
void UseThreads(int asked);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_THREADS_H_
