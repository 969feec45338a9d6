// Allocations that failed, as error.h's StatusOfCurrentException tells them.
#ifndef TANREN_RUNTIME_BASE_OUT_OF_MEMORY_H_
#define TANREN_RUNTIME_BASE_OUT_OF_MEMORY_H_

#include "absl/status/status.h"

namespace tanren {

// Whether `status` is of an allocation that failed, on the host or on a GPU; its message then says
// how much was asked for where the allocator tells.
bool IsOutOfMemory(const absl::Status& status);

}  // namespace tanren

#endif  // TANREN_RUNTIME_BASE_OUT_OF_MEMORY_H_
