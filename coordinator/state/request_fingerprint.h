// Tells whether a request id came with what it came with before.
#ifndef TANREN_COORDINATOR_STATE_REQUEST_FINGERPRINT_H_
#define TANREN_COORDINATOR_STATE_REQUEST_FINGERPRINT_H_

#include <cstdint>
#include <string_view>

namespace tanren::coordinator {

// Of what kind the request is and what it says. Stays what it is over versions: it is on disk.
// FNV-1a, 64 bits: against mistakes, not against malice, which could only harm its own requests.
inline uint64_t RequestFingerprint(std::string_view kind, std::string_view content) {
  uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&](std::string_view bytes) {
    for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3;
    hash = (hash ^ 0xff) * 0x100000001b3;
  };
  add(kind);
  add(content);
  return hash;
}

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_STATE_REQUEST_FINGERPRINT_H_
