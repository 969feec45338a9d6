// IPv4 and IPv6 addresses with ports, in numbers.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_NUMERIC_ADDRESS_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_NUMERIC_ADDRESS_H_

#include <sys/socket.h>

#include <string>

#include "absl/status/statusor.h"

namespace tanren::coordinator {

struct NumericAddress {
  sockaddr_storage storage = {};
  socklen_t size = 0;

  int family() const { return storage.ss_family; }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// The first address of a host's name; kInvalidArgument.
absl::StatusOr<NumericAddress> LookUpAddress(const std::string& host, int port);
// "10.0.0.7:4711" or "[fd00::7]:4711"; kInvalidArgument. Nothing is looked up.
absl::StatusOr<NumericAddress> ParseAddress(const std::string& text);
// And back.
std::string TextOf(const NumericAddress& address);

int PortOf(const NumericAddress& address);
void SetPort(NumericAddress& address, int port);
// All addresses of this machine.
NumericAddress AnyAddress(int family, int port);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_NUMERIC_ADDRESS_H_
