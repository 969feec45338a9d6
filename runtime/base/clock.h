// What time it is, in milliseconds.
#ifndef TANREN_RUNTIME_BASE_CLOCK_H_
#define TANREN_RUNTIME_BASE_CLOCK_H_

#include <cstdint>

namespace tanren {

// Since the epoch: what people read, and may set.
int64_t WallMs();
// CLOCK_BOOTTIME: nobody sets it, and it goes on while the machine sleeps. The same for all
// processes of the machine.
int64_t SteadyMs();

}  // namespace tanren

#endif  // TANREN_RUNTIME_BASE_CLOCK_H_
