#include "runtime/comm/cuda_module.h"

#include <dlfcn.h>

#include <cstdlib>
#include <optional>

#include "fmt/format.h"
#include "runtime/base/log.h"

namespace tanren::comm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFileName = "libtanren_cuda.so";

template <typename Function>
Function* Find(void* library, const char* name) {
  return reinterpret_cast<Function*>(dlsym(library, name));
}

}  // namespace

absl::StatusOr<CudaModule> CudaModule::Load(const fs::path& module, const std::string& driver) {
  if (dlopen(driver.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    return absl::NotFoundError(fmt::format("no NVIDIA driver: {}", dlerror()));
  }
  std::error_code error;
  if (!fs::exists(module, error)) {
    return absl::NotFoundError(fmt::format("no CUDA module '{}'", module.string()));
  }
  // Global, for libtorch's CUDA part comes with it.
  void* library = dlopen(fs::absolute(module).c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) {
    return absl::FailedPreconditionError(
        fmt::format("the CUDA module doesn't load: {}", dlerror()));
  }
  auto* version = Find<int()>(library, "tanren_cuda_version");
  auto* devices = Find<int()>(library, "tanren_cuda_devices");
  auto* make_nccl = Find<NcclApi*(int)>(library, "tanren_cuda_nccl");
  if (version == nullptr || devices == nullptr || make_nccl == nullptr) {
    return absl::FailedPreconditionError(
        fmt::format("{} is not a CUDA module of Tanren", module.string()));
  }
  if (const int found = version(); found != kCudaModuleVersion) {
    return absl::FailedPreconditionError(
        fmt::format("the CUDA module {} has version {}, this program needs {}", module.string(),
                    found, kCudaModuleVersion));
  }
  CudaModule loaded;
  loaded.device_count_ = devices();
  loaded.make_nccl_ = make_nccl;
  return loaded;
}

std::shared_ptr<NcclApi> CudaModule::Nccl(int device) const {
  return std::shared_ptr<NcclApi>(make_nccl_(device));
}

fs::path FindCudaModule() {
  if (const char* given = std::getenv("TANREN_CUDA_MODULE"); given != nullptr) return given;
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& place : {folder / kFileName, folder.parent_path() / "lib" / kFileName}) {
    if (fs::exists(place, error)) return place;
  }
  return {};
}

const CudaModule* LoadedCudaModule() {
  static const std::optional<CudaModule> module = []() -> std::optional<CudaModule> {
    if (dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL) == nullptr) return std::nullopt;
    const fs::path file = FindCudaModule();
    if (file.empty()) {
      LogWarning("there is an NVIDIA driver, but no CUDA module ({}): computing on the CPU",
                 kFileName);
      return std::nullopt;
    }
    absl::StatusOr<CudaModule> loaded = CudaModule::Load(file);
    if (!loaded.ok()) {
      LogWarning("computing on the CPU: {}", std::string(loaded.status().message()));
      return std::nullopt;
    }
    if (loaded->device_count() == 0) return std::nullopt;
    return *std::move(loaded);
  }();
  return module.has_value() ? &*module : nullptr;
}

}  // namespace tanren::comm
