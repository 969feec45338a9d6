// A group of ranks that talk to each other in one order of collectives. Backends: local.h (threads
// of one process), mpi.h (CPU tensors, processes) and nccl.h (GPU). Nothing above this folder
// names a backend.
//
// Every rank of a group makes the same collective calls in the same order. A call takes contiguous
// tensors of one dtype (fp32, fp64, bf16, fp16, int32, int64, uint8), where the backend computes
// (device_type()), and returns a Work; buffers may be read or reused only after its Wait. Empty
// tensors are allowed. Sums of bf16 and fp16 are taken in fp32 and rounded once, in rank order on
// the CPU backends, so that a result doesn't depend on timing.
//
// Errors are thrown as tanren::Error: kInvalidArgument for a bad call, before anything is sent;
// kAborted once the group was aborted; kInternal where ranks disagree about a call.
//
// One thread at a time may use a Communicator; Abort may come from any thread.
#ifndef TANREN_RUNTIME_COMM_COMMUNICATOR_H_
#define TANREN_RUNTIME_COMM_COMMUNICATOR_H_

#include <ATen/core/Tensor.h>
#include <c10/core/Allocator.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace tanren::telemetry {
class FlightRecorder;
}

namespace tanren::comm {

enum class ReduceOp { kSum, kMax, kMin };

// "sum", "max" or "min".
std::string_view Name(ReduceOp op);

// A collective under way. It keeps its tensors alive until it has finished, waited for or not.
class Work {
 public:
  virtual ~Work() = default;
  // Returns when the result may be used: on the CPU it is there, on a GPU the current stream has
  // been made to wait for it. Throws Error if the collective failed. Waiting again is harmless.
  virtual void Wait() = 0;
};

class Communicator {
 public:
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  virtual ~Communicator() = default;

  int rank() const { return rank_; }
  int size() const { return size_; }
  // "world" for the first group; Split adds to it.
  const std::string& name() const { return name_; }
  // Where tensors given to it must lie.
  virtual at::DeviceType device_type() const { return at::kCPU; }
  // Device memory, of undefined contents, for a buffer that collectives fill again and again: what
  // this backend fills fastest. To be used on the thread's current stream and by this group.
  virtual c10::DataPtr TakeBuffer(int64_t bytes);

  // `unit` names what a call is for, such as "model.layers.3": it stands in the flight recorder
  // and in errors, and is the same on each rank.

  // output[rank] = that rank's input; output.numel() = size × input.numel(). `input` may be this
  // rank's slot of `output`.
  [[nodiscard]] std::unique_ptr<Work> AllGather(const at::Tensor& output, const at::Tensor& input,
                                                std::string_view unit);
  // output = the reduction over ranks of their input[rank]; input.numel() = size × output.numel().
  // `output` may be this rank's slot of `input`.
  [[nodiscard]] std::unique_ptr<Work> ReduceScatter(const at::Tensor& output,
                                                    const at::Tensor& input, ReduceOp op,
                                                    std::string_view unit);
  // In place; any size.
  [[nodiscard]] std::unique_ptr<Work> AllReduce(const at::Tensor& tensor, ReduceOp op,
                                                std::string_view unit);
  // In place; every rank gets root's.
  [[nodiscard]] std::unique_ptr<Work> Broadcast(const at::Tensor& tensor, int root,
                                                std::string_view unit);
  // Equal parts: part i of `input` goes to rank i; part i of `output` is from rank i. The two may
  // not overlap.
  [[nodiscard]] std::unique_ptr<Work> AllToAll(const at::Tensor& output, const at::Tensor& input,
                                               std::string_view unit);
  // Between two different ranks; messages of a pair arrive in order. Send's Wait may come before
  // the other has received.
  [[nodiscard]] std::unique_ptr<Work> Send(const at::Tensor& tensor, int to, std::string_view unit);
  [[nodiscard]] std::unique_ptr<Work> Receive(const at::Tensor& tensor, int from,
                                              std::string_view unit);
  // Returns when every rank has called it.
  void Barrier(std::string_view unit);

  // A collective too, like MPI_Comm_split: ranks of one `color` (not negative) make a new group,
  // ordered by `key`, then by rank here. The new group writes to the same flight recorder. `axis`
  // names the split, e.g. "shard": the group of color 0 is then called "world/shard.0".
  std::unique_ptr<Communicator> Split(int color, int key, std::string_view axis = {});

  // After a failure on this rank: ends the group and every group of the same origin, so that no
  // rank waits for this one any longer; later calls on any rank throw Error with `reason`. Records
  // the failure. The mpi backend can only end processes: there it explains the failure, ends the
  // job and doesn't return.
  void Abort(std::string_view reason);

  // Where calls are recorded from now on (also those of groups split later); may be null. The
  // recorder must outlive the communicator.
  void set_flight_recorder(telemetry::FlightRecorder* recorder) { recorder_ = recorder; }
  telemetry::FlightRecorder* flight_recorder() const { return recorder_; }

 protected:
  // What a call is, as ranks compare it.
  struct Call {
    std::string_view collective;  // "all-gather"
    std::string_view unit;
    int64_t sequence = 0;  // of this group's collectives, from 1; sends and receives count alone
    at::ScalarType dtype = at::ScalarType::Undefined;
    int64_t bytes = 0;  // of the larger of the two tensors
    int root_or_op = 0;
    uint64_t ticket = 0;  // of the flight recorder
  };

  Communicator(int rank, int size, std::string name);

  // The backend's part: arguments have been checked. `call` and its strings live only for the
  // duration of the call. A null Work says that the call is done; a backend that returns a Work
  // calls Leave itself, once, when the call has really ended.
  virtual std::unique_ptr<Work> DoAllGather(const at::Tensor& output, const at::Tensor& input,
                                            const Call& call) = 0;
  virtual std::unique_ptr<Work> DoReduceScatter(const at::Tensor& output, const at::Tensor& input,
                                                ReduceOp op, const Call& call) = 0;
  virtual std::unique_ptr<Work> DoAllReduce(const at::Tensor& tensor, ReduceOp op,
                                            const Call& call) = 0;
  virtual std::unique_ptr<Work> DoBroadcast(const at::Tensor& tensor, int root,
                                            const Call& call) = 0;
  virtual std::unique_ptr<Work> DoAllToAll(const at::Tensor& output, const at::Tensor& input,
                                           const Call& call) = 0;
  virtual std::unique_ptr<Work> DoSend(const at::Tensor& tensor, int to, const Call& call) = 0;
  virtual std::unique_ptr<Work> DoReceive(const at::Tensor& tensor, int from, const Call& call) = 0;
  virtual void DoBarrier(const Call& call) = 0;
  virtual std::unique_ptr<Communicator> DoSplit(int color, int key, std::string name,
                                                const Call& call) = 0;
  // Must let waiting ranks go where it can, from any thread; calls after the first do nothing.
  virtual void DoAbort(std::string_view reason) = 0;
  // Records the end of a call; from any thread.
  static void Leave(telemetry::FlightRecorder* recorder, uint64_t ticket,
                    const absl::Status& status);
  // How errors name the call.
  std::string Describe(const Call& call) const;
  // What must be the same on all ranks: "all-gather #17 of 'model.layers.2' (Float, 64 bytes)".
  static std::string Signature(const Call& call);

 private:
  // Records the call and runs `start`, and its end unless a Work was returned.
  template <typename Start>
  std::unique_ptr<Work> Record(Call& call, const Start& start);
  Call CollectiveCall(std::string_view collective, std::string_view unit, const at::Tensor& larger,
                      int root_or_op);
  void CheckTensor(const at::Tensor& tensor, std::string_view what, const Call& call) const;
  void CheckPair(const at::Tensor& output, const at::Tensor& input, const Call& call) const;
  void CheckPeer(int peer, const Call& call) const;

  int rank_;
  int size_;
  std::string name_;
  int64_t collectives_ = 0;
  int64_t messages_ = 0;
  telemetry::FlightRecorder* recorder_ = nullptr;
};

// A group of one: every collective is a copy or nothing. `name` stands in records and errors.
std::unique_ptr<Communicator> SingleRank(std::string name = "world");

// "all-gather #17 of 'model.layers.2' in group 'world'": how messages name a call.
std::string Describe(std::string_view collective, int64_t sequence, std::string_view unit,
                     std::string_view group);

}  // namespace tanren::comm

#endif  // TANREN_RUNTIME_COMM_COMMUNICATOR_H_
