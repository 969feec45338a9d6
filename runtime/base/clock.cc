#include "runtime/base/clock.h"

#include <ctime>

namespace tanren {
namespace {

int64_t Milliseconds(clockid_t clock) {
  timespec time = {};
  clock_gettime(clock, &time);
  return int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
}

}  // namespace

int64_t WallMs() { return Milliseconds(CLOCK_REALTIME); }
int64_t SteadyMs() { return Milliseconds(CLOCK_BOOTTIME); }

}  // namespace tanren
