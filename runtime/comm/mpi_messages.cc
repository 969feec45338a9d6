#include "runtime/comm/mpi_messages.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/comm/mpi_exchange.h"

namespace tanren::comm {
namespace {

constexpr int kTag = 2;

}  // namespace

class MpiMessages::TransferWork final : public Work {
 public:
  TransferWork(std::shared_ptr<MpiMessages> messages, std::unique_ptr<Transfer> transfer)
      : messages_(std::move(messages)), transfer_(std::move(transfer)) {}

  // Doesn't wait: while an exception unwinds, the other rank may never come.
  ~TransferWork() override {
    if (transfer_ != nullptr) messages_->Keep(std::move(transfer_));
  }

  void Wait() override {
    if (transfer_ == nullptr) {
      ThrowIfError(result_);
      return;
    }
    try {
      WaitForAll();
    } catch (...) {
      result_ = StatusOfCurrentException();
    }
    transfer_->ending(result_);
    transfer_.reset();
    ThrowIfError(result_);
  }

 private:
  void WaitForAll() {
    std::vector<MPI_Request>& requests = transfer_->requests;
    std::vector<MPI_Status> statuses(requests.size());
    CheckMpi(MPI_Waitall(static_cast<int>(requests.size()), requests.data(), statuses.data()),
             "MPI_Waitall of a message");
    for (size_t i = 0; i < transfer_->lengths.size(); ++i) {
      int received = 0;
      CheckMpi(MPI_Get_count(&statuses[i], MPI_BYTE, &received), "MPI_Get_count");
      TANREN_CHECK(received == transfer_->lengths[i],
                   "a message of {} bytes came, {} were expected", received, transfer_->lengths[i]);
    }
  }

  std::shared_ptr<MpiMessages> messages_;
  std::unique_ptr<Transfer> transfer_;
  absl::Status result_;
};

template <typename Start>
std::unique_ptr<Work> MpiMessages::StartTransfer(const at::Tensor& tensor, bool receives,
                                                 Ending ending, const Start& start) {
  auto transfer = std::make_unique<Transfer>();
  transfer->tensor = tensor;
  transfer->ending = std::move(ending);
  auto* data = static_cast<std::byte*>(tensor.mutable_data_ptr());
  const auto bytes = static_cast<int64_t>(tensor.nbytes());
  for (int64_t at = 0; at < bytes; at += chunk_bytes_) {
    const int length = static_cast<int>(std::min(bytes - at, chunk_bytes_));
    start(data + at, length, &transfer->requests.emplace_back());
    if (receives) transfer->lengths.push_back(length);
  }
  return std::make_unique<TransferWork>(shared_from_this(), std::move(transfer));
}

std::unique_ptr<Work> MpiMessages::Send(const at::Tensor& tensor, int to, Ending ending) {
  return StartTransfer(tensor, /*receives=*/false, std::move(ending),
                       [&](std::byte* data, int length, MPI_Request* request) {
                         CheckMpi(MPI_Isend(data, length, MPI_BYTE, to, kTag, group_, request),
                                  "MPI_Isend");
                       });
}

std::unique_ptr<Work> MpiMessages::Receive(const at::Tensor& tensor, int from, Ending ending) {
  return StartTransfer(tensor, /*receives=*/true, std::move(ending),
                       [&](std::byte* data, int length, MPI_Request* request) {
                         CheckMpi(MPI_Irecv(data, length, MPI_BYTE, from, kTag, group_, request),
                                  "MPI_Irecv");
                       });
}

void MpiMessages::Keep(std::unique_ptr<Transfer> transfer) {
  std::lock_guard lock(mutex_);
  kept_.push_back(std::move(transfer));
}

bool MpiMessages::Drained() {
  std::lock_guard lock(mutex_);
  std::erase_if(kept_, [](const std::unique_ptr<Transfer>& transfer) {
    int done = 0;
    const int code = MPI_Testall(static_cast<int>(transfer->requests.size()),
                                 transfer->requests.data(), &done, MPI_STATUSES_IGNORE);
    if (code != MPI_SUCCESS || done == 0) return false;
    transfer->ending(absl::OkStatus());
    return true;
  });
  if (kept_.empty()) return true;
  // MPI may still write into these buffers: they stay for the rest of the process.
  for (std::unique_ptr<Transfer>& transfer : kept_) transfer.release();
  kept_.clear();
  return false;
}

}  // namespace tanren::comm
