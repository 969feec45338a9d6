#include "tests/runtime/comm/fake_nccl.h"

#include <cstdlib>
#include <cstring>
#include <thread>

#include "runtime/base/error.h"
#include "runtime/comm/reduction.h"
#include "tests/runtime/comm/fake_device.h"
#include "tests/runtime/comm/fake_stream.h"

namespace tanren::comm {

std::vector<std::string> FakeNccl::Calls() const {
  std::lock_guard lock(mutex_);
  return calls_;
}

void FakeNccl::AnswerNext(const std::string& call, Result answer) {
  std::lock_guard lock(mutex_);
  answers_[call] = std::move(answer);
}

void FakeNccl::Break(Result state) {
  std::lock_guard lock(mutex_);
  state_ = std::move(state);
}

void FakeNccl::Hold(bool hold) {
  hold_ = hold;
  hold_.notify_all();
}

NcclApi::Result FakeNccl::Note(const std::string& call) {
  std::lock_guard lock(mutex_);
  calls_.push_back(call);
  const auto answer = answers_.find(call);
  if (answer == answers_.end()) return {};
  Result result = answer->second;
  answers_.erase(answer);
  return result;
}

void FakeNccl::UseDevice() {
  if (!device_.is_cpu()) UseFakeDevice(device_.index());
}

void FakeNccl::Touch(Stream* stream, const void* data, int64_t count, at::ScalarType dtype, Use use,
                     std::string_view what) {
  if (races_ == nullptr) return;
  races_->Access(stream->number, data, count * static_cast<int64_t>(c10::elementSize(dtype)),
                 use == Use::kReads ? RaceDetector::Kind::kRead : RaceDetector::Kind::kWrite, what);
}

bool FakeNccl::IsRegistered(const void* data, int64_t bytes) const {
  std::lock_guard lock(mutex_);
  auto next = registered_.upper_bound(data);
  if (next == registered_.begin()) return false;
  --next;
  return static_cast<const std::byte*>(data) + bytes <=
         static_cast<const std::byte*>(next->first) + next->second;
}

NcclApi::Result FakeNccl::AllocateMemory(int64_t bytes, void** data) {
  if (Result result = Note("allocate"); result.code != Code::kOk) return result;
  *data = std::malloc(static_cast<size_t>(bytes));
  // NaN: an unwritten element shows.
  std::memset(*data, 0xff, static_cast<size_t>(bytes));
  return {};
}

void FakeNccl::FreeMemory(void* data) {
  Note("free memory");
  // NCCL would go on writing there.
  TANREN_CHECK(!IsRegistered(data, 1), "registered memory is freed");
  std::free(data);
}

NcclApi::Result FakeNccl::Register(Group*, void* data, int64_t bytes, void** handle) {
  if (Result result = Note("register"); result.code != Code::kOk) return result;
  std::lock_guard lock(mutex_);
  if (!registered_.emplace(data, bytes).second) return {Code::kFailed, "is registered already"};
  *handle = data;
  return {};
}

NcclApi::Result FakeNccl::Deregister(Group*, void* handle) {
  if (Result result = Note("deregister"); result.code != Code::kOk) return result;
  std::lock_guard lock(mutex_);
  if (registered_.erase(handle) == 0) return {Code::kFailed, "is not registered"};
  return {};
}

NcclApi::Result FakeNccl::ReduceParts(ReduceOp op, at::ScalarType dtype, void* output,
                                      const void* parts, int64_t stride, int part_count,
                                      int64_t count, Stream* stream) {
  if (Result result = Note("reduce parts"); result.code != Code::kOk) return result;
  Touch(stream, parts, stride * (part_count - 1) + count, dtype, Use::kReads, "reduction");
  Touch(stream, output, count, dtype, Use::kWrites, "reduction");
  stream->Give([=] {
    std::vector<const void*> pointers(part_count);
    for (int i = 0; i < part_count; ++i) {
      pointers[i] = static_cast<const std::byte*>(parts) +
                    i * stride * static_cast<int64_t>(c10::elementSize(dtype));
    }
    Reduce(op, dtype, output, pointers, count);
  });
  return {};
}

NcclApi::Result FakeNccl::MakeStream(Stream** stream) {
  *stream = new Stream;
  if (races_ != nullptr) (*stream)->number = races_->NewStream();
  return {};
}
void FakeNccl::FreeStream(Stream* stream) { delete stream; }

NcclApi::Result FakeNccl::MakeEvent(Event** event) {
  *event = new Event;
  return {};
}
void FakeNccl::FreeEvent(Event* event) { delete event; }

NcclApi::Result FakeNccl::Record(Event* event, Stream* stream) {
  const auto mark = [done = event->done] {
    *done = true;
    done->notify_all();
  };
  if (Result result = Note(stream == nullptr ? "record the current stream" : "record ours");
      result.code != Code::kOk) {
    mark();
    return result;
  }
  if (races_ != nullptr) {
    races_->Record(event, stream == nullptr ? RaceDetector::kComputation : stream->number);
  }
  if (stream == nullptr) {
    mark();
  } else {
    stream->Give(mark);
  }
  return {};
}

NcclApi::Result FakeNccl::MakeWait(Stream* stream, Event* event) {
  if (Result result = Note(stream == nullptr ? "the current stream waits" : "ours waits");
      result.code != Code::kOk) {
    return result;
  }
  if (races_ != nullptr) {
    races_->Wait(stream == nullptr ? RaceDetector::kComputation : stream->number, event);
  }
  if (stream == nullptr) event->done->wait(false);
  // What is recorded on a thread has come already: ours has nothing to wait for.
  return {};
}

NcclApi::Result FakeNccl::Query(Event* event) {
  if (!*event->done) return {Code::kInProgress};
  if (races_ != nullptr) races_->SeenByHost(event);
  return {};
}

void RunFakeNcclRanks(int count, const NcclOptions& options,
                      const std::function<void(Communicator&, FakeNccl&)>& body) {
  const auto on_the_cpu = [](int, std::shared_ptr<FakeNetwork> network) {
    return std::make_shared<FakeNccl>(std::move(network));
  };
  RunFakeNcclRanks(count, options, on_the_cpu, body);
}

void RunFakeNcclRanks(int count, const NcclOptions& options, const MakeFakeNccl& make,
                      const std::function<void(Communicator&, FakeNccl&)>& body) {
  const auto network = std::make_shared<FakeNetwork>();
  NcclId id;
  FakeNccl(network).MakeId(&id);
  std::mutex mutex;
  std::exception_ptr first;
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < count; ++rank) {
      threads.emplace_back([&, rank] {
        const std::shared_ptr<FakeNccl> api = make(rank, network);
        const std::unique_ptr<Communicator> world = NcclWorld(api, rank, count, id, options);
        try {
          body(*world, *api);
        } catch (...) {
          {
            std::lock_guard lock(mutex);
            if (first == nullptr) first = std::current_exception();
          }
          world->Abort(StatusOfCurrentException().ToString());
        }
      });
    }
  }
  if (first != nullptr) std::rethrow_exception(first);
}

}  // namespace tanren::comm
