// Calls without a good token end before anything of them is read: what a stranger sends is neither
// parsed nor written to the audit, whatever its size. Which role a call takes its handler asks
// (Admission).
#ifndef TANREN_COORDINATOR_SERVER_TOKEN_CHECK_H_
#define TANREN_COORDINATOR_SERVER_TOKEN_CHECK_H_

#include <chrono>
#include <cstdint>
#include <mutex>

#include "coordinator/server/credentials.h"
#include "grpcpp/security/auth_metadata_processor.h"

namespace tanren::coordinator {

// Lets the health service pass without one. Thread-safe; outlived by `credentials`.
class TokenCheck final : public grpc::AuthMetadataProcessor {
 public:
  explicit TokenCheck(const Credentials& credentials) : credentials_(credentials) {}

  bool IsBlocking() const override { return false; }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* peer,
                       OutputMetadata* consumed, OutputMetadata* response) override;

  uint64_t refused() const;  // so far

 private:
  // Logs how many there were, once in ten seconds at most.
  void Count(const grpc::AuthContext* peer);

  const Credentials& credentials_;
  mutable std::mutex mutex_;
  uint64_t refused_ = 0;
  uint64_t told_ = 0;
  std::chrono::steady_clock::time_point tell_from_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_TOKEN_CHECK_H_
