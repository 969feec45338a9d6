// The CUDA module, libtanren_cuda.so (runtime/cuda): what needs CUDA's and NCCL's libraries, loaded
// where there is a driver, so that one program runs with and without GPUs.
#ifndef TANREN_RUNTIME_DEVICE_CUDA_MODULE_H_
#define TANREN_RUNTIME_DEVICE_CUDA_MODULE_H_

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"

namespace tanren::device {

// Goes up whenever an entry point, or a class that one returns, changes: a module of another build
// is refused.
inline constexpr int kCudaModuleVersion = 3;

// Entry points, with the types of the folders that call them.
inline constexpr char kNcclEntryPoint[] = "tanren_cuda_nccl";        // comm::NcclApi*(int device)
inline constexpr char kKernelsEntryPoint[] = "tanren_cuda_kernels";  // kernels::DeviceKernels*()

class CudaModule {
 public:
  // Loads `module`, which stays for the process's life. kNotFound: there is no such driver library,
  // or no such module. kFailedPrecondition: it doesn't load, in the linker's words, or is of
  // another build.
  static absl::StatusOr<CudaModule> Load(const std::filesystem::path& module,
                                         const std::string& driver = "libcuda.so.1");

  // GPUs that this process may use (CUDA_VISIBLE_DEVICES narrows them).
  int device_count() const { return device_count_; }

  // One of the entry points above.
  template <typename Function>
  Function* EntryPoint(const char* name) const {
    return reinterpret_cast<Function*>(Symbol(name));
  }

 private:
  explicit CudaModule(void* library) : library_(library) {}
  void* Symbol(const char* name) const;

  void* library_;
  int device_count_ = 0;
};

// Where the module lies: $TANREN_CUDA_MODULE, else libtanren_cuda.so beside this program or in
// ../lib of it. Empty if it isn't there.
std::filesystem::path FindCudaModule();

// This process's module with at least one device, loaded at the first call; null if there is none.
// To be called before libtorch is used for the first time, which looks for CUDA once. Where there
// is a driver and the module can't be had, a warning says why.
const CudaModule* LoadedCudaModule();

}  // namespace tanren::device

#endif  // TANREN_RUNTIME_DEVICE_CUDA_MODULE_H_
