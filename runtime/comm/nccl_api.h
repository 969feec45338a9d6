// What the nccl backend needs of NCCL and CUDA, and no more. The CUDA module implements it
// (runtime/cuda); so everything above builds without CUDA, and a fake tests it without a GPU.
//
// Nothing here throws. Calls are asynchronous: a call on a group may answer kInProgress, and then
// State tells when it has been started; until then no other call may be made on that group.
#ifndef TANREN_RUNTIME_COMM_NCCL_API_H_
#define TANREN_RUNTIME_COMM_NCCL_API_H_

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/comm/communicator.h"

namespace tanren::comm {

// ncclUniqueId: made by one rank, needed by all.
using NcclId = std::array<std::byte, 128>;

class NcclApi {
 public:
  struct Group;   // ncclComm_t
  struct Stream;  // cudaStream_t
  struct Event;   // cudaEvent_t

  enum class Code {
    kOk,
    kInProgress,
    kPeerFailed,  // another process ended or can't be reached any longer
    kFailed,
  };
  struct Result {
    Code code = Code::kOk;
    std::string message = {};  // the library's words, where the call failed
  };

  virtual ~NcclApi() = default;

  // The one device of this rank; its number is that of the process.
  virtual at::Device device() const = 0;
  // Makes it the calling thread's current one. Each thread calls this before anything else.
  virtual void UseDevice() = 0;

  virtual Result MakeId(NcclId* id) = 0;
  virtual Result Join(int rank, int size, const NcclId& id, Group** group) = 0;
  virtual Result Split(Group* group, int color, int key, Group** part) = 0;
  virtual Result PlaceIn(Group* group, int* rank, int* size) = 0;
  // How the latest call on the group is doing, and whether the group is in order at all.
  virtual Result State(Group* group) = 0;
  // Announces the end of a group in order, which all ranks do; then Free once State is kOk.
  virtual Result Finalize(Group* group) = 0;
  virtual void Free(Group* group) = 0;
  // Ends what is under way on the device, and frees the group, without the other ranks.
  virtual void Abort(Group* group) = 0;

  // Device memory that NCCL can map, for Register; kFailed where the driver can't.
  virtual Result AllocateMemory(int64_t bytes, void** data) = 0;
  virtual void FreeMemory(void* data) = 0;
  // From now on the group moves this memory without a copy, until Deregister of the `handle`.
  virtual Result Register(Group* group, void* data, int64_t bytes, void** handle) = 0;
  virtual Result Deregister(Group* group, void* handle) = 0;

  // Counts are elements: of one rank's part for all-gather and reduce-scatter.
  virtual Result AllGather(void* output, const void* input, int64_t count, at::ScalarType dtype,
                           Group* group, Stream* stream) = 0;
  virtual Result ReduceScatter(void* output, const void* input, int64_t count, at::ScalarType dtype,
                               ReduceOp op, Group* group, Stream* stream) = 0;
  virtual Result AllReduce(void* data, int64_t count, at::ScalarType dtype, ReduceOp op,
                           Group* group, Stream* stream) = 0;
  virtual Result Broadcast(void* data, int64_t count, at::ScalarType dtype, int root, Group* group,
                           Stream* stream) = 0;
  virtual Result Send(const void* data, int64_t count, at::ScalarType dtype, int to, Group* group,
                      Stream* stream) = 0;
  virtual Result Receive(void* data, int64_t count, at::ScalarType dtype, int from, Group* group,
                         Stream* stream) = 0;
  // Sends and receives between the two run at once; a rank may then send to itself.
  virtual Result StartTogether() = 0;
  virtual Result EndTogether() = 0;

  // output[i] = the reduction over j of parts[j × stride + i], taken from j = 0 on, bf16 and fp16
  // in fp32 and rounded once; NaN if any is. `dtype` is a floating-point type; `output` may be
  // anywhere outside the parts.
  virtual Result ReduceParts(ReduceOp op, at::ScalarType dtype, void* output, const void* parts,
                             int64_t stride, int part_count, int64_t count, Stream* stream) = 0;

  virtual Result MakeStream(Stream** stream) = 0;
  virtual void FreeStream(Stream* stream) = 0;
  virtual Result MakeEvent(Event** event) = 0;
  virtual void FreeEvent(Event* event) = 0;
  // The stream that libtorch uses in this thread.
  virtual Stream* CurrentStream() = 0;
  virtual Result Record(Event* event, Stream* stream) = 0;
  // What comes to the stream later runs after the event.
  virtual Result MakeWait(Stream* stream, Event* event) = 0;
  // kOk once the event has come.
  virtual Result Query(Event* event) = 0;
};

}  // namespace tanren::comm

#endif  // TANREN_RUNTIME_COMM_NCCL_API_H_
