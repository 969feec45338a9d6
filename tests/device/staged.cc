#include "tests/device/staged.h"

#include <ATen/ATen.h>

#include <string>
#include <utility>

namespace tanren::comm {
namespace {

// Copies the result back once it is there.
class StagedWork final : public Work {
 public:
  StagedWork(std::unique_ptr<Work> work, at::Tensor result, at::Tensor target)
      : work_(std::move(work)), result_(std::move(result)), target_(std::move(target)) {}
  ~StagedWork() override { Wait(); }
  void Wait() override {
    if (work_ == nullptr) return;
    std::exchange(work_, nullptr)->Wait();
    if (target_.defined()) target_.copy_(result_);
  }

 private:
  std::unique_ptr<Work> work_;
  at::Tensor result_, target_;
};

class StagedCommunicator final : public Communicator {
 public:
  StagedCommunicator(std::unique_ptr<Communicator> inner, at::Device device)
      : Communicator(inner->rank(), inner->size(), inner->name()),
        inner_(std::move(inner)),
        device_(device) {}

 protected:
  std::unique_ptr<Work> DoAllGather(const at::Tensor& output, const at::Tensor& input,
                                    const Call& call) override {
    const at::Tensor result = There(output);
    return Back(inner_->AllGather(result, There(input), call.unit), result, output, call);
  }
  std::unique_ptr<Work> DoReduceScatter(const at::Tensor& output, const at::Tensor& input,
                                        ReduceOp op, const Call& call) override {
    const at::Tensor result = There(output);
    return Back(inner_->ReduceScatter(result, There(input), op, call.unit), result, output, call);
  }
  std::unique_ptr<Work> DoAllReduce(const at::Tensor& tensor, ReduceOp op,
                                    const Call& call) override {
    const at::Tensor result = There(tensor);
    return Back(inner_->AllReduce(result, op, call.unit), result, tensor, call);
  }
  std::unique_ptr<Work> DoBroadcast(const at::Tensor& tensor, int root, const Call& call) override {
    const at::Tensor result = There(tensor);
    return Back(inner_->Broadcast(result, root, call.unit), result, tensor, call);
  }
  std::unique_ptr<Work> DoAllToAll(const at::Tensor& output, const at::Tensor& input,
                                   const Call& call) override {
    const at::Tensor result = There(output);
    return Back(inner_->AllToAll(result, There(input), call.unit), result, output, call);
  }
  std::unique_ptr<Work> DoSend(const at::Tensor& tensor, int to, const Call& call) override {
    return Back(inner_->Send(There(tensor), to, call.unit), {}, {}, call);
  }
  std::unique_ptr<Work> DoReceive(const at::Tensor& tensor, int from, const Call& call) override {
    const at::Tensor result = There(tensor);
    return Back(inner_->Receive(result, from, call.unit), result, tensor, call);
  }
  void DoBarrier(const Call& call) override { inner_->Barrier(call.unit); }
  std::unique_ptr<Communicator> DoSplit(int color, int key, std::string name,
                                        const Call& call) override {
    return Staged(inner_->Split(color, key, call.unit), device_);
  }
  void DoAbort(std::string_view reason) override { inner_->Abort(reason); }

 private:
  at::Tensor There(const at::Tensor& tensor) const { return tensor.to(device_); }
  std::unique_ptr<Work> Back(std::unique_ptr<Work> work, at::Tensor result, at::Tensor target,
                             const Call&) const {
    return std::make_unique<StagedWork>(std::move(work), std::move(result), std::move(target));
  }

  std::unique_ptr<Communicator> inner_;
  at::Device device_;
};

}  // namespace

std::unique_ptr<Communicator> Staged(std::unique_ptr<Communicator> on_device, at::Device device) {
  return std::make_unique<StagedCommunicator>(std::move(on_device), device);
}

}  // namespace tanren::comm
