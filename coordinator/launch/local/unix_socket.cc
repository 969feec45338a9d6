#include "coordinator/launch/local/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "fmt/format.h"
#include "runtime/base/file.h"

namespace tanren::coordinator {
namespace {

// What a RemoteStart with a long environment needs; the kernel's own limit is near it.
constexpr size_t kLongestPacket = 200 << 10;
constexpr size_t kMostDescriptors = 4;

absl::StatusOr<sockaddr_un> AddressOf(const std::filesystem::path& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(
        fmt::format("{}: a socket's path has at most {} characters: choose a shorter state folder",
                    path.string(), sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, path.c_str(), path.native().size());
  return address;
}

}  // namespace

absl::StatusOr<Descriptor> Listen(const std::filesystem::path& path, int type, mode_t mode) {
  const absl::StatusOr<sockaddr_un> address = AddressOf(path);
  if (!address.ok()) return address.status();
  unlink(path.c_str());
  Descriptor listener(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.is_open() ||
      bind(listener.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0 ||
      chmod(path.c_str(), mode) != 0 || listen(listener.get(), SOMAXCONN) != 0) {
    return ErrnoOf("can't listen", path);
  }
  return listener;
}

absl::StatusOr<Descriptor> Connect(const std::filesystem::path& path, int type) {
  const absl::StatusOr<sockaddr_un> address = AddressOf(path);
  if (!address.ok()) return address.status();
  Descriptor connection(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!connection.is_open() ||
      connect(connection.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) !=
          0) {
    return ErrnoOf("can't connect", path);
  }
  return connection;
}

Descriptor Accept(const Descriptor& listener) {
  return Descriptor(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

absl::StatusOr<std::pair<Descriptor, Descriptor>> PacketPair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return absl::ErrnoToStatus(errno, "no pair of sockets");
  }
  return std::make_pair(Descriptor(ends[0]), Descriptor(ends[1]));
}

uid_t PeerUser(const Descriptor& connection) {
  ucred peer = {};
  socklen_t size = sizeof(peer);
  if (getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return static_cast<uid_t>(-1);
  }
  return peer.uid;
}

absl::Status SendPacket(const Descriptor& socket, const std::string& packet,
                        const std::vector<int>& descriptors) {
  iovec part = {const_cast<char*>(packet.data()), packet.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kMostDescriptors * sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    const size_t size = descriptors.size() * sizeof(int);
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(header), descriptors.data(), size);
  }
  ssize_t sent = 0;
  do {
    sent = sendmsg(socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent == static_cast<ssize_t>(packet.size())) return absl::OkStatus();
  return absl::UnavailableError(fmt::format("can't send: {}", std::strerror(errno)));
}

absl::StatusOr<std::optional<Packet>> ReceivePacket(const Descriptor& socket) {
  Packet packet;
  packet.bytes.resize(kLongestPacket);
  iovec part = {packet.bytes.data(), packet.bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kMostDescriptors * sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t size = 0;
  do {
    size = recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::nullopt;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); size >= 0 && header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      packet.descriptors.emplace_back(number);
    }
  }
  if (size <= 0) return absl::UnavailableError("the other end is closed");
  packet.bytes.resize(static_cast<size_t>(size));
  return std::optional<Packet>(std::move(packet));
}

}  // namespace tanren::coordinator
