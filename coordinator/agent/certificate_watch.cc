#include "coordinator/agent/certificate_watch.h"

#include "coordinator/wire/certificates.h"
#include "coordinator/wire/file_stamp.h"
#include "fmt/format.h"
#include "runtime/base/log.h"

namespace tanren::coordinator {
namespace {

constexpr int64_t kDayMs = 24LL * 3600 * 1000;
constexpr int64_t kWarnDays = 30;
constexpr int64_t kLookEveryMs = 60'000;

}  // namespace

std::string EndOfCertificate(const std::filesystem::path& file, int64_t expires_ms,
                             int64_t now_ms) {
  const int64_t left_ms = expires_ms - now_ms;
  if (left_ms >= kWarnDays * kDayMs) return "";
  if (left_ms <= 0) {
    return fmt::format("{}: has ended: this agent can't connect again before it has a new one",
                       file.string());
  }
  return fmt::format(
      "{}: ends in {} days: give this agent a new one in time (tanren admin init-tls --renew, or "
      "node-certificate, where the authority is)",
      file.string(), left_ms / kDayMs);
}

bool CertificateWatch::Read(int64_t wall_ms) {
  const std::string stamp = StampOf({certificate_, key_});
  if (stamp == stamp_) return false;
  const absl::StatusOr<KeyPair> pair = ReadKeyPair(certificate_, key_, wall_ms);
  // It may be half copied: the next look tries again.
  if (!pair.ok()) return false;
  const bool is_another = !stamp_.empty();
  stamp_ = stamp;
  expires_ms_ = pair->expires_ms;
  next_warning_ms_ = 0;
  return is_another;
}

bool CertificateWatch::Look(int64_t wall_ms, int64_t steady_ms) {
  if (certificate_.empty() || steady_ms < next_look_ms_) return false;
  next_look_ms_ = steady_ms + kLookEveryMs;
  const bool is_another = Read(wall_ms);
  if (expires_ms_ == 0 || steady_ms < next_warning_ms_) return is_another;
  const std::string warning = EndOfCertificate(certificate_, expires_ms_, wall_ms);
  if (warning.empty()) return is_another;
  LogWarning("{}", warning);
  next_warning_ms_ = steady_ms + kDayMs;
  return is_another;
}

}  // namespace tanren::coordinator
