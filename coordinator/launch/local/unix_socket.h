// Unix sockets between the processes of a machine: whole messages in packets, with descriptors.
#ifndef TANREN_COORDINATOR_LAUNCH_LOCAL_UNIX_SOCKET_H_
#define TANREN_COORDINATOR_LAUNCH_LOCAL_UNIX_SOCKET_H_

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/base/descriptor.h"

namespace tanren::coordinator {

// `type` is SOCK_SEQPACKET or SOCK_STREAM. Replaces a socket that was left at `path`. Connections
// are taken without waiting.
absl::StatusOr<Descriptor> Listen(const std::filesystem::path& path, int type, mode_t mode);
absl::StatusOr<Descriptor> Connect(const std::filesystem::path& path, int type);
// Not open: nobody is waiting. The connection doesn't block.
Descriptor Accept(const Descriptor& listener);
absl::StatusOr<std::pair<Descriptor, Descriptor>> PacketPair();
uid_t PeerUser(const Descriptor& connection);

// Never waits: kUnavailable if the other end is closed or doesn't read.
absl::Status SendPacket(const Descriptor& socket, const std::string& packet,
                        const std::vector<int>& descriptors = {});

struct Packet {
  std::string bytes;
  std::vector<Descriptor> descriptors;
};
// Nothing: none is there (of a socket that doesn't block). kUnavailable: the other end is closed.
absl::StatusOr<std::optional<Packet>> ReceivePacket(const Descriptor& socket);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_LAUNCH_LOCAL_UNIX_SOCKET_H_
