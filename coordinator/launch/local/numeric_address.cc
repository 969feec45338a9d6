#include "coordinator/launch/local/numeric_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <cstring>
#include <memory>
#include <optional>

#include "absl/strings/numbers.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

sockaddr_in* V4(NumericAddress& address) {
  return reinterpret_cast<sockaddr_in*>(&address.storage);
}
sockaddr_in6* V6(NumericAddress& address) {
  return reinterpret_cast<sockaddr_in6*>(&address.storage);
}

// None: there is no such host; `error` is getaddrinfo's.
std::optional<NumericAddress> FirstAddress(const std::string& host, int port, int flags,
                                           int* error) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  *error = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (*error != 0) return std::nullopt;
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> release(found, freeaddrinfo);
  NumericAddress address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.size = found->ai_addrlen;
  SetPort(address, port);
  return address;
}

}  // namespace

absl::StatusOr<NumericAddress> LookUpAddress(const std::string& host, int port) {
  int error = 0;
  const auto address = FirstAddress(host, port, 0, &error);
  if (address.has_value()) return *address;
  return absl::InvalidArgumentError(
      fmt::format("'{}': {}; expected an address", host, gai_strerror(error)));
}

absl::StatusOr<NumericAddress> ParseAddress(const std::string& text) {
  const size_t colon = text.rfind(':');
  std::string host = text.substr(0, colon);
  int port = 0;
  const bool has_port = colon != std::string::npos &&
                        absl::SimpleAtoi(text.substr(colon + 1), &port) && port > 0 &&
                        port <= 65535;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  int error = 0;
  const auto address = has_port ? FirstAddress(host, port, AI_NUMERICHOST, &error) : std::nullopt;
  if (address.has_value()) return *address;
  return absl::InvalidArgumentError(
      fmt::format("found \"{}\", expected an address in numbers and a port", text));
}

std::string TextOf(const NumericAddress& address) {
  char host[NI_MAXHOST] = "";
  getnameinfo(address.get(), address.size, host, sizeof(host), nullptr, 0, NI_NUMERICHOST);
  const bool is_v6 = address.family() == AF_INET6;
  return fmt::format("{}{}{}:{}", is_v6 ? "[" : "", host, is_v6 ? "]" : "", PortOf(address));
}

int PortOf(const NumericAddress& address) {
  NumericAddress copy = address;
  return ntohs(copy.family() == AF_INET6 ? V6(copy)->sin6_port : V4(copy)->sin_port);
}

void SetPort(NumericAddress& address, int port) {
  const uint16_t value = htons(static_cast<uint16_t>(port));
  (address.family() == AF_INET6 ? V6(address)->sin6_port : V4(address)->sin_port) = value;
}

NumericAddress AnyAddress(int family, int port) {
  NumericAddress address;
  address.storage.ss_family = static_cast<sa_family_t>(family);
  address.size = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  SetPort(address, port);  // (the address is all zeros)
  return address;
}

}  // namespace tanren::coordinator
