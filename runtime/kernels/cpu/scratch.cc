#include "runtime/kernels/cpu/scratch.h"

#include <cstdlib>
#include <memory>
#include <new>

namespace tanren::kernels {
namespace {

struct Free {
  void operator()(float* memory) const { std::free(memory); }
};

}  // namespace

float* ThreadScratch(int64_t count) {
  thread_local std::unique_ptr<float, Free> memory;
  thread_local int64_t size = 0;
  if (count > size) {
    memory.reset();
    size = (count + 1023) / 1024 * 1024;
    memory.reset(static_cast<float*>(std::aligned_alloc(64, size * sizeof(float))));
    if (memory == nullptr) {
      size = 0;
      throw std::bad_alloc();
    }
  }
  return memory.get();
}

}  // namespace tanren::kernels
