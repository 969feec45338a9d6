#include "runtime/comm/communicator.h"

#include <iterator>
#include <utility>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/telemetry/flight_recorder.h"

namespace tanren::comm {
namespace {

// A call that ended before it returned.
class DoneWork final : public Work {
 public:
  void Wait() override {}
};

bool Supported(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
    case at::kDouble:
    case at::kBFloat16:
    case at::kHalf:
    case at::kInt:
    case at::kLong:
    case at::kByte:
      return true;
    default:
      return false;
  }
}

[[noreturn]] void ThrowInvalid(std::string message) {
  throw Error(absl::InvalidArgumentError(std::move(message)));
}

}  // namespace

std::string_view Name(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return "sum";
    case ReduceOp::kMax:
      return "max";
    case ReduceOp::kMin:
      return "min";
  }
  return "unknown reduction";
}

std::string Describe(std::string_view collective, int64_t sequence, std::string_view unit,
                     std::string_view group) {
  return fmt::format("{} #{} of '{}' in group '{}'", collective, sequence, unit, group);
}

Communicator::Communicator(int rank, int size, std::string name)
    : rank_(rank), size_(size), name_(std::move(name)) {
  TANREN_CHECK(rank >= 0 && rank < size, "rank {} of {}", rank, size);
}

c10::DataPtr Communicator::TakeBuffer(int64_t bytes) {
  return c10::GetAllocator(device_type())->allocate(static_cast<size_t>(bytes));
}

std::string Communicator::Describe(const Call& call) const {
  return comm::Describe(call.collective, call.sequence, call.unit, name_);
}

std::string Communicator::Signature(const Call& call) {
  std::string signature = fmt::format("{} #{} of '{}'", call.collective, call.sequence, call.unit);
  if (call.dtype == at::ScalarType::Undefined) return signature;
  fmt::format_to(std::back_inserter(signature), " ({}, {} bytes", c10::toString(call.dtype),
                 call.bytes);
  if (call.collective == "broadcast") {
    fmt::format_to(std::back_inserter(signature), " from rank {}", call.root_or_op);
  } else if (call.collective == "all-reduce" || call.collective == "reduce-scatter") {
    fmt::format_to(std::back_inserter(signature), ", {}",
                   Name(static_cast<ReduceOp>(call.root_or_op)));
  }
  return signature + ")";
}

void Communicator::Leave(telemetry::FlightRecorder* recorder, uint64_t ticket,
                         const absl::Status& status) {
  if (recorder == nullptr) return;
  recorder->Leave(ticket,
                  status.ok() ? telemetry::CallState::kDone : telemetry::CallState::kFailed);
  // kAborted is the echo of another rank's failure; that rank has recorded it.
  if (!status.ok() && status.code() != absl::StatusCode::kAborted) {
    recorder->Fail(std::string_view(status.message().data(), status.message().size()));
  }
}

template <typename Start>
std::unique_ptr<Work> Communicator::Record(Call& call, const Start& start) {
  if (recorder_ != nullptr) {
    call.ticket = recorder_->Enter(
        {name_, std::string(call.collective), std::string(call.unit),
         call.dtype == at::ScalarType::Undefined ? "" : std::string(c10::toString(call.dtype)),
         call.sequence, call.bytes});
  }
  try {
    std::unique_ptr<Work> work = start();
    if (work != nullptr) return work;
    Leave(recorder_, call.ticket, absl::OkStatus());
    return std::make_unique<DoneWork>();
  } catch (...) {
    const absl::Status status = StatusOfCurrentException();
    Leave(recorder_, call.ticket, status);
    throw Error(status);
  }
}

Communicator::Call Communicator::CollectiveCall(std::string_view collective, std::string_view unit,
                                                const at::Tensor& larger, int root_or_op) {
  Call call{.collective = collective, .unit = unit, .sequence = collectives_ + 1};
  call.root_or_op = root_or_op;
  CheckTensor(larger, "the tensor", call);
  call.dtype = larger.scalar_type();
  call.bytes = static_cast<int64_t>(larger.nbytes());
  return call;
}

void Communicator::CheckTensor(const at::Tensor& tensor, std::string_view what,
                               const Call& call) const {
  if (!tensor.defined()) ThrowInvalid(fmt::format("{}: {} is undefined", Describe(call), what));
  if (!Supported(tensor.scalar_type())) {
    ThrowInvalid(fmt::format(
        "{}: {} is {}; communicators take float32, float64, bfloat16, float16, int32, int64, uint8",
        Describe(call), what, c10::toString(tensor.scalar_type())));
  }
  if (!tensor.is_contiguous()) {
    ThrowInvalid(fmt::format("{}: {} is not contiguous", Describe(call), what));
  }
  if (tensor.device().type() != device_type()) {
    ThrowInvalid(fmt::format("{}: {} is on {}, this group communicates on {}", Describe(call), what,
                             tensor.device().str(), c10::DeviceTypeName(device_type(), true)));
  }
}

void Communicator::CheckPair(const at::Tensor& output, const at::Tensor& input,
                             const Call& call) const {
  CheckTensor(output, "the output", call);
  CheckTensor(input, "the input", call);
  if (output.scalar_type() != input.scalar_type()) {
    ThrowInvalid(fmt::format("{}: the input is {}, the output {}", Describe(call),
                             c10::toString(input.scalar_type()),
                             c10::toString(output.scalar_type())));
  }
}

void Communicator::CheckPeer(int peer, const Call& call) const {
  if (peer < 0 || peer >= size_) {
    ThrowInvalid(fmt::format("{}: there is no rank {} among {}", Describe(call), peer, size_));
  }
}

std::unique_ptr<Work> Communicator::AllGather(const at::Tensor& output, const at::Tensor& input,
                                              std::string_view unit) {
  Call call = CollectiveCall("all-gather", unit, output, 0);
  CheckPair(output, input, call);
  // Compared by division: a product could overflow.
  if (output.numel() % size_ != 0 || output.numel() / size_ != input.numel()) {
    ThrowInvalid(fmt::format("{}: the output has {} elements, expected {} ranks × {} of the input",
                             Describe(call), output.numel(), size_, input.numel()));
  }
  ++collectives_;
  return Record(call, [&] { return DoAllGather(output, input, call); });
}

std::unique_ptr<Work> Communicator::ReduceScatter(const at::Tensor& output, const at::Tensor& input,
                                                  ReduceOp op, std::string_view unit) {
  Call call = CollectiveCall("reduce-scatter", unit, input, static_cast<int>(op));
  CheckPair(output, input, call);
  if (input.numel() % size_ != 0 || input.numel() / size_ != output.numel()) {
    ThrowInvalid(fmt::format("{}: the input has {} elements, expected {} ranks × {} of the output",
                             Describe(call), input.numel(), size_, output.numel()));
  }
  ++collectives_;
  return Record(call, [&] { return DoReduceScatter(output, input, op, call); });
}

std::unique_ptr<Work> Communicator::AllReduce(const at::Tensor& tensor, ReduceOp op,
                                              std::string_view unit) {
  Call call = CollectiveCall("all-reduce", unit, tensor, static_cast<int>(op));
  ++collectives_;
  return Record(call, [&] { return DoAllReduce(tensor, op, call); });
}

std::unique_ptr<Work> Communicator::Broadcast(const at::Tensor& tensor, int root,
                                              std::string_view unit) {
  Call call = CollectiveCall("broadcast", unit, tensor, root);
  CheckPeer(root, call);
  ++collectives_;
  return Record(call, [&] { return DoBroadcast(tensor, root, call); });
}

std::unique_ptr<Work> Communicator::AllToAll(const at::Tensor& output, const at::Tensor& input,
                                             std::string_view unit) {
  Call call = CollectiveCall("all-to-all", unit, input, 0);
  CheckPair(output, input, call);
  if (input.numel() % size_ != 0 || input.numel() != output.numel()) {
    ThrowInvalid(fmt::format(
        "{}: the input has {} elements and the output {}, expected equal multiples of {} ranks",
        Describe(call), input.numel(), output.numel(), size_));
  }
  const auto* in = static_cast<const std::byte*>(input.const_data_ptr());
  const auto* out = static_cast<const std::byte*>(output.const_data_ptr());
  if (call.bytes > 0 && in < out + call.bytes && out < in + call.bytes) {
    ThrowInvalid(fmt::format("{}: input and output overlap", Describe(call)));
  }
  ++collectives_;
  return Record(call, [&] { return DoAllToAll(output, input, call); });
}

std::unique_ptr<Work> Communicator::Send(const at::Tensor& tensor, int to, std::string_view unit) {
  Call call = CollectiveCall("send", unit, tensor, to);
  CheckPeer(to, call);
  if (to == rank_) ThrowInvalid(fmt::format("{}: rank {} sends to itself", Describe(call), to));
  call.sequence = ++messages_;
  return Record(call, [&] { return DoSend(tensor, to, call); });
}

std::unique_ptr<Work> Communicator::Receive(const at::Tensor& tensor, int from,
                                            std::string_view unit) {
  Call call = CollectiveCall("receive", unit, tensor, from);
  CheckPeer(from, call);
  if (from == rank_) {
    ThrowInvalid(fmt::format("{}: rank {} receives from itself", Describe(call), from));
  }
  call.sequence = ++messages_;
  return Record(call, [&] { return DoReceive(tensor, from, call); });
}

void Communicator::Barrier(std::string_view unit) {
  Call call{.collective = "barrier", .unit = unit, .sequence = ++collectives_};
  Record(call, [&]() -> std::unique_ptr<Work> {
    DoBarrier(call);
    return nullptr;
  });
}

std::unique_ptr<Communicator> Communicator::Split(int color, int key, std::string_view axis) {
  const std::string split = axis.empty() ? fmt::format("{}", collectives_ + 1) : std::string(axis);
  Call call{.collective = "split", .unit = split, .sequence = collectives_ + 1};
  if (color < 0) ThrowInvalid(fmt::format("{}: color {} is negative", Describe(call), color));
  ++collectives_;
  std::unique_ptr<Communicator> part;
  Record(call, [&]() -> std::unique_ptr<Work> {
    part = DoSplit(color, key, fmt::format("{}/{}.{}", name_, split, color), call);
    return nullptr;
  });
  part->set_flight_recorder(recorder_);
  return part;
}

void Communicator::Abort(std::string_view reason) {
  if (recorder_ != nullptr) recorder_->Fail(reason);
  DoAbort(reason);
}

}  // namespace tanren::comm
