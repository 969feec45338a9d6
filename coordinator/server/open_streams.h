// The streams that are open now, so that a server that ends can end all of them, and a token that
// is revoked those of its own.
#ifndef TANREN_COORDINATOR_SERVER_OPEN_STREAMS_H_
#define TANREN_COORDINATOR_SERVER_OPEN_STREAMS_H_

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/server/credentials.h"
#include "grpcpp/support/status.h"

namespace tanren::coordinator {

// Any thread may call these.
class OpenStream {
 public:
  virtual ~OpenStream() = default;
  // Writes or ends if there is something to write or a reason to end.
  virtual void Pump() = 0;
  // Looks again at what it waits for; called every so often.
  virtual void Look() = 0;
  virtual void End(const grpc::Status& status) = 0;
  virtual void Cancel() = 0;
};

// Keeps streams alive from Add to Remove. People's may be `limit`, of which one user may have a
// quarter; agents' as many beside them: nobody who watches keeps an agent out.
class OpenStreams {
 public:
  explicit OpenStreams(size_t limit) : limit_(limit) {}

  // kResourceExhausted: too many are open; kUnavailable: the server ends.
  absl::Status Add(std::shared_ptr<OpenStream> stream, const Caller& caller);
  void Remove(OpenStream* stream);
  std::vector<std::shared_ptr<OpenStream>> All() const;
  size_t size() const;

  // No more are added; all are ended with `status`.
  void EndAll(const grpc::Status& status);
  void CancelAll();
  // Ends those for whose token (its id) `standing` isn't OK.
  void EndUnlessGood(const std::function<absl::Status(const std::string& token)>& standing);

 private:
  struct Entry {
    std::shared_ptr<OpenStream> stream;
    std::string owner;  // "": an agent
    std::string token;
  };

  const size_t limit_;
  mutable std::mutex mutex_;
  bool closed_ = false;
  std::map<OpenStream*, Entry> streams_;
  std::map<std::string, size_t> owned_;  // how many each owner has
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_OPEN_STREAMS_H_
