#include "runtime/comm/world.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"
#include "runtime/comm/launched_rank.h"
#include "runtime/comm/mpi.h"
#include "runtime/comm/nccl.h"
#include "runtime/comm/tcp_meeting.h"
#include "runtime/telemetry/flight_explanation.h"
#include "runtime/telemetry/peer_watch.h"
#include "runtime/telemetry/process_identity.h"
#include "runtime/telemetry/signals.h"

namespace tanren::comm {
namespace {

// A rank that only echoes another's failure leaves that one, and the watch, the time to speak.
constexpr auto kTimeForTheCause = std::chrono::seconds(2);

std::string Text(const absl::Status& status) {
  return std::string(status.message().data(), status.message().size());
}

const char* Getenv(const char* name) { return std::getenv(name); }

}  // namespace

// In the order in which they are made; they go the other way round, so that the watch still looks
// after ranks that wait for each other at MPI's end.
struct World::Parts {
  telemetry::SignalThread signals;
  std::unique_ptr<telemetry::FlightRecorder> recorder;
  std::unique_ptr<telemetry::PeerWatch> watch;
  std::optional<MpiSession> mpi;
  // The ranks over MPI, where `communicator` is over NCCL.
  std::unique_ptr<Communicator> control;
  std::unique_ptr<Communicator> communicator;
  at::Device device = at::kCPU;

  ~Parts() { signals.set_flight_recorder(nullptr); }

  void Connect(const WorldOptions& options) {
    const bool wants_gpu = options.backend == Backend::kAuto || options.backend == Backend::kNccl;
    // First of all: libtorch looks for CUDA once.
    const device::CudaModule* cuda = wants_gpu ? device::LoadedCudaModule() : nullptr;
    if (options.backend == Backend::kNccl && cuda == nullptr) {
      throw Error(absl::FailedPreconditionError(
          "the nccl backend was asked for, but this process has no GPU that it can use"));
    }
    if (options.backend != Backend::kSingle && StartedByMpi()) {
      mpi.emplace(MpiOptions{.progress_thread = options.progress_thread, .verify = options.verify});
      control = mpi->World();
      if (wants_gpu && EveryRankHas(cuda, options)) {
        JoinOverMpi(options, *cuda);
      } else {
        // One of its own: calls on it are counted from 1.
        communicator = mpi->World();
        control.reset();
      }
      return;
    }
    if (options.backend == Backend::kMpi) {
      throw Error(absl::FailedPreconditionError(
          "the mpi backend was asked for, but neither mpirun nor srun started this process"));
    }
    LaunchedRank launched;
    if (wants_gpu) {
      launched = ValueOrThrow(RankFromEnvironment(Getenv)).value_or(LaunchedRank());
    }
    if (launched.size > 1 && cuda == nullptr) {
      throw Error(absl::FailedPreconditionError(fmt::format(
          "this is rank {} of {} without MPI and without a GPU: ranks on the CPU need mpirun, or "
          "srun with --mpi=pmix",
          launched.rank, launched.size)));
    }
    if (cuda == nullptr) {
      communicator = SingleRank();
      return;
    }
    JoinOverTcp(options, *cuda, launched);
  }

  bool EveryRankHas(const device::CudaModule* cuda, const WorldOptions& options) {
    const at::Tensor have_one = at::full({1}, cuda != nullptr ? 1 : 0, at::kInt);
    control->AllReduce(have_one, ReduceOp::kMin, "which ranks have a GPU")->Wait();
    const bool all_have_one = have_one.item<int>() == 1;
    if (!all_have_one && (cuda != nullptr || options.backend == Backend::kNccl)) {
      throw Error(absl::FailedPreconditionError(
          "this rank has a GPU, and another has none that it can use: the ranks take GPUs all "
          "together or not at all (backend mpi)"));
    }
    return all_have_one;
  }

  void JoinOverMpi(const WorldOptions& options, const device::CudaModule& cuda) {
    const std::shared_ptr<NcclApi> api = OwnDevice(cuda);
    NcclId id{};
    if (control->rank() == 0) id = NewId(*api);
    const at::Tensor bytes =
        at::from_blob(id.data(), {static_cast<int64_t>(id.size())}, at::TensorOptions(at::kByte));
    control->Broadcast(bytes, 0, "the id of the NCCL group")->Wait();
    communicator = NcclWorld(api, control->rank(), control->size(), id, Nccl(options));
  }

  void JoinOverTcp(const WorldOptions& options, const device::CudaModule& cuda,
                   const LaunchedRank& launched) {
    const std::shared_ptr<NcclApi> api = OwnDevice(cuda);
    NcclId id{};
    if (launched.rank == 0) id = NewId(*api);
    const std::string text = ValueOrThrow(ShareFromRankZero(
        launched, {reinterpret_cast<const char*>(id.data()), id.size()}, options.join_timeout));
    TANREN_CHECK(text.size() == id.size(), "rank 0 gave {} bytes as an id", text.size());
    std::memcpy(id.data(), text.data(), id.size());
    communicator = NcclWorld(api, launched.rank, launched.size, id, Nccl(options));
  }

  // NCCL takes no two ranks of a group on one GPU.
  std::shared_ptr<NcclApi> OwnDevice(const device::CudaModule& cuda) {
    const int local_rank = LocalRank(Getenv);
    // A launcher may show each rank its own GPU alone.
    const int number = cuda.device_count() == 1 ? 0 : local_rank;
    if (number >= cuda.device_count()) {
      throw Error(absl::FailedPreconditionError(
          fmt::format("this is rank {} of its host (from 0), which has {} GPUs: one for each rank "
                      "is needed",
                      local_rank, cuda.device_count())));
    }
    std::shared_ptr<NcclApi> api = NcclOf(cuda, number);
    api->UseDevice();
    device = api->device();
    return api;
  }

  static NcclId NewId(NcclApi& api) {
    NcclId id{};
    const NcclApi::Result made = api.MakeId(&id);
    if (made.code != NcclApi::Code::kOk) {
      throw Error(absl::InternalError(fmt::format("making a NCCL id: {}", made.message)));
    }
    return id;
  }

  static NcclOptions Nccl(const WorldOptions& options) {
    NcclOptions nccl;
    nccl.sum_half_by_nccl = options.sum_half_by_nccl;
    nccl.join_timeout = options.join_timeout;
    if (options.collective_timeout.count() > 0) nccl.call_timeout = options.collective_timeout;
    return nccl;
  }

  void Watch(const WorldOptions& options) {
    if (options.run_folder.empty()) return;
    telemetry::FlightRecorder::Options record{.folder = options.run_folder / "flight",
                                              .rank = communicator->rank(),
                                              .world_size = communicator->size(),
                                              .launch = options.launch};
    // A process alone has no launcher that names its launches.
    if (record.launch.empty() && telemetry::LaunchName().empty()) {
      record.launch = fmt::format("process {}", getpid());
    }
    recorder = ValueOrThrow(telemetry::FlightRecorder::Create(record));
    signals.set_flight_recorder(recorder.get());
    communicator->set_flight_recorder(recorder.get());
    if (communicator->size() > 1) {
      watch = std::make_unique<telemetry::PeerWatch>(
          *recorder, telemetry::PeerWatchOptions{.collective_timeout = options.collective_timeout});
    }
  }
};

World::World(const WorldOptions& options) : parts_(std::make_unique<Parts>()) {
  try {
    parts_->Connect(options);
    parts_->Watch(options);
  } catch (...) {
    const absl::Status failure = StatusOfCurrentException();
    // Other ranks wait for this one.
    if (parts_->mpi.has_value()) Fail(failure);
    throw Error(failure);
  }
}

World::~World() = default;

Communicator& World::communicator() { return *parts_->communicator; }

at::Device World::device() const { return parts_->device; }

telemetry::FlightRecorder* World::flight_recorder() { return parts_->recorder.get(); }

bool World::SaveRequested() const { return parts_->signals.SaveRequested(); }

void World::Finish() {
  // Recorded like any other: a rank that ends while others go on is told apart from one that died.
  communicator().Barrier("end of the run");
  if (parts_->recorder != nullptr) parts_->recorder->Finish();
}

void World::Fail(const absl::Status& failure) {
  if (failure.code() == absl::StatusCode::kAborted && parts_->watch != nullptr) {
    std::this_thread::sleep_for(kTimeForTheCause);
  }
  // Over MPI this is the end of the process.
  if (parts_->communicator != nullptr) parts_->communicator->Abort(Text(failure));
  if (parts_->control != nullptr) {
    parts_->control->set_flight_recorder(parts_->recorder.get());
    parts_->control->Abort(Text(failure));
  }
  if (parts_->recorder == nullptr) {
    LogError("{}", Text(failure));
  } else {
    telemetry::ExplainBeforeTheEnd(*parts_->recorder);
  }
}

int RunRank(const WorldOptions& options,
            const std::function<absl::StatusOr<int>(World& world)>& body) {
  std::optional<World> world;
  absl::Status failure;
  try {
    world.emplace(options);
    const absl::StatusOr<int> code = body(*world);
    if (code.ok()) {
      world->Finish();
      return *code;
    }
    failure = code.status();
  } catch (...) {
    failure = StatusOfCurrentException();
  }
  if (world.has_value()) {
    world->Fail(failure);
  } else {
    LogError("{}", Text(failure));
  }
  return kAbortExitCode;
}

}  // namespace tanren::comm
