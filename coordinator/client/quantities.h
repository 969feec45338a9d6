// Times and sizes as people write and read them.
#ifndef TANREN_COORDINATOR_CLIENT_QUANTITIES_H_
#define TANREN_COORDINATOR_CLIENT_QUANTITIES_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace tanren::coordinator {

// "90s", "45m", "2h", "1h30m", "3d": milliseconds, at most 10 years. kInvalidArgument says what was
// expected.
absl::StatusOr<int64_t> ParseDuration(const std::string& text);
// "10m": so long before `now_ms`; or "2026-11-26T05:41:36Z", also with a fraction and with an
// offset as +01:00 (RFC 3339). Milliseconds since the epoch.
absl::StatusOr<int64_t> ParseTimeOrAge(const std::string& text, int64_t now_ms);

// "512MiB", "16GiB", "1.5TiB" (also G and GB, each 2^30): bytes.
absl::StatusOr<int64_t> ParseBytes(const std::string& text);

// In two units at most: "12 s", "3 m 20 s", "2 h 5 m", "4 d 3 h".
std::string FormatDuration(int64_t milliseconds);

// How long ago `then_ms` was, "" for 0.
std::string FormatSince(int64_t then_ms, int64_t now_ms);

// Local time: "14:03:22" where it is today's, else "2026-11-26 14:03"; "" for 0.
std::string FormatTime(int64_t wall_ms, int64_t now_ms);

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_CLIENT_QUANTITIES_H_
