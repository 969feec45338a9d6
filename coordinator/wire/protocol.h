// What both ends of a connection have in common.
#ifndef TANREN_COORDINATOR_WIRE_PROTOCOL_H_
#define TANREN_COORDINATOR_WIRE_PROTOCOL_H_

#include <cstdint>

namespace tanren::coordinator {

// Programs of versions N and N - 1 understand each other.
inline constexpr int32_t kProtocolVersion = 1;
inline constexpr int32_t kOldestProtocol = 1;

// Where a coordinator listens if nobody says otherwise.
inline constexpr char kDefaultAddress[] = "127.0.0.1:7411";

// No message is longer. The longest are lists of jobs and pieces of logs.
inline constexpr int kLongestMessage = 16 << 20;

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_WIRE_PROTOCOL_H_
