// The CUDA module, libtanren_cuda.so: what needs CUDA's and NCCL's libraries, loaded where there is
// a driver, so that one program runs with and without GPUs.
#ifndef TANREN_RUNTIME_COMM_CUDA_MODULE_H_
#define TANREN_RUNTIME_COMM_CUDA_MODULE_H_

#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "runtime/comm/nccl_api.h"

namespace tanren::comm {

// Goes up whenever NcclApi or the entry points change: a module of another build is refused.
inline constexpr int kCudaModuleVersion = 2;

class CudaModule {
 public:
  // Loads `module`, which stays for the process's life. kNotFound: there is no such driver library,
  // or no such module. kFailedPrecondition: it doesn't load, in the linker's words, or is of
  // another build.
  static absl::StatusOr<CudaModule> Load(const std::filesystem::path& module,
                                         const std::string& driver = "libcuda.so.1");

  // GPUs that this process may use (CUDA_VISIBLE_DEVICES narrows them).
  int device_count() const { return device_count_; }
  // For the device of that number.
  std::shared_ptr<NcclApi> Nccl(int device) const;

 private:
  CudaModule() = default;
  int device_count_ = 0;
  NcclApi* (*make_nccl_)(int device) = nullptr;
};

// Where the module lies: $TANREN_CUDA_MODULE, else libtanren_cuda.so beside this program or in
// ../lib of it. Empty if it isn't there.
std::filesystem::path FindCudaModule();

// This process's module with at least one device, loaded at the first call; null if there is none.
// To be called before libtorch is used for the first time, which looks for CUDA once. Where there
// is a driver and the module can't be had, a warning says why.
const CudaModule* LoadedCudaModule();

}  // namespace tanren::comm

#endif  // TANREN_RUNTIME_COMM_CUDA_MODULE_H_
