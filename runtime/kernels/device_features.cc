#include "runtime/kernels/device_features.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

namespace tanren::kernels {
namespace {

// As in cuda_runtime_api.h, which isn't there where nothing of CUDA is installed.
using GetAttribute = int (*)(int* value, int attribute, int device);
constexpr int kCapabilityMajor = 75, kCapabilityMinor = 76;

}  // namespace

int ComputeCapability(c10::Device device) {
  if (!device.is_cuda()) return 0;
  // The CUDA runtime came with the CUDA module, which was loaded for everyone to see.
  static const auto get =
      reinterpret_cast<GetAttribute>(dlsym(RTLD_DEFAULT, "cudaDeviceGetAttribute"));
  if (get == nullptr) return 0;
  const int index = device.has_index()
                        ? device.index()
                        : c10::impl::VirtualGuardImpl(device.type()).getDevice().index();
  int major = 0, minor = 0;
  if (get(&major, kCapabilityMajor, index) != 0) return 0;
  if (get(&minor, kCapabilityMinor, index) != 0) return 0;
  return 10 * major + minor;
}

}  // namespace tanren::kernels
