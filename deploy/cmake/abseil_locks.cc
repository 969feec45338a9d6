// Shows ThreadSanitizer the locks of an abseil that was compiled without it. gRPC's threads hand
// over what they work on under these, and each hand-over would look like a race. Linked into the
// programs of builds with ThreadSanitizer alone (TanrenTargets.cmake): a function here is found
// before the library's of that name, by gRPC too, and calls that one.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/base/options.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

extern "C" {
// Of ThreadSanitizer: what came before the release has happened for who acquires later.
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}

namespace {

#define TANREN_TEXT_OF(name) #name
#define TANREN_TEXT(name) TANREN_TEXT_OF(name)

// abseil's function. Its mangled name is that of the inline namespace, which carries the version,
// and `rest`.
template <typename Function>
Function Own(const std::string& rest) {
  const std::string version = TANREN_TEXT(ABSL_OPTION_INLINE_NAMESPACE_NAME);
  const std::string name = "_ZN4absl" + std::to_string(version.size()) + version + rest;
  void* const found = dlsym(RTLD_NEXT, name.c_str());
  if (found == nullptr) {
    std::fprintf(stderr, "abseil_locks.cc: abseil has no %s\n", name.c_str());
    std::abort();
  }
  return reinterpret_cast<Function>(found);
}

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  static const auto own = Own<void (*)(Mutex*)>("5Mutex4LockEv");
  own(this);
  __tsan_acquire(this);
}

bool Mutex::TryLock() {
  static const auto own = Own<bool (*)(Mutex*)>("5Mutex7TryLockEv");
  const bool locked = own(this);
  if (locked) __tsan_acquire(this);
  return locked;
}

void Mutex::Unlock() {
  static const auto own = Own<void (*)(Mutex*)>("5Mutex6UnlockEv");
  __tsan_release(this);
  own(this);
}

void CondVar::Wait(Mutex* mutex) {
  static const auto own = Own<void (*)(CondVar*, Mutex*)>("7CondVar4WaitEPNS0_5MutexE");
  __tsan_release(mutex);
  own(this, mutex);
  __tsan_acquire(mutex);
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static const auto own = Own<bool (*)(CondVar*, Mutex*, Duration)>(
      "7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  __tsan_release(mutex);
  const bool timed_out = own(this, mutex, timeout);
  __tsan_acquire(mutex);
  return timed_out;
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  static const auto own =
      Own<bool (*)(CondVar*, Mutex*, Time)>("7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
  __tsan_release(mutex);
  const bool timed_out = own(this, mutex, deadline);
  __tsan_acquire(mutex);
  return timed_out;
}

ABSL_NAMESPACE_END
}  // namespace absl
