// NcclApi over the real NCCL and CUDA.
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstring>
#include <exception>
#include <string>

#include "runtime/comm/nccl_api.h"
#include "runtime/cuda/element_type_of.h"
#include "runtime/cuda/reduce_parts.h"

namespace tanren::cuda {
namespace {

using comm::NcclApi;
using comm::NcclId;
using comm::ReduceOp;

using Result = NcclApi::Result;
using Code = NcclApi::Code;

static_assert(sizeof(ncclUniqueId) == sizeof(NcclId));

ncclComm_t Comm(NcclApi::Group* group) { return reinterpret_cast<ncclComm_t>(group); }
cudaStream_t Stream(NcclApi::Stream* stream) { return reinterpret_cast<cudaStream_t>(stream); }
cudaEvent_t Event(NcclApi::Event* event) { return reinterpret_cast<cudaEvent_t>(event); }

Result Of(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return {};
    case ncclInProgress:
      return {Code::kInProgress};
    default: {
      std::string message = ncclGetErrorString(result);
      // What exactly happened; NCCL keeps it for the thread's latest failure.
      if (const char* detail = ncclGetLastError(nullptr); detail != nullptr && *detail != '\0') {
        message += std::string(" (") + detail + ")";
      }
      return {result == ncclRemoteError ? Code::kPeerFailed : Code::kFailed, std::move(message)};
    }
  }
}

Result Of(cudaError_t result) {
  if (result == cudaSuccess) return {};
  if (result == cudaErrorNotReady) return {Code::kInProgress};
  return {Code::kFailed, std::string("CUDA: ") + cudaGetErrorString(result)};
}

// Communicators take no other types.
ncclDataType_t Type(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return ncclFloat32;
    case at::kDouble:
      return ncclFloat64;
    case at::kBFloat16:
      return ncclBfloat16;
    case at::kHalf:
      return ncclFloat16;
    case at::kInt:
      return ncclInt32;
    case at::kLong:
      return ncclInt64;
    default:
      return ncclUint8;
  }
}

ncclRedOp_t Op(ReduceOp op) {
  switch (op) {
    case ReduceOp::kMax:
      return ncclMax;
    case ReduceOp::kMin:
      return ncclMin;
    default:
      return ncclSum;
  }
}

class CudaNccl final : public NcclApi {
 public:
  explicit CudaNccl(int device) : device_(device) {}

  at::Device device() const override {
    return at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(device_));
  }
  void UseDevice() override { cudaSetDevice(device_); }

  Result MakeId(NcclId* id) override {
    ncclUniqueId made;
    const Result result = Of(ncclGetUniqueId(&made));
    if (result.code == Code::kOk) std::memcpy(id->data(), &made, sizeof(made));
    return result;
  }

  Result Join(int rank, int size, const NcclId& id, Group** group) override {
    ncclUniqueId given;
    std::memcpy(&given, id.data(), sizeof(given));
    ncclConfig_t config = NonBlocking();
    return Of(
        ncclCommInitRankConfig(reinterpret_cast<ncclComm_t*>(group), size, given, rank, &config));
  }

  Result Split(Group* group, int color, int key, Group** part) override {
    ncclConfig_t config = NonBlocking();
    const Result result =
        Of(ncclCommSplit(Comm(group), color, key, reinterpret_cast<ncclComm_t*>(part), &config));
    // The answer is success also while the split is under way; the group that is split knows.
    return result.code == Code::kOk ? State(group) : result;
  }

  Result PlaceIn(Group* group, int* rank, int* size) override {
    const Result result = Of(ncclCommUserRank(Comm(group), rank));
    return result.code == Code::kOk ? Of(ncclCommCount(Comm(group), size)) : result;
  }

  Result State(Group* group) override {
    ncclResult_t state = ncclSuccess;
    const Result result = Of(ncclCommGetAsyncError(Comm(group), &state));
    return result.code == Code::kOk ? Of(state) : result;
  }

  Result Finalize(Group* group) override { return Of(ncclCommFinalize(Comm(group))); }
  void Free(Group* group) override { ncclCommDestroy(Comm(group)); }
  void Abort(Group* group) override { ncclCommAbort(Comm(group)); }

  Result AllocateMemory(int64_t bytes, void** data) override {
    return Of(ncclMemAlloc(data, static_cast<size_t>(bytes)));
  }
  void FreeMemory(void* data) override { ncclMemFree(data); }
  Result Register(Group* group, void* data, int64_t bytes, void** handle) override {
    return Of(ncclCommRegister(Comm(group), data, static_cast<size_t>(bytes), handle));
  }
  Result Deregister(Group* group, void* handle) override {
    return Of(ncclCommDeregister(Comm(group), handle));
  }

  Result AllGather(void* output, const void* input, int64_t count, at::ScalarType dtype,
                   Group* group, Stream* stream) override {
    return Of(ncclAllGather(input, output, static_cast<size_t>(count), Type(dtype), Comm(group),
                            cuda::Stream(stream)));
  }
  Result ReduceScatter(void* output, const void* input, int64_t count, at::ScalarType dtype,
                       ReduceOp op, Group* group, Stream* stream) override {
    return Of(ncclReduceScatter(input, output, static_cast<size_t>(count), Type(dtype), Op(op),
                                Comm(group), cuda::Stream(stream)));
  }
  Result AllReduce(void* data, int64_t count, at::ScalarType dtype, ReduceOp op, Group* group,
                   Stream* stream) override {
    return Of(ncclAllReduce(data, data, static_cast<size_t>(count), Type(dtype), Op(op),
                            Comm(group), cuda::Stream(stream)));
  }
  Result Broadcast(void* data, int64_t count, at::ScalarType dtype, int root, Group* group,
                   Stream* stream) override {
    return Of(ncclBroadcast(data, data, static_cast<size_t>(count), Type(dtype), root, Comm(group),
                            cuda::Stream(stream)));
  }
  Result Send(const void* data, int64_t count, at::ScalarType dtype, int to, Group* group,
              Stream* stream) override {
    return Of(ncclSend(data, static_cast<size_t>(count), Type(dtype), to, Comm(group),
                       cuda::Stream(stream)));
  }
  Result Receive(void* data, int64_t count, at::ScalarType dtype, int from, Group* group,
                 Stream* stream) override {
    return Of(ncclRecv(data, static_cast<size_t>(count), Type(dtype), from, Comm(group),
                       cuda::Stream(stream)));
  }
  Result StartTogether() override { return Of(ncclGroupStart()); }
  Result EndTogether() override { return Of(ncclGroupEnd()); }

  Result ReduceParts(ReduceOp op, at::ScalarType dtype, void* output, const void* parts,
                     int64_t stride, int part_count, int64_t count, Stream* stream) override {
    const std::optional<ElementType> type = ElementTypeOf(dtype);
    if (!type) return {Code::kFailed, "only floating-point types are reduced in parts"};
    const PartOp part_op = op == ReduceOp::kSum   ? PartOp::kSum
                           : op == ReduceOp::kMax ? PartOp::kMax
                                                  : PartOp::kMin;
    return Of(LaunchReduceParts(part_op, *type, output, parts, stride, part_count, count,
                                cuda::Stream(stream)));
  }

  Result MakeStream(Stream** stream) override {
    // Ahead of the computation's streams: what others wait for shouldn't queue behind it.
    int least = 0, greatest = 0;
    const Result result = Of(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    if (result.code != Code::kOk) return result;
    return Of(cudaStreamCreateWithPriority(reinterpret_cast<cudaStream_t*>(stream),
                                           cudaStreamNonBlocking, greatest));
  }
  void FreeStream(Stream* stream) override { cudaStreamDestroy(cuda::Stream(stream)); }

  Result MakeEvent(Event** event) override {
    return Of(
        cudaEventCreateWithFlags(reinterpret_cast<cudaEvent_t*>(event), cudaEventDisableTiming));
  }
  void FreeEvent(Event* event) override { cudaEventDestroy(cuda::Event(event)); }

  Stream* CurrentStream() override {
    return reinterpret_cast<Stream*>(
        c10::cuda::getCurrentCUDAStream(static_cast<c10::DeviceIndex>(device_)).stream());
  }
  Result Record(Event* event, Stream* stream) override {
    return Of(cudaEventRecord(cuda::Event(event), cuda::Stream(stream)));
  }
  Result MakeWait(Stream* stream, Event* event) override {
    return Of(cudaStreamWaitEvent(cuda::Stream(stream), cuda::Event(event), 0));
  }
  Result Query(Event* event) override { return Of(cudaEventQuery(cuda::Event(event))); }

 private:
  static ncclConfig_t NonBlocking() {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    return config;
  }

  int device_;
};

}  // namespace
}  // namespace tanren::cuda

extern "C" __attribute__((visibility("default"))) tanren::comm::NcclApi* tanren_cuda_nccl(
    int device) {
  return new tanren::cuda::CudaNccl(device);
}
