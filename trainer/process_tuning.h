// What a process must say to its C library before it starts.
#ifndef TANREN_TRAINER_PROCESS_TUNING_H_
#define TANREN_TRAINER_PROCESS_TUNING_H_

namespace tanren::trainer {

// Executes this program anew, once, with malloc set up for large tensors: huge pages, and no
// returning of memory between uses, for page faults cost a tenth of a training step. glibc reads
// these settings only at the start of a process. Does nothing if GLIBC_TUNABLES is set already.
void TuneProcessOnce(char** argv);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_PROCESS_TUNING_H_
