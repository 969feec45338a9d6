// The certificate that an agent shows: when it ends, in time to do something about it.
#ifndef TANREN_COORDINATOR_AGENT_CERTIFICATE_WATCH_H_
#define TANREN_COORDINATOR_AGENT_CERTIFICATE_WATCH_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

namespace tanren::coordinator {

// What is to be said of a certificate that ends then; empty while there are 30 days or more.
std::string EndOfCertificate(const std::filesystem::path& file, int64_t expires_ms, int64_t now_ms);

// For one thread.
class CertificateWatch {
 public:
  // Of an agent without a certificate both are empty.
  CertificateWatch(std::filesystem::path certificate, std::filesystem::path key)
      : certificate_(std::move(certificate)), key_(std::move(key)) {}

  // Whether there is another certificate, good to be shown, than at the last look. Warns in the
  // log, once a day, of one that ends soon. Looks at the files once a minute at most: to be called
  // as often as one likes, with the time since the epoch and that of a clock which nobody sets.
  bool Look(int64_t wall_ms, int64_t steady_ms);
  // Since the epoch, of the one that was good last; 0: none.
  int64_t expires_ms() const { return expires_ms_; }

 private:
  bool Read(int64_t wall_ms);

  const std::filesystem::path certificate_;
  const std::filesystem::path key_;
  std::string stamp_;
  int64_t expires_ms_ = 0;
  int64_t next_look_ms_ = 0;
  int64_t next_warning_ms_ = 0;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_AGENT_CERTIFICATE_WATCH_H_
