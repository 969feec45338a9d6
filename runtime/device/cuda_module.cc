#include "runtime/device/cuda_module.h"

#include <dlfcn.h>

#include <cstdlib>
#include <optional>

#include "fmt/format.h"
#include "runtime/base/log.h"

namespace tanren::device {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFileName = "libtanren_cuda.so";

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
  CudaModule loaded(library);
  auto* const version = loaded.EntryPoint<int()>("tanren_cuda_version");
  auto* const devices = loaded.EntryPoint<int()>("tanren_cuda_devices");
  if (version == nullptr || devices == nullptr) {
    return absl::FailedPreconditionError(
        fmt::format("{} is not a CUDA module of Tanren", module.string()));
  }
  if (const int found = version(); found != kCudaModuleVersion) {
    return absl::FailedPreconditionError(
        fmt::format("the CUDA module {} has version {}, this program needs {}", module.string(),
                    found, kCudaModuleVersion));
  }
  for (const char* name : {kNcclEntryPoint, kKernelsEntryPoint}) {
    if (loaded.Symbol(name) == nullptr) {
      return absl::FailedPreconditionError(
          fmt::format("the CUDA module {} has no {}", module.string(), name));
    }
  }
  loaded.device_count_ = devices();
  return loaded;
}

void* CudaModule::Symbol(const char* name) const { return dlsym(library_, name); }

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

}  // namespace tanren::device
