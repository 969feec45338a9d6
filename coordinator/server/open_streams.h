// The streams that are open now, so that a server that ends can end all of them.
#ifndef TANREN_COORDINATOR_SERVER_OPEN_STREAMS_H_
#define TANREN_COORDINATOR_SERVER_OPEN_STREAMS_H_

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

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

// Keeps streams alive from Add to Remove.
class OpenStreams {
 public:
  explicit OpenStreams(size_t limit) : limit_(limit) {}

  // False: too many are open, or the server ends.
  bool Add(std::shared_ptr<OpenStream> stream);
  void Remove(OpenStream* stream);
  std::vector<std::shared_ptr<OpenStream>> All() const;
  size_t size() const;

  // No more are added; all are ended with `status`.
  void EndAll(const grpc::Status& status);
  void CancelAll();

 private:
  const size_t limit_;
  mutable std::mutex mutex_;
  bool closed_ = false;
  std::map<OpenStream*, std::shared_ptr<OpenStream>> streams_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_OPEN_STREAMS_H_
