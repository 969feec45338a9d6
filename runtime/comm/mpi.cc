#include "runtime/comm/mpi.h"

#include <mpi.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"
#include "runtime/comm/mpi_exchange.h"
#include "runtime/comm/mpi_messages.h"
#include "runtime/comm/progress_thread.h"
#include "runtime/telemetry/flight_explanation.h"

namespace tanren::comm {
namespace {

// What jobs of a progress thread share with the communicator, which may go before them.
struct Core {
  // Throws on every rank if the ranks' signatures differ.
  void Compare(const std::string& signature) const {
    constexpr int kLength = 192;
    const int size = exchange.size();
    std::string all(static_cast<size_t>(kLength) * size, '\0');
    std::string mine = signature.substr(0, kLength - 1);
    mine.resize(kLength);
    CheckMpi(MPI_Allgather(mine.data(), kLength, MPI_CHAR, all.data(), kLength, MPI_CHAR, group),
             "MPI_Allgather of call signatures");
    for (int i = 1; i < size; ++i) {
      const char* other = all.data() + static_cast<size_t>(i) * kLength;
      if (std::strcmp(other, all.c_str()) == 0) continue;
      throw Error(absl::InternalError(
          fmt::format("rank 0 calls {}, rank {} calls {}: ranks disagree", all.c_str(), i, other)));
    }
  }

  MPI_Comm group;
  MpiExchange exchange;
};

class MpiCommunicator final : public Communicator {
 public:
  // Takes `group` over.
  MpiCommunicator(MPI_Comm group, int rank, int size, std::string name, const MpiOptions& options)
      : Communicator(rank, size, std::move(name)),
        options_(options),
        core_(std::make_shared<Core>(Core{group, MpiExchange(group, options.chunk_bytes)})),
        messages_(std::make_shared<MpiMessages>(group, options.chunk_bytes)) {
    CheckMpi(MPI_Comm_set_errhandler(group, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    if (options_.progress_thread) thread_ = std::make_unique<ProgressThread>();
  }

  ~MpiCommunicator() override {
    thread_.reset();
    // Freeing is collective: while an exception unwinds, other ranks may never come.
    if (std::uncaught_exceptions() == 0 && messages_->Drained()) MPI_Comm_free(&core_->group);
  }

 protected:
  std::unique_ptr<Work> DoAllGather(const at::Tensor& output, const at::Tensor& input,
                                    const Call& call) override {
    return Collective(call, [output, input](Core& core) {
      core.exchange.AllGather(Bytes(output), Bytes(input), static_cast<int64_t>(input.nbytes()));
    });
  }

  std::unique_ptr<Work> DoReduceScatter(const at::Tensor& output, const at::Tensor& input,
                                        ReduceOp op, const Call& call) override {
    return Collective(call, [output, input, op](Core& core) {
      core.exchange.ReduceScatter(Bytes(output), Bytes(input), output.numel(), output.scalar_type(),
                                  op);
    });
  }

  std::unique_ptr<Work> DoAllReduce(const at::Tensor& tensor, ReduceOp op,
                                    const Call& call) override {
    return Collective(call, [tensor, op](Core& core) {
      core.exchange.AllReduce(Bytes(tensor), tensor.numel(), tensor.scalar_type(), op);
    });
  }

  std::unique_ptr<Work> DoBroadcast(const at::Tensor& tensor, int root, const Call& call) override {
    return Collective(call, [tensor, root](Core& core) {
      core.exchange.Broadcast(Bytes(tensor), static_cast<int64_t>(tensor.nbytes()), root);
    });
  }

  std::unique_ptr<Work> DoAllToAll(const at::Tensor& output, const at::Tensor& input,
                                   const Call& call) override {
    return Collective(call, [output, input](Core& core) {
      const int size = core.exchange.size(), rank = core.exchange.rank();
      const auto part = static_cast<int64_t>(input.nbytes()) / size;
      std::vector<SendPart> to(size);
      std::vector<ReceivePart> from(size);
      for (int i = 0; i < size; ++i) {
        to[i] = {Bytes(input) + i * part, part};
        from[i] = {Bytes(output) + i * part, part};
      }
      core.exchange.All(to, from);
      if (part > 0) std::memcpy(from[rank].data, to[rank].data, part);
    });
  }

  std::unique_ptr<Work> DoSend(const at::Tensor& tensor, int to, const Call& call) override {
    return messages_->Send(tensor, to, Ending(call));
  }
  std::unique_ptr<Work> DoReceive(const at::Tensor& tensor, int from, const Call& call) override {
    return messages_->Receive(tensor, from, Ending(call));
  }

  void DoBarrier(const Call& call) override {
    WaitFor(Collective(call, [](Core& core) { CheckMpi(MPI_Barrier(core.group), "MPI_Barrier"); }));
  }

  std::unique_ptr<Communicator> DoSplit(int color, int key, std::string name,
                                        const Call& call) override {
    MPI_Comm part = MPI_COMM_NULL;
    WaitFor(Collective(call, [color, key, &part](Core& core) {
      CheckMpi(MPI_Comm_split(core.group, color, key, &part), "MPI_Comm_split");
    }));
    int part_rank = 0, part_size = 1;
    CheckMpi(MPI_Comm_rank(part, &part_rank), "MPI_Comm_rank");
    CheckMpi(MPI_Comm_size(part, &part_size), "MPI_Comm_size");
    return std::make_unique<MpiCommunicator>(part, part_rank, part_size, std::move(name), options_);
  }

  [[noreturn]] void DoAbort(std::string_view reason) override {
    // One message: the explanation holds the reason, and one rank prints it.
    if (flight_recorder() != nullptr) {
      telemetry::ExplainBeforeTheEnd(*flight_recorder());
    } else {
      LogError("rank {} ends the job: {}", rank(), reason);
    }
    int main_thread = 0, level = MPI_THREAD_SINGLE;
    MPI_Is_thread_main(&main_thread);
    MPI_Query_thread(&level);
    // MPI ends the other ranks; where this thread may not call it, the launcher does.
    if (main_thread != 0 || level == MPI_THREAD_MULTIPLE) {
      MPI_Abort(MPI_COMM_WORLD, kAbortExitCode);
    }
    _exit(kAbortExitCode);
  }

 private:
  static std::byte* Bytes(const at::Tensor& tensor) {
    return static_cast<std::byte*>(tensor.mutable_data_ptr());
  }
  static void WaitFor(const std::unique_ptr<Work>& work) {
    if (work != nullptr) work->Wait();
  }

  using Move = std::function<void(Core&)>;

  // Runs `move` here, or on the progress thread; it owns the tensors it needs.
  std::unique_ptr<Work> Collective(const Call& call, Move move) {
    auto run = [core = core_, signature = options_.verify ? Signature(call) : std::string(),
                description = Describe(call), move = std::move(move)] {
      try {
        if (!signature.empty()) core->Compare(signature);
        move(*core);
      } catch (const Error& error) {
        throw Error(Annotate(error.status(), description));
      }
    };
    if (thread_ == nullptr) {
      run();
      return nullptr;
    }
    return thread_->Start([run = std::move(run), ending = Ending(call)] {
      try {
        run();
      } catch (...) {
        const absl::Status status = StatusOfCurrentException();
        ending(status);
        throw Error(status);
      }
      ending(absl::OkStatus());
    });
  }

  MpiMessages::Ending Ending(const Call& call) {
    return [recorder = flight_recorder(), ticket = call.ticket](const absl::Status& status) {
      Leave(recorder, ticket, status);
    };
  }

  MpiOptions options_;
  std::shared_ptr<Core> core_;
  std::shared_ptr<MpiMessages> messages_;
  std::unique_ptr<ProgressThread> thread_;
};

std::string_view LevelName(int level) {
  switch (level) {
    case MPI_THREAD_SINGLE:
      return "MPI_THREAD_SINGLE";
    case MPI_THREAD_FUNNELED:
      return "MPI_THREAD_FUNNELED";
    case MPI_THREAD_SERIALIZED:
      return "MPI_THREAD_SERIALIZED";
    default:
      return "MPI_THREAD_MULTIPLE";
  }
}

}  // namespace

bool StartedByMpi() {
  return std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr || std::getenv("PMIX_RANK") != nullptr ||
         std::getenv("PMI_RANK") != nullptr;
}

MpiSession::MpiSession(const MpiOptions& options)
    : options_(options), exceptions_(std::uncaught_exceptions()) {
  // Backward passes may call from another thread than the one that made this, one at a time.
  const int wanted = options.progress_thread ? MPI_THREAD_MULTIPLE : MPI_THREAD_SERIALIZED;
  int given = MPI_THREAD_SINGLE;
  CheckMpi(MPI_Init_thread(nullptr, nullptr, wanted, &given), "MPI_Init_thread");
  if (given < wanted) {
    MPI_Finalize();
    throw Error(absl::FailedPreconditionError(
        fmt::format("this MPI library gives {}, {} is needed{}", LevelName(given),
                    LevelName(wanted), options.progress_thread ? " for the progress thread" : "")));
  }
}

MpiSession::~MpiSession() {
  if (std::uncaught_exceptions() == exceptions_) MPI_Finalize();
}

std::unique_ptr<Communicator> MpiSession::World() {
  // A copy: our messages can't meet those of others who use MPI_COMM_WORLD.
  MPI_Comm copy = MPI_COMM_NULL;
  CheckMpi(MPI_Comm_dup(MPI_COMM_WORLD, &copy), "MPI_Comm_dup");
  int rank = 0, size = 1;
  CheckMpi(MPI_Comm_rank(copy, &rank), "MPI_Comm_rank");
  CheckMpi(MPI_Comm_size(copy, &size), "MPI_Comm_size");
  return std::make_unique<MpiCommunicator>(copy, rank, size, "world", options_);
}

}  // namespace tanren::comm
