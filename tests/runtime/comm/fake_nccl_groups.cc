// The groups of fake_nccl.h, and what their ranks do together.
#include <ATen/ops/from_blob.h>

#include <cstring>
#include <deque>
#include <thread>
#include <utility>

#include "runtime/comm/local.h"
#include "tests/runtime/comm/fake_nccl.h"
#include "tests/runtime/comm/fake_stream.h"

namespace tanren::comm {
namespace {

// What a group is made of; jobs of streams hold it, so that an abort doesn't take it from them.
struct Seat {
  std::shared_ptr<FakeNetwork> network;
  NcclId id{};
  int size = 1;
  std::unique_ptr<Communicator> ranks;  // null until all have come, or the split is through
  std::atomic<int> under_way = 0;
  std::mutex mutex;
  NcclApi::Result state;  // guarded by mutex

  void Set(NcclApi::Result result) {
    std::lock_guard lock(mutex);
    state = std::move(result);
  }
  NcclApi::Result Get() {
    std::lock_guard lock(mutex);
    return state;
  }
};

at::Tensor View(const void* data, int64_t count, at::ScalarType dtype) {
  return at::from_blob(const_cast<void*>(data), {count}, at::TensorOptions().dtype(dtype));
}

}  // namespace

struct NcclApi::Group {
  std::shared_ptr<Seat> seat;
};

void FakeNccl::Give(Group* group, Stream* stream, Move move) {
  ++group->seat->under_way;
  stream->Give([this, seat = group->seat, move = std::move(move)] {
    hold_.wait(true);
    try {
      if (seat->Get().code == Code::kOk) move(*seat->ranks);
    } catch (const std::exception& error) {
      seat->Set({Code::kPeerFailed, error.what()});
    }
    --seat->under_way;
  });
}

NcclApi::Result FakeNccl::MakeId(NcclId* id) {
  static std::atomic<uint32_t> made = 0;
  const uint32_t number = ++made;
  id->fill(std::byte{0});
  std::memcpy(id->data(), &number, sizeof(number));
  return Note("make id");
}

NcclApi::Result FakeNccl::Join(int rank, int size, const NcclId& id, Group** group) {
  if (Result result = Note("join"); result.code != Code::kOk) return result;
  auto seat = std::make_shared<Seat>();
  seat->network = network_;
  seat->id = id;
  seat->size = size;
  seat->state = {Code::kInProgress};
  std::lock_guard lock(network_->mutex);
  FakeNetwork::Meeting& meeting = network_->meetings[id];
  if (meeting.seats.empty()) meeting.seats = LocalRanks(size);
  seat->ranks = std::move(meeting.seats[rank]);
  ++meeting.arrived;
  *group = new Group{std::move(seat)};
  return {Code::kInProgress};
}

NcclApi::Result FakeNccl::State(Group* group) {
  {
    std::lock_guard lock(mutex_);
    if (state_.code != Code::kOk) return state_;
  }
  Seat& seat = *group->seat;
  Result state = seat.Get();
  if (state.code == Code::kInProgress && seat.id != NcclId{}) {
    std::lock_guard lock(network_->mutex);
    if (network_->meetings[seat.id].arrived == seat.size) {
      seat.Set({});
      return {};
    }
  }
  return state;
}

NcclApi::Result FakeNccl::Split(Group* group, int color, int key, Group** part) {
  if (Result result = Note("split"); result.code != Code::kOk) return result;
  const std::shared_ptr<Seat> from = group->seat;
  if (from->under_way > 0) return {Code::kFailed, "split of a group that is not at rest"};
  auto seat = std::make_shared<Seat>();
  seat->network = network_;
  seat->state = {Code::kInProgress};
  from->Set({Code::kInProgress});
  *part = new Group{seat};
  std::thread([from, seat, color, key] {
    try {
      seat->ranks = from->ranks->Split(color, key);
      seat->Set({});
      from->Set({});
    } catch (const std::exception& error) {
      seat->Set({Code::kPeerFailed, error.what()});
      from->Set({Code::kPeerFailed, error.what()});
    }
  }).detach();
  return {Code::kInProgress};
}

NcclApi::Result FakeNccl::PlaceIn(Group* group, int* rank, int* size) {
  *rank = group->seat->ranks->rank();
  *size = group->seat->ranks->size();
  return {};
}

NcclApi::Result FakeNccl::Finalize(Group* group) { return Note("finalize"); }

void FakeNccl::Free(Group* group) {
  Note("free");
  delete group;
}

void FakeNccl::Abort(Group* group) {
  Note("abort");
  {
    std::lock_guard lock(mutex_);
    registered_.clear();
  }
  if (group->seat->ranks != nullptr) group->seat->ranks->Abort("aborted");
  delete group;
}

NcclApi::Result FakeNccl::AllGather(void* output, const void* input, int64_t count,
                                    at::ScalarType dtype, Group* group, Stream* stream) {
  if (Result result = Note("all-gather"); result.code != Code::kOk) return result;
  const int64_t whole = count * group->seat->ranks->size();
  Touch(stream, input, count, dtype, Use::kReads, "all-gather");
  Touch(stream, output, whole, dtype, Use::kWrites, "all-gather");
  const auto element = static_cast<int64_t>(c10::elementSize(dtype));
  if (IsRegistered(output, whole * element) && IsRegistered(input, count * element)) {
    ++registered_gathers_;
  }
  Give(group, stream, [=](Communicator& ranks) {
    ranks.AllGather(View(output, count * ranks.size(), dtype), View(input, count, dtype), "fake")
        ->Wait();
  });
  return {};
}

NcclApi::Result FakeNccl::ReduceScatter(void* output, const void* input, int64_t count,
                                        at::ScalarType dtype, ReduceOp op, Group* group,
                                        Stream* stream) {
  if (Result result = Note("reduce-scatter"); result.code != Code::kOk) return result;
  Touch(stream, input, count * group->seat->ranks->size(), dtype, Use::kReads, "reduce-scatter");
  Touch(stream, output, count, dtype, Use::kWrites, "reduce-scatter");
  Give(group, stream, [=](Communicator& ranks) {
    ranks
        .ReduceScatter(View(output, count, dtype), View(input, count * ranks.size(), dtype), op,
                       "fake")
        ->Wait();
  });
  return {};
}

NcclApi::Result FakeNccl::AllReduce(void* data, int64_t count, at::ScalarType dtype, ReduceOp op,
                                    Group* group, Stream* stream) {
  if (Result result = Note("all-reduce"); result.code != Code::kOk) return result;
  Touch(stream, data, count, dtype, Use::kWrites, "all-reduce");
  Give(group, stream,
       [=](Communicator& ranks) { ranks.AllReduce(View(data, count, dtype), op, "fake")->Wait(); });
  return {};
}

NcclApi::Result FakeNccl::Broadcast(void* data, int64_t count, at::ScalarType dtype, int root,
                                    Group* group, Stream* stream) {
  if (Result result = Note("broadcast"); result.code != Code::kOk) return result;
  Touch(stream, data, count, dtype, Use::kWrites, "broadcast");
  Give(group, stream, [=](Communicator& ranks) {
    ranks.Broadcast(View(data, count, dtype), root, "fake")->Wait();
  });
  return {};
}

NcclApi::Result FakeNccl::Send(const void* data, int64_t count, at::ScalarType dtype, int to,
                               Group* group, Stream* stream) {
  if (Result result = Note("send"); result.code != Code::kOk) return result;
  Touch(stream, data, count, dtype, Use::kReads, "send");
  return Transfer({true, const_cast<void*>(data), count, dtype, to, group, stream});
}

NcclApi::Result FakeNccl::Receive(void* data, int64_t count, at::ScalarType dtype, int from,
                                  Group* group, Stream* stream) {
  if (Result result = Note("receive"); result.code != Code::kOk) return result;
  Touch(stream, data, count, dtype, Use::kWrites, "receive");
  return Transfer({false, data, count, dtype, from, group, stream});
}

NcclApi::Result FakeNccl::Transfer(Message message) {
  messages_.push_back(message);
  return together_ ? Result{} : EndTogether();
}

NcclApi::Result FakeNccl::StartTogether() {
  together_ = true;
  return {};
}

NcclApi::Result FakeNccl::EndTogether() {
  together_ = false;
  const std::vector<Message> messages = std::exchange(messages_, {});
  if (messages.empty()) return {};
  Give(messages[0].group, messages[0].stream, [messages](Communicator& ranks) {
    std::deque<const Message*> to_itself;
    for (const Message& message : messages) {
      if (!message.sends) continue;
      if (message.peer == ranks.rank()) {
        to_itself.push_back(&message);
      } else {
        ranks.Send(View(message.data, message.count, message.dtype), message.peer, "fake")->Wait();
      }
    }
    for (const Message& message : messages) {
      if (message.sends) continue;
      const at::Tensor target = View(message.data, message.count, message.dtype);
      if (message.peer == ranks.rank()) {
        std::memcpy(message.data, to_itself.front()->data, target.nbytes());
        to_itself.pop_front();
      } else {
        ranks.Receive(target, message.peer, "fake")->Wait();
      }
    }
  });
  return {};
}

}  // namespace tanren::comm
