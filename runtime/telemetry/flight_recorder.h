// What a rank was doing, kept in a mapped file so that any process can read it after kill -9: a
// ring of the last communicator calls, a heartbeat, and why the rank failed if it knew. Each rank
// of a run writes FOLDER/rank-N.bin; flight_explanation.h turns the files into one message.
#ifndef TANREN_RUNTIME_TELEMETRY_FLIGHT_RECORDER_H_
#define TANREN_RUNTIME_TELEMETRY_FLIGHT_RECORDER_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tanren::telemetry {

enum class CallState : uint32_t { kEntered, kDone, kFailed };

// kRunning also stands in the file of a rank that was killed: it had no time to write more.
enum class RankStatus : uint32_t { kRunning, kFinished, kFailed, kTerminated };

// A call to a communicator, as recorded. Times are nanoseconds since the epoch.
struct RecordedCall {
  std::string group;       // "world"
  std::string collective;  // "reduce-scatter"
  std::string unit;        // "model.layers.3"
  std::string dtype;       // "bfloat16"
  int64_t sequence = 0;    // among its group's collectives, from 1
  int64_t bytes = 0;
  int64_t step = 0;
  CallState state = CallState::kEntered;
  int64_t start_ns = 0;
  int64_t end_ns = 0;  // 0 while it runs
};

// One rank's file, decoded.
struct FlightRecord {
  int rank = 0;
  int world_size = 1;
  int64_t process_id = 0;
  int64_t process_start = 0;  // clock ticks since boot: tells a reused process id
  std::string host;
  std::string launch;
  RankStatus status = RankStatus::kRunning;
  std::string failure;  // why, where status is kFailed or kTerminated
  int64_t status_ns = 0;
  int64_t heartbeat_ns = 0;
  int64_t step = 0;
  std::vector<RecordedCall> calls;  // oldest first; at most kFlightRecorderCalls
  // Set by who looked for the process (ReadFlightRecords); the file can't know.
  bool gone = false;
};

inline constexpr int kFlightRecorderCalls = 512;

// The writer. Calls cost a few hundred nanoseconds and may come from any thread. Texts longer than
// their fields (31 bytes for group, collective, dtype; 95 for unit; 1,023 for failures) are cut.
class FlightRecorder {
 public:
  struct Options {
    std::filesystem::path folder;  // made if it isn't there
    int rank = 0;
    int world_size = 1;
    // The same text on all ranks of a launch and on no other launch, to tell old files in the
    // folder from ours; empty: from the environment (LaunchName in process_identity.h).
    std::string launch;
  };
  // Replaces the rank's file and starts the heartbeat's thread, which blocks all signals.
  static absl::StatusOr<std::unique_ptr<FlightRecorder>> Create(const Options& options);
  FlightRecorder(const FlightRecorder&) = delete;
  FlightRecorder& operator=(const FlightRecorder&) = delete;
  // Leaves the status as it is: without Finish, the file says that the rank ended unexpectedly.
  ~FlightRecorder();

  // Returns the ticket that ends the call.
  uint64_t Enter(const RecordedCall& call);
  void Leave(uint64_t ticket, CallState state);
  // The training step of calls that follow; -1 before the first.
  void SetStep(int64_t step);

  // The last word about this rank. The first of the three stands; later ones are ignored.
  void Finish();
  void Fail(std::string_view message);
  void Terminate(std::string_view reason);  // by a signal from outside: not this rank's failure

  // Hears why the launch failed, if it is this process that explains it (flight_explanation.h):
  // once, on any thread, while other ranks wait a moment for it before they end.
  using ExplanationListener = std::function<void(std::string_view explanation)>;
  void set_explanation_listener(ExplanationListener listener);
  ExplanationListener explanation_listener() const;  // empty if none was set

  const std::filesystem::path& folder() const { return folder_; }
  int rank() const { return rank_; }
  int world_size() const { return world_size_; }
  const std::string& launch() const { return launch_; }

 private:
  struct File;
  FlightRecorder(const Options& options, File* file);
  void SetStatus(RankStatus status, std::string_view message);
  void Heartbeat(std::stop_token stop);

  std::filesystem::path folder_;
  int rank_;
  int world_size_;
  std::string launch_;
  File* file_;
  mutable std::mutex listener_mutex_;
  ExplanationListener listener_;
  std::jthread heartbeat_;

  friend absl::StatusOr<FlightRecord> ReadFlightRecord(const std::filesystem::path& path,
                                                       bool with_calls);
};

// FOLDER/rank-N.bin.
std::filesystem::path FlightRecordPath(const std::filesystem::path& folder, int rank);

// Decodes a file, also while its rank writes. kDataLoss if it isn't a flight record.
absl::StatusOr<FlightRecord> ReadFlightRecord(const std::filesystem::path& path,
                                              bool with_calls = true);

// The records of one launch in a folder, by rank, with `gone` set for processes of this host that
// no longer run. Ranks without a file of that launch are left out. An empty `launch` means that of
// the newest file. With `calls_of_rank`, only that rank's calls are decoded.
absl::StatusOr<std::vector<FlightRecord>> ReadFlightRecords(
    const std::filesystem::path& folder, std::string_view launch = {},
    std::optional<int> calls_of_rank = std::nullopt);

}  // namespace tanren::telemetry

#endif  // TANREN_RUNTIME_TELEMETRY_FLIGHT_RECORDER_H_
