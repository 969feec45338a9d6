// Which program this is: ranks of one run must be the same one.
#ifndef TANREN_RUNTIME_BASE_BUILD_H_
#define TANREN_RUNTIME_BASE_BUILD_H_

#include <string>
#include <string_view>

namespace tanren {

inline constexpr char kVersion[] = "0.1.0";

// What the linker noted in this program as its identity, in hexadecimal: the same where everything
// that was linked is. Empty where the linker notes none.
std::string BuildId();

// What a program says of itself: "tanren-worker 0.1.0 (build 5e0f…)".
std::string VersionText(std::string_view program);

}  // namespace tanren

#endif  // TANREN_RUNTIME_BASE_BUILD_H_
