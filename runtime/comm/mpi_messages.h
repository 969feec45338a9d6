// Sends and receives of the mpi backend: under way while the caller goes on.
#ifndef TANREN_RUNTIME_COMM_MPI_MESSAGES_H_
#define TANREN_RUNTIME_COMM_MPI_MESSAGES_H_

#include <mpi.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "runtime/comm/communicator.h"

namespace tanren::comm {

class MpiMessages : public std::enable_shared_from_this<MpiMessages> {
 public:
  using Ending = std::function<void(const absl::Status&)>;

  // `group` stays the caller's. Messages carry at most `chunk_bytes`; a longer tensor takes
  // several.
  MpiMessages(MPI_Comm group, int64_t chunk_bytes) : group_(group), chunk_bytes_(chunk_bytes) {}

  // `ending` is called once, when the transfer has ended. A tensor of no elements is not sent.
  std::unique_ptr<Work> Send(const at::Tensor& tensor, int to, Ending ending);
  // Its Wait throws kInternal if what arrives has another size.
  std::unique_ptr<Work> Receive(const at::Tensor& tensor, int from, Ending ending);

  // False if transfers that nobody waited for are still under way.
  bool Drained();

 private:
  struct Transfer {
    at::Tensor tensor;
    std::vector<MPI_Request> requests;
    std::vector<int> lengths;  // bytes expected; empty for a send
    Ending ending;
  };
  class TransferWork;
  template <typename Start>
  std::unique_ptr<Work> StartTransfer(const at::Tensor& tensor, bool receives, Ending ending,
                                      const Start& start);
  // Keeps the buffers of a transfer that nobody waited for until it has ended.
  void Keep(std::unique_ptr<Transfer> transfer);

  MPI_Comm group_;
  int64_t chunk_bytes_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Transfer>> kept_;
};

}  // namespace tanren::comm

#endif  // TANREN_RUNTIME_COMM_MPI_MESSAGES_H_
