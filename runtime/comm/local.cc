#include "runtime/comm/local.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>

#include "absl/cleanup/cleanup.h"
#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/comm/local_group.h"
#include "runtime/comm/reduction.h"

namespace tanren::comm {
namespace {

// Every collective has one shape: all ranks lay their pointers out (Enter), each computes its own
// part from everyone's memory, all leave. So nothing is copied in between, and each sum is taken
// once, in rank order.
class LocalCommunicator final : public Communicator {
 public:
  LocalCommunicator(std::shared_ptr<LocalGroup> group, int rank)
      : Communicator(rank, group->size(), group->name()), group_(std::move(group)) {}

 protected:
  std::unique_ptr<Work> DoAllGather(const at::Tensor& output, const at::Tensor& input,
                                    const Call& call) override {
    auto* to = static_cast<std::byte*>(output.mutable_data_ptr());
    const size_t part = input.nbytes();
    Collective(call, to, input.const_data_ptr(), [&] {
      for (int i = 0; i < size(); ++i) Copy(to + i * part, group_->entry(i).input, part);
    });
    return nullptr;
  }

  std::unique_ptr<Work> DoReduceScatter(const at::Tensor& output, const at::Tensor& input,
                                        ReduceOp op, const Call& call) override {
    Collective(call, output.mutable_data_ptr(), input.const_data_ptr(), [&] {
      std::vector<const void*> parts(size());
      for (int i = 0; i < size(); ++i) {
        parts[i] = static_cast<const std::byte*>(group_->entry(i).input) + rank() * output.nbytes();
      }
      Reduce(op, output.scalar_type(), output.mutable_data_ptr(), parts, output.numel());
    });
    return nullptr;
  }

  // Each rank reduces its share of the elements and writes it into everyone's tensor.
  std::unique_ptr<Work> DoAllReduce(const at::Tensor& tensor, ReduceOp op,
                                    const Call& call) override {
    Collective(call, tensor.mutable_data_ptr(), nullptr, [&] {
      const int64_t share = (tensor.numel() + size() - 1) / size();
      const int64_t begin = std::min(tensor.numel(), share * rank());
      const int64_t length = std::min(tensor.numel() - begin, share);
      const size_t offset = begin * tensor.element_size();
      std::vector<const void*> parts(size());
      for (int i = 0; i < size(); ++i) {
        parts[i] = static_cast<const std::byte*>(group_->entry(i).output) + offset;
      }
      auto* mine = static_cast<std::byte*>(tensor.mutable_data_ptr()) + offset;
      Reduce(op, tensor.scalar_type(), mine, parts, length);
      for (int i = 0; i < size(); ++i) {
        Copy(static_cast<std::byte*>(group_->entry(i).output) + offset, mine,
             length * tensor.element_size());
      }
    });
    return nullptr;
  }

  std::unique_ptr<Work> DoBroadcast(const at::Tensor& tensor, int root, const Call& call) override {
    void* data = tensor.mutable_data_ptr();
    Collective(call, data, data, [&] { Copy(data, group_->entry(root).input, tensor.nbytes()); });
    return nullptr;
  }

  std::unique_ptr<Work> DoAllToAll(const at::Tensor& output, const at::Tensor& input,
                                   const Call& call) override {
    auto* to = static_cast<std::byte*>(output.mutable_data_ptr());
    const size_t part = input.nbytes() / size();
    Collective(call, to, input.const_data_ptr(), [&] {
      for (int i = 0; i < size(); ++i) {
        const auto* from = static_cast<const std::byte*>(group_->entry(i).input);
        Copy(to + i * part, from + rank() * part, part);
      }
    });
    return nullptr;
  }

  std::unique_ptr<Work> DoSend(const at::Tensor& tensor, int to, const Call& call) override {
    const auto* data = static_cast<const std::byte*>(tensor.const_data_ptr());
    group_->Post(rank(), to, {tensor.scalar_type(), {data, data + tensor.nbytes()}});
    return nullptr;
  }

  std::unique_ptr<Work> DoReceive(const at::Tensor& tensor, int from, const Call& call) override {
    const LocalGroup::Message message = group_->Take(from, rank());
    if (message.dtype != tensor.scalar_type() || message.bytes.size() != tensor.nbytes()) {
      const std::string mismatch =
          fmt::format("{}: rank {} sent {} bytes of {}, rank {} expects {} of {}", Describe(call),
                      from, message.bytes.size(), c10::toString(message.dtype), rank(),
                      tensor.nbytes(), c10::toString(tensor.scalar_type()));
      group_->Abort(mismatch);
      throw Error(absl::InternalError(mismatch));
    }
    Copy(tensor.mutable_data_ptr(), message.bytes.data(), message.bytes.size());
    return nullptr;
  }

  void DoBarrier(const Call& call) override {
    Collective(call, nullptr, nullptr, [] {});
  }

  std::unique_ptr<Communicator> DoSplit(int color, int key, std::string name,
                                        const Call& call) override {
    group_->Enter({Signature(call), rank(), nullptr, nullptr, color, key, std::move(name)});
    absl::Cleanup leave = [&] { group_->Leave(); };
    LocalGroup::Place place = group_->Split(rank());
    return std::make_unique<LocalCommunicator>(std::move(place.group), place.rank);
  }

  void DoAbort(std::string_view reason) override { group_->Abort(reason); }

 private:
  // In place buffers are their own source.
  static void Copy(void* to, const void* from, size_t bytes) {
    if (bytes > 0 && to != from) std::memcpy(to, from, bytes);
  }

  template <typename Compute>
  void Collective(const Call& call, void* output, const void* input, const Compute& compute) {
    group_->Enter({Signature(call), rank(), output, input});
    absl::Cleanup leave = [&] { group_->Leave(); };
    compute();
  }

  std::shared_ptr<LocalGroup> group_;
};

}  // namespace

std::vector<std::unique_ptr<Communicator>> LocalRanks(int count) {
  TANREN_CHECK(count > 0, "{} ranks", count);
  const auto group = std::make_shared<LocalGroup>(std::make_shared<LocalOrigin>(), "world", count);
  std::vector<std::unique_ptr<Communicator>> ranks;
  for (int i = 0; i < count; ++i) ranks.push_back(std::make_unique<LocalCommunicator>(group, i));
  return ranks;
}

std::unique_ptr<Communicator> SingleRank(std::string name) {
  return std::make_unique<LocalCommunicator>(
      std::make_shared<LocalGroup>(std::make_shared<LocalOrigin>(), std::move(name), 1), 0);
}

void RunRanks(int count, const std::function<void(Communicator&)>& body) {
  const std::vector<std::unique_ptr<Communicator>> ranks = LocalRanks(count);
  std::mutex mutex;
  std::exception_ptr first;
  {
    std::vector<std::jthread> threads;
    for (const std::unique_ptr<Communicator>& rank : ranks) {
      threads.emplace_back([&mutex, &first, &body, &rank] {
        try {
          body(*rank);
        } catch (...) {
          // Kept before the abort: those whom it wakes come second.
          {
            std::lock_guard lock(mutex);
            if (first == nullptr) first = std::current_exception();
          }
          rank->Abort(fmt::format("rank {} failed: {}", rank->rank(),
                                  std::string(StatusOfCurrentException().message())));
        }
      });
    }
  }
  if (first != nullptr) std::rethrow_exception(first);
}

}  // namespace tanren::comm
