// NCCL and CUDA without either: ranks are threads, a stream is a thread that does what it was given
// in order, the device is the CPU or one that fake_device.h makes of it, and the data really moves.
#ifndef TANREN_TESTS_RUNTIME_COMM_FAKE_NCCL_H_
#define TANREN_TESTS_RUNTIME_COMM_FAKE_NCCL_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/comm/nccl.h"
#include "runtime/comm/nccl_api.h"
#include "tests/runtime/comm/race_detector.h"

namespace tanren::comm {

// Where ranks that join by the same id meet.
struct FakeNetwork {
  struct Meeting {
    std::vector<std::unique_ptr<Communicator>> seats;
    int arrived = 0;
  };
  std::mutex mutex;
  std::map<NcclId, Meeting> meetings;
};

class FakeNccl final : public NcclApi {
 public:
  // `races`, if given, are told which memory streams touch, and when; it must outlive this.
  explicit FakeNccl(std::shared_ptr<FakeNetwork> network, at::Device device = at::kCPU,
                    RaceDetector* races = nullptr)
      : network_(std::move(network)), device_(device), races_(races) {}

  // The calls that were made, e.g. "all-gather"; those that only look (State, Query) are left out.
  std::vector<std::string> Calls() const;
  // The next call of that name answers so.
  void AnswerNext(const std::string& call, Result answer);
  // From now on groups are not in order.
  void Break(Result state);
  // Work given to streams waits for this to be false again.
  void Hold(bool hold);
  // All-gathers whose results, and inputs, lie in registered memory.
  int64_t registered_gathers() const { return registered_gathers_; }

  at::Device device() const override { return device_; }
  void UseDevice() override;
  Result MakeId(NcclId* id) override;
  Result Join(int rank, int size, const NcclId& id, Group** group) override;
  Result Split(Group* group, int color, int key, Group** part) override;
  Result PlaceIn(Group* group, int* rank, int* size) override;
  Result State(Group* group) override;
  Result Finalize(Group* group) override;
  void Free(Group* group) override;
  void Abort(Group* group) override;
  Result AllocateMemory(int64_t bytes, void** data) override;
  void FreeMemory(void* data) override;
  Result Register(Group* group, void* data, int64_t bytes, void** handle) override;
  Result Deregister(Group* group, void* handle) override;
  Result AllGather(void* output, const void* input, int64_t count, at::ScalarType dtype,
                   Group* group, Stream* stream) override;
  Result ReduceScatter(void* output, const void* input, int64_t count, at::ScalarType dtype,
                       ReduceOp op, Group* group, Stream* stream) override;
  Result AllReduce(void* data, int64_t count, at::ScalarType dtype, ReduceOp op, Group* group,
                   Stream* stream) override;
  Result Broadcast(void* data, int64_t count, at::ScalarType dtype, int root, Group* group,
                   Stream* stream) override;
  Result Send(const void* data, int64_t count, at::ScalarType dtype, int to, Group* group,
              Stream* stream) override;
  Result Receive(void* data, int64_t count, at::ScalarType dtype, int from, Group* group,
                 Stream* stream) override;
  Result StartTogether() override;
  Result EndTogether() override;
  Result ReduceParts(ReduceOp op, at::ScalarType dtype, void* output, const void* parts,
                     int64_t stride, int part_count, int64_t count, Stream* stream) override;
  Result MakeStream(Stream** stream) override;
  void FreeStream(Stream* stream) override;
  Result MakeEvent(Event** event) override;
  void FreeEvent(Event* event) override;
  // The calling thread itself: what is recorded on it has come, and it waits in person.
  Stream* CurrentStream() override { return nullptr; }
  Result Record(Event* event, Stream* stream) override;
  Result MakeWait(Stream* stream, Event* event) override;
  Result Query(Event* event) override;

 private:
  using Move = std::function<void(Communicator&)>;
  struct Message {
    bool sends;
    void* data;
    int64_t count;
    at::ScalarType dtype;
    int peer;
    Group* group;
    Stream* stream;
  };

  // Notes the call, and gives it the answer that a test ordered.
  Result Note(const std::string& call);
  enum class Use { kReads, kWrites };
  // Tells the race detector, if there is one.
  void Touch(Stream* stream, const void* data, int64_t count, at::ScalarType dtype, Use use,
             std::string_view what);
  bool IsRegistered(const void* data, int64_t bytes) const;
  // `move` runs on the stream with the group's seat; what it throws is the group's state.
  void Give(Group* group, Stream* stream, Move move);
  Result Transfer(Message message);

  std::shared_ptr<FakeNetwork> network_;
  at::Device device_;
  RaceDetector* races_;
  mutable std::mutex mutex_;
  std::map<const void*, int64_t> registered_;  // bytes, by their address, which is the handle too
  std::atomic<int64_t> registered_gathers_ = 0;
  std::vector<std::string> calls_;
  std::map<std::string, Result> answers_;
  Result state_;
  std::atomic<bool> hold_ = false;
  bool together_ = false;
  std::vector<Message> messages_;
};

// Runs `body` on `count` threads, each a rank of a NcclWorld over the fake; the first exception
// aborts that rank's world, and is thrown here.
void RunFakeNcclRanks(int count, const NcclOptions& options,
                      const std::function<void(Communicator&, FakeNccl&)>& body);
// The same with an API of the test's for each rank.
using MakeFakeNccl =
    std::function<std::shared_ptr<FakeNccl>(int rank, std::shared_ptr<FakeNetwork> network)>;
void RunFakeNcclRanks(int count, const NcclOptions& options, const MakeFakeNccl& make,
                      const std::function<void(Communicator&, FakeNccl&)>& body);

}  // namespace tanren::comm

#endif  // TANREN_TESTS_RUNTIME_COMM_FAKE_NCCL_H_
