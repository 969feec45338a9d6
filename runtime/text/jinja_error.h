// Errors inside the template engine: exceptions, which ChatTemplate turns into a Status at its
// border, with the line of the template.
#ifndef TANREN_RUNTIME_TEXT_JINJA_ERROR_H_
#define TANREN_RUNTIME_TEXT_JINJA_ERROR_H_

#include <utility>

#include "absl/status/status.h"
#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::text::jinja {

// The template or its input is wrong.
template <typename... Args>
[[noreturn]] void Fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(absl::InvalidArgumentError(fmt::format(format, std::forward<Args>(args)...)));
}

// Jinja or Python has it, this engine does not.
template <typename... Args>
[[noreturn]] void Unsupported(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(
      absl::UnimplementedError("unsupported: " + fmt::format(format, std::forward<Args>(args)...)));
}

// A bound on work, size or depth was reached.
template <typename... Args>
[[noreturn]] void OverLimit(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(absl::ResourceExhaustedError(fmt::format(format, std::forward<Args>(args)...)));
}

}  // namespace tanren::text::jinja

#endif  // TANREN_RUNTIME_TEXT_JINJA_ERROR_H_
