#include "coordinator/agent/reach_listener.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "coordinator/launch/local/numeric_address.h"
#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

constexpr int kMostWaiting = 4'096;
constexpr useconds_t kWithoutDescriptorsUs = 100'000;

bool Bind(const Descriptor& listener, const NumericAddress& address) {
  return bind(listener.get(), address.get(), address.size) == 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ReachListener>> ReachListener::Open(const std::string& address,
                                                                   int port) {
  TANREN_ASSIGN_OR_RETURN(NumericAddress own, LookUpAddress(address, port));
  Descriptor listener(socket(own.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;
  setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  bool bound = Bind(listener, own);
  if (!bound && errno == EADDRNOTAVAIL) bound = Bind(listener, AnyAddress(own.family(), port));
  if (!bound || listen(listener.get(), kMostWaiting) != 0) {
    return absl::UnavailableError(fmt::format("{}: {}", TextOf(own), strerror(errno)));
  }
  NumericAddress bound_to;
  bound_to.size = sizeof(bound_to.storage);
  if (getsockname(listener.get(), bound_to.get(), &bound_to.size) != 0) {
    return absl::ErrnoToStatus(errno, "getsockname");
  }
  SetPort(own, PortOf(bound_to));
  return std::unique_ptr<ReachListener>(new ReachListener(std::move(listener), TextOf(own)));
}

ReachListener::ReachListener(Descriptor listener, std::string where)
    : listener_(std::move(listener)), where_(std::move(where)), thread_([this] { Accept(); }) {}

ReachListener::~ReachListener() {
  shutdown(listener_.get(), SHUT_RDWR);
  thread_.join();
}

void ReachListener::Accept() {
  while (true) {
    const Descriptor visitor(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (visitor.is_open()) continue;
    if (errno == EINVAL || errno == EBADF) return;  // it was shut down
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      usleep(kWithoutDescriptorsUs);
    }
  }
}

}  // namespace tanren::coordinator
