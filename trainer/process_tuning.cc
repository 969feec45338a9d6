#include "trainer/process_tuning.h"

#include <unistd.h>

#include <cstdlib>

namespace tanren::trainer {

void TuneProcessOnce(char** argv) {
  // What cuBLAS takes to be deterministic; set here, where there is one thread yet.
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  if (std::getenv("GLIBC_TUNABLES") != nullptr) return;
  setenv("GLIBC_TUNABLES",
         "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296:"
         "glibc.malloc.trim_threshold=8589934592",
         1);
  execv("/proc/self/exe", argv);
  // If that failed, this process goes on as it is: slower, but right.
}

}  // namespace tanren::trainer
