// How long tests wait for what must happen.
#ifndef TANREN_TESTS_PATIENCE_H_
#define TANREN_TESTS_PATIENCE_H_

#include <chrono>
#include <functional>
#include <thread>

namespace tanren {

// Only a test that fails waits so long: it serves a busy machine with a sanitizer, too, where all
// takes ten times as long.
inline constexpr std::chrono::seconds kPatience{60};

// Whether it holds at last.
inline bool Eventually(const std::function<bool()>& holds,
                       std::chrono::milliseconds patience = kPatience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace tanren

#endif  // TANREN_TESTS_PATIENCE_H_
