#include "runtime/comm/world.h"

#include <unistd.h>

#include <optional>
#include <thread>
#include <utility>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"
#include "runtime/comm/mpi.h"
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

}  // namespace

// In the order in which they are made; they go the other way round, so that the watch still looks
// after ranks that wait for each other at MPI's end.
struct World::Parts {
  telemetry::SignalThread signals;
  std::unique_ptr<telemetry::FlightRecorder> recorder;
  std::unique_ptr<telemetry::PeerWatch> watch;
  std::optional<MpiSession> mpi;
  std::unique_ptr<Communicator> communicator;

  ~Parts() { signals.set_flight_recorder(nullptr); }

  void Connect(const WorldOptions& options) {
    const bool started_by_mpi = StartedByMpi();
    if (options.backend == Backend::kMpi && !started_by_mpi) {
      throw Error(absl::FailedPreconditionError(
          "the mpi backend was asked for, but neither mpirun nor srun started this process"));
    }
    if (options.backend == Backend::kSingle || !started_by_mpi) {
      communicator = SingleRank();
      return;
    }
    mpi.emplace(MpiOptions{.progress_thread = options.progress_thread, .verify = options.verify});
    communicator = mpi->World();
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
  parts_->Connect(options);
  try {
    parts_->Watch(options);
  } catch (...) {
    const absl::Status failure = StatusOfCurrentException();
    if (parts_->mpi.has_value()) Fail(failure);
    throw Error(failure);
  }
}

World::~World() = default;

Communicator& World::communicator() { return *parts_->communicator; }

at::Device World::device() const { return at::Device(parts_->communicator->device_type()); }

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
  communicator().Abort(Text(failure));
  // Still here: there is no launcher that would end us.
  if (parts_->recorder == nullptr) {
    LogError("{}", Text(failure));
  } else {
    telemetry::ExplainOnce(*parts_->recorder);
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
