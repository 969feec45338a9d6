#include "runtime/base/error.h"

#include <new>
#include <string>

namespace tanren {

Error::Error(absl::Status status)
    : std::runtime_error(std::string(status.message())), status_(std::move(status)) {}

void ThrowIfError(const absl::Status& status) {
  if (!status.ok()) throw Error(status);
}

absl::Status StatusOfCurrentException() {
  try {
    throw;
  } catch (const Error& error) {
    return error.status();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory");
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  } catch (...) {
    return absl::InternalError("an exception of unknown type");
  }
}

absl::Status Annotate(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  return absl::Status(status.code(), fmt::format("{}: {}", context, std::string(status.message())));
}

namespace internal {

absl::Status CheckFailure(const char* file, int line, const char* condition, std::string message) {
  return absl::InternalError(
      fmt::format("{}:{}: {}{}{}", file, line, condition, message.empty() ? "" : ": ", message));
}

}  // namespace internal
}  // namespace tanren
