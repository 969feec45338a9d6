#include "runtime/base/error.h"

#include <new>
#include <string>
#include <string_view>

#include "runtime/base/out_of_memory.h"

namespace tanren {
namespace {

constexpr std::string_view kOutOfMemory = "out of memory";

// What libtorch's exceptions say before they list the functions that led there.  A user is told
// what was wrong, not where in libtorch it was noticed.
std::string_view WithoutTrace(std::string_view message) {
  for (const std::string_view trace : {"\nException raised from ", "\nframe #"}) {
    message = message.substr(0, message.find(trace));
  }
  return message.substr(0, message.find_last_not_of(" \n") + 1);
}

absl::Status StatusOfMessage(std::string_view message) {
  message = WithoutTrace(message);
  // Of libtorch's allocator for the host: "…: you tried to allocate 4096 bytes. Error code 12 (…)".
  constexpr std::string_view kOfHost = "you tried to allocate ";
  if (const size_t place = message.find(kOfHost); place != std::string_view::npos) {
    const std::string_view asked = message.substr(place + kOfHost.size());
    return absl::ResourceExhaustedError(
        fmt::format("{}: {} were asked for", kOutOfMemory, asked.substr(0, asked.find('.'))));
  }
  // Of the one for GPUs: "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has …".
  if (message.find("CUDA out of memory") != std::string_view::npos) {
    return absl::ResourceExhaustedError(fmt::format("{}: {}", kOutOfMemory, message));
  }
  return absl::InternalError({message.data(), message.size()});
}

}  // namespace

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
    return absl::ResourceExhaustedError({kOutOfMemory.data(), kOutOfMemory.size()});
  } catch (const std::exception& error) {
    return StatusOfMessage(error.what());
  } catch (...) {
    return absl::InternalError("an exception of unknown type");
  }
}

bool IsOutOfMemory(const absl::Status& status) {
  return absl::IsResourceExhausted(status) &&
         status.message().find(absl::string_view(kOutOfMemory.data(), kOutOfMemory.size())) !=
             absl::string_view::npos;
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
