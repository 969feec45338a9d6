#include "trainer/process_tuning.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace tanren::trainer {

void TuneProcessOnce(char** argv) {
  // What cuBLAS takes to be deterministic; set here, where there is one thread yet.
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  if (std::getenv("GLIBC_TUNABLES") != nullptr) return;
  setenv("GLIBC_TUNABLES",
         "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296:"
         "glibc.malloc.trim_threshold=8589934592",
         1);
  // By its path, so that it keeps its name for who looks with top; unless that has gone.
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) execv(program.c_str(), argv);
  execv("/proc/self/exe", argv);
  // If that failed, this process goes on as it is: slower, but right.
}

}  // namespace tanren::trainer
