#include "runtime/comm/nccl.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/comm/nccl_buffers.h"
#include "runtime/comm/nccl_origin.h"

namespace tanren::comm {
namespace {

class NcclWork final : public Work {
 public:
  NcclWork(std::shared_ptr<NcclOrigin> origin, std::shared_ptr<NcclCall> call)
      : origin_(std::move(origin)), call_(std::move(call)) {}
  void Wait() override { origin_->MakeCurrentStreamWait(*call_); }

 private:
  std::shared_ptr<NcclOrigin> origin_;
  std::shared_ptr<NcclCall> call_;
};

// A part of a buffer, in elements.
struct Range {
  int64_t begin = 0;
  int64_t count = 0;
};

class NcclCommunicator final : public Communicator {
 public:
  // Takes `group`, which `origin` watches already, over.
  NcclCommunicator(std::shared_ptr<NcclOrigin> origin, NcclApi::Group* group, int rank, int size,
                   std::string name)
      : Communicator(rank, size, std::move(name)), origin_(std::move(origin)), group_(group) {
    origin_->Do("making a stream", nullptr, [&] { return api().MakeStream(&stream_); }, {});
    // Nothing is moved within a group of one.
    if (size > 1 && origin_->options().register_buffers) {
      buffers_ = std::make_shared<NcclBuffers>(origin_, group_);
    }
    barrier_ = at::zeros({1}, at::TensorOptions().device(api().device()).dtype(at::kInt));
  }

  ~NcclCommunicator() override {
    const bool gently = std::uncaught_exceptions() == 0;
    if (gently) origin_->WaitForGroup(group_);
    if (buffers_ != nullptr) buffers_->Close();
    origin_->Remove(group_, gently);
    api().FreeStream(stream_);
  }

  at::DeviceType device_type() const override { return origin_->api().device().type(); }
  c10::DataPtr TakeBuffer(int64_t bytes) override {
    return buffers_ != nullptr ? buffers_->Take(bytes) : Communicator::TakeBuffer(bytes);
  }

 protected:
  std::unique_ptr<Work> DoAllGather(const at::Tensor& output, const at::Tensor& input,
                                    const Call& call) override {
    return Launch(call, {output, input}, [&](const std::string& name) {
      Do(name, [&] {
        return api().AllGather(output.mutable_data_ptr(), input.const_data_ptr(), input.numel(),
                               call.dtype, group_, stream_);
      });
    });
  }

  std::unique_ptr<Work> DoReduceScatter(const at::Tensor& output, const at::Tensor& input,
                                        ReduceOp op, const Call& call) override {
    if (ReducesHere(op, call.dtype)) {
      std::vector<Range> ranges(size());
      for (int i = 0; i < size(); ++i) ranges[i] = {i * output.numel(), output.numel()};
      const at::Tensor scratch = Scratch(output.numel(), call.dtype);
      return Launch(call, {output, input, scratch}, [&](const std::string& name) {
        ReduceRanges(name, output, input, ranges, op, scratch);
      });
    }
    return Launch(call, {output, input}, [&](const std::string& name) {
      Do(name, [&] {
        return api().ReduceScatter(output.mutable_data_ptr(), input.const_data_ptr(),
                                   output.numel(), call.dtype, op, group_, stream_);
      });
    });
  }

  std::unique_ptr<Work> DoAllReduce(const at::Tensor& tensor, ReduceOp op,
                                    const Call& call) override {
    if (ReducesHere(op, call.dtype)) {
      const int64_t share = (tensor.numel() + size() - 1) / size();
      std::vector<Range> ranges(size());
      for (int i = 0; i < size(); ++i) {
        const int64_t begin = std::min(tensor.numel(), i * share);
        ranges[i] = {begin, std::min(share, tensor.numel() - begin)};
      }
      const Range& own = ranges[rank()];
      const at::Tensor scratch = Scratch(share, call.dtype);
      return Launch(call, {tensor, scratch}, [&](const std::string& name) {
        const at::Tensor flat = tensor.view({-1});
        ReduceRanges(name, flat.narrow(0, own.begin, own.count), flat, ranges, op, scratch);
        GatherRanges(name, flat, ranges);
      });
    }
    return Launch(call, {tensor}, [&](const std::string& name) {
      Do(name, [&] {
        return api().AllReduce(tensor.mutable_data_ptr(), tensor.numel(), call.dtype, op, group_,
                               stream_);
      });
    });
  }

  std::unique_ptr<Work> DoBroadcast(const at::Tensor& tensor, int root, const Call& call) override {
    return Launch(call, {tensor}, [&](const std::string& name) {
      Do(name, [&] {
        return api().Broadcast(tensor.mutable_data_ptr(), tensor.numel(), call.dtype, root, group_,
                               stream_);
      });
    });
  }

  std::unique_ptr<Work> DoAllToAll(const at::Tensor& output, const at::Tensor& input,
                                   const Call& call) override {
    const int64_t part = input.numel() / size();
    return Launch(call, {output, input}, [&](const std::string& name) {
      Exchange(
          name, call.dtype,
          [&](int peer) {
            return Piece{At(input, peer * part), part};
          },
          [&](int peer) {
            return Piece{At(output, peer * part), part};
          });
    });
  }

  std::unique_ptr<Work> DoSend(const at::Tensor& tensor, int to, const Call& call) override {
    return Launch(call, {tensor}, [&](const std::string& name) {
      Do(name, [&] {
        return api().Send(tensor.const_data_ptr(), tensor.numel(), call.dtype, to, group_, stream_);
      });
    });
  }

  std::unique_ptr<Work> DoReceive(const at::Tensor& tensor, int from, const Call& call) override {
    return Launch(call, {tensor}, [&](const std::string& name) {
      Do(name, [&] {
        return api().Receive(tensor.mutable_data_ptr(), tensor.numel(), call.dtype, from, group_,
                             stream_);
      });
    });
  }

  void DoBarrier(const Call& call) override {
    // Record ends the call itself, so that a failure is recorded once.
    Call silent = call;
    silent.ticket = 0;
    const std::shared_ptr<NcclCall> launched =
        Start(silent, {barrier_}, [&](const std::string& name) {
          Do(name, [&] {
            return api().AllReduce(barrier_.mutable_data_ptr(), 1, at::kInt, ReduceOp::kMax, group_,
                                   stream_);
          });
        });
    origin_->WaitOnHost(*launched);
  }

  std::unique_ptr<Communicator> DoSplit(int color, int key, std::string name,
                                        const Call& call) override {
    // NCCL splits a group that is at rest.
    origin_->WaitForGroup(group_);
    NcclApi::Group* part = nullptr;
    int part_rank = 0, part_size = 1;
    const std::string description = Describe(call);
    origin_->Do(
        description, &group_, [&] { return api().Split(group_, color, key, &part); },
        origin_->options().join_timeout);
    origin_->Do(
        description, &part, [&] { return api().State(part); }, origin_->options().join_timeout);
    origin_->Add(part);
    origin_->Do(description, nullptr, [&] { return api().PlaceIn(part, &part_rank, &part_size); },
                {});
    return std::make_unique<NcclCommunicator>(origin_, part, part_rank, part_size, std::move(name));
  }

  void DoAbort(std::string_view reason) override { origin_->Abort(reason); }

 private:
  struct Piece {
    void* data = nullptr;
    int64_t count = 0;
  };

  NcclApi& api() { return origin_->api(); }

  static void* At(const at::Tensor& tensor, int64_t element) {
    return static_cast<std::byte*>(tensor.mutable_data_ptr()) +
           element * static_cast<int64_t>(tensor.element_size());
  }

  // See nccl.h.
  bool ReducesHere(ReduceOp op, at::ScalarType dtype) const {
    if (op != ReduceOp::kSum) return at::isFloatingType(dtype);
    return (dtype == at::kBFloat16 || dtype == at::kHalf) && !origin_->options().sum_half_by_nccl;
  }

  // Room for one piece of at most `count` elements from each rank.
  at::Tensor Scratch(int64_t count, at::ScalarType dtype) {
    const auto element = static_cast<int64_t>(at::elementSize(dtype));
    const int64_t most = std::max<int64_t>(1, origin_->options().scratch_bytes / element / size());
    return at::empty({std::min(count, most) * size()},
                     at::TensorOptions().device(api().device()).dtype(dtype));
  }

  template <typename StartCall>
  void Do(const std::string& name, const StartCall& start) {
    origin_->Do(name, &group_, start, origin_->options().call_timeout);
  }

  // All pieces at once; `to` and `from` say what goes to a rank, and where its own comes.
  template <typename To, typename From>
  void Exchange(const std::string& name, at::ScalarType dtype, const To& to, const From& from) {
    Do(name, [&]() -> NcclApi::Result {
      NcclApi::Result result = api().StartTogether();
      const auto ok = [&] {
        return result.code == NcclApi::Code::kOk || result.code == NcclApi::Code::kInProgress;
      };
      if (!ok()) return result;
      for (int peer = 0; peer < size() && ok(); ++peer) {
        const Piece out = to(peer), in = from(peer);
        if (out.count > 0) result = api().Send(out.data, out.count, dtype, peer, group_, stream_);
        if (ok() && in.count > 0) {
          result = api().Receive(in.data, in.count, dtype, peer, group_, stream_);
        }
      }
      const NcclApi::Result ended = api().EndTogether();
      return ok() ? ended : result;
    });
  }

  // output = the reduction over ranks of their input's own range: each piece is sent as it is, and
  // reduced here.
  void ReduceRanges(const std::string& name, const at::Tensor& output, const at::Tensor& input,
                    const std::vector<Range>& ranges, ReduceOp op, const at::Tensor& scratch) {
    const int64_t chunk = scratch.numel() / size();
    const int64_t longest = ranges[0].count;
    for (int64_t done = 0; done < longest; done += chunk) {
      const auto piece = [&](int of) {
        return std::clamp<int64_t>(ranges[of].count - done, 0, chunk);
      };
      Exchange(
          name, input.scalar_type(),
          [&](int peer) {
            return Piece{At(input, ranges[peer].begin + done), piece(peer)};
          },
          [&](int peer) {
            return Piece{At(scratch, peer * chunk), piece(rank())};
          });
      if (piece(rank()) == 0) continue;
      Do(name, [&] {
        return api().ReduceParts(op, input.scalar_type(), At(output, done),
                                 scratch.const_data_ptr(), chunk, size(), piece(rank()), stream_);
      });
    }
  }

  // Each rank has its own range: gives it to the others.
  void GatherRanges(const std::string& name, const at::Tensor& data,
                    const std::vector<Range>& ranges) {
    const auto piece = [&](int of, int peer) {
      return Piece{At(data, ranges[of].begin), peer == rank() ? 0 : ranges[of].count};
    };
    Exchange(
        name, data.scalar_type(), [&](int peer) { return piece(rank(), peer); },
        [&](int peer) { return piece(peer, peer); });
  }

  // Has the device do what `enqueue` gives to our stream once the current stream has come here.
  // The tensors stay until it is done.
  template <typename Enqueue>
  std::shared_ptr<NcclCall> Start(const Call& call, std::vector<at::Tensor> tensors,
                                  const Enqueue& enqueue) {
    const std::string name = Describe(call);
    const NcclEvent ready(origin_->shared_api());
    origin_->Do(name, nullptr, [&] { return api().Record(ready.get(), api().CurrentStream()); },
                {});
    origin_->Do(name, nullptr, [&] { return api().MakeWait(stream_, ready.get()); }, {});
    enqueue(name);
    auto launched = std::make_shared<NcclCall>();
    launched->group = group_;
    launched->description = name;
    launched->done = std::make_shared<NcclEvent>(origin_->shared_api());
    launched->tensors = std::move(tensors);
    origin_->Do(name, nullptr, [&] { return api().Record(launched->done->get(), stream_); }, {});
    if (call.ticket != 0) {
      launched->ending = [recorder = flight_recorder(), ticket = call.ticket](
                             const absl::Status& status) { Leave(recorder, ticket, status); };
    }
    origin_->Watch(launched);
    return launched;
  }

  template <typename Enqueue>
  std::unique_ptr<Work> Launch(const Call& call, std::vector<at::Tensor> tensors,
                               const Enqueue& enqueue) {
    return std::make_unique<NcclWork>(origin_, Start(call, std::move(tensors), enqueue));
  }

  std::shared_ptr<NcclOrigin> origin_;
  NcclApi::Group* group_;
  NcclApi::Stream* stream_ = nullptr;
  std::shared_ptr<NcclBuffers> buffers_;  // null: not registered
  at::Tensor barrier_;
};

}  // namespace

std::shared_ptr<NcclApi> NcclOf(const device::CudaModule& module, int number) {
  auto* const make = module.EntryPoint<NcclApi*(int)>(device::kNcclEntryPoint);
  return std::shared_ptr<NcclApi>(make(number));
}

std::unique_ptr<Communicator> NcclWorld(std::shared_ptr<NcclApi> api, int rank, int size,
                                        const NcclId& id, const NcclOptions& options) {
  TANREN_CHECK(rank >= 0 && rank < size, "rank {} of {}", rank, size);
  api->UseDevice();
  const auto origin = std::make_shared<NcclOrigin>(std::move(api), options);
  NcclApi::Group* group = nullptr;
  origin->Do(
      fmt::format("joining group 'world' as rank {} of {}", rank, size), &group,
      [&] { return origin->api().Join(rank, size, id, &group); }, options.join_timeout);
  origin->Add(group);
  return std::make_unique<NcclCommunicator>(origin, group, rank, size, "world");
}

}  // namespace tanren::comm
