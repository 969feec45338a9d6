// How errors travel. Control paths (files, configuration, commands) return absl::Status; compute
// paths (libtorch, communicators) throw. `Error` carries a Status across that border.
#ifndef TANREN_RUNTIME_BASE_ERROR_H_
#define TANREN_RUNTIME_BASE_ERROR_H_

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fmt/format.h"

namespace tanren {

// An absl::Status as an exception; what() is the status's message.
class Error : public std::runtime_error {
 public:
  explicit Error(absl::Status status);
  const absl::Status& status() const { return status_; }

 private:
  absl::Status status_;
};

// Throws Error unless `status` is OK.
void ThrowIfError(const absl::Status& status);

// The value, or its error thrown.
template <typename T>
T ValueOrThrow(absl::StatusOr<T> value) {
  ThrowIfError(value.status());
  return *std::move(value);
}

// Turns what an exception says into a Status: an Error's own, kResourceExhausted for a failed
// allocation, kInternal for any other. To be called inside a catch block.
absl::Status StatusOfCurrentException();

// `status` with `context` and ": " before its message; OK stays OK.
absl::Status Annotate(const absl::Status& status, std::string_view context);

namespace internal {
absl::Status CheckFailure(const char* file, int line, const char* condition, std::string message);
inline std::string CheckMessage() { return {}; }
template <typename... Args>
std::string CheckMessage(fmt::format_string<Args...> format, Args&&... args) {
  return fmt::format(format, std::forward<Args>(args)...);
}
}  // namespace internal

}  // namespace tanren

#define TANREN_CONCAT_INNER_(a, b) a##b
#define TANREN_CONCAT_(a, b) TANREN_CONCAT_INNER_(a, b)

// Returns the error of a Status expression to the caller.
#define TANREN_RETURN_IF_ERROR(expression)         \
  do {                                             \
    absl::Status tanren_status = (expression);     \
    if (!tanren_status.ok()) return tanren_status; \
  } while (false)

// `TANREN_ASSIGN_OR_RETURN(auto x, F());` assigns the value or returns the error to the caller.
#define TANREN_ASSIGN_OR_RETURN(declaration, expression) \
  TANREN_ASSIGN_OR_RETURN_(TANREN_CONCAT_(tanren_value_, __LINE__), declaration, expression)
#define TANREN_ASSIGN_OR_RETURN_(value, declaration, expression) \
  auto value = (expression);                                     \
  if (!value.ok()) return std::move(value).status();             \
  declaration = *std::move(value)

// Throws Error(kInternal) unless `condition` holds; further arguments are a format and its values.
//   TANREN_CHECK(rank < size, "rank {} of {}", rank, size);
#define TANREN_CHECK(condition, ...)                                                       \
  do {                                                                                     \
    if (!(condition)) {                                                                    \
      throw ::tanren::Error(::tanren::internal::CheckFailure(                              \
          __FILE__, __LINE__, #condition, ::tanren::internal::CheckMessage(__VA_ARGS__))); \
    }                                                                                      \
  } while (false)

#endif  // TANREN_RUNTIME_BASE_ERROR_H_
