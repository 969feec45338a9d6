#include "runtime/telemetry/flight_recorder.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "absl/cleanup/cleanup.h"
#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/telemetry/flight_explanation.h"
#include "runtime/telemetry/process_identity.h"
#include "runtime/telemetry/signals.h"

namespace tanren::telemetry {
namespace {

constexpr std::array<char, 8> kMagic = {'T', 'A', 'N', 'R', 'F', 'L', 'T', '1'};
constexpr auto kHeartbeatInterval = std::chrono::milliseconds(50);

int64_t Now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

template <size_t N>
void SetText(char (&field)[N], std::string_view text) {
  const size_t length = std::min(text.size(), N - 1);
  std::memcpy(field, text.data(), length);
  std::memset(field + length, 0, N - length);
}

// The file may be damaged: the text ends at the field's end at the latest.
template <size_t N>
std::string GetText(const char (&field)[N]) {
  return std::string(field, strnlen(field, N));
}

}  // namespace

// The mapped file. Another process reads while this one writes: each slot's ticket is 0 while its
// other fields change. Lock-free atomics work across processes.
struct FlightRecorder::File {
  struct Slot {
    std::atomic<uint64_t> ticket;
    std::atomic<CallState> state;
    std::atomic<int64_t> end_ns;
    int64_t start_ns;
    int64_t sequence;
    int64_t bytes;
    int64_t step;
    char group[32];
    char collective[32];
    char dtype[32];
    char unit[96];
  };
  char magic[8];
  int32_t rank;
  int32_t world_size;
  int64_t process_id;
  int64_t process_start;
  char host[64];
  char launch[96];
  std::atomic<int64_t> heartbeat_ns;
  std::atomic<int64_t> step;
  std::atomic<uint64_t> last_ticket;
  std::atomic<bool> status_taken;
  std::atomic<RankStatus> status;
  int64_t status_ns;
  char failure[1024];
  Slot slots[kFlightRecorderCalls];

  static_assert(std::atomic<uint64_t>::is_always_lock_free);
};

FlightRecorder::FlightRecorder(const Options& options, File* file)
    : folder_(options.folder),
      rank_(options.rank),
      world_size_(options.world_size),
      launch_(options.launch),
      file_(file) {
  const SignalsBlocked blocked;
  heartbeat_ = std::jthread([this](std::stop_token stop) { Heartbeat(stop); });
}

FlightRecorder::~FlightRecorder() {
  heartbeat_.request_stop();
  heartbeat_.join();
  munmap(file_, sizeof(File));
}

absl::StatusOr<std::unique_ptr<FlightRecorder>> FlightRecorder::Create(const Options& given) {
  Options options = given;
  if (options.launch.empty()) options.launch = LaunchName();
  TANREN_RETURN_IF_ERROR(MakeDirectories(options.folder));
  const std::filesystem::path path = FlightRecordPath(options.folder, options.rank);
  const auto failed = [&](std::string_view what) {
    return absl::ErrnoToStatus(errno, fmt::format("flight recorder {}: {}", path.string(), what));
  };
  // What an earlier launch of the same name explained must not silence this one.
  const std::filesystem::path explanation = ExplanationPath(options.folder, options.launch);
  std::error_code none;
  const auto written = std::filesystem::last_write_time(explanation, none);
  if (!none && std::filesystem::file_time_type::clock::now() - written > std::chrono::minutes(1)) {
    std::filesystem::remove(explanation, none);
  }
  // A new file, not the old one cut: who still reads that one isn't disturbed.
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return failed("can't replace the old file");
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (descriptor < 0) return failed("can't create it");
  absl::Cleanup close_file = [&] { close(descriptor); };
  // Takes the space now: on a full disk a write to a mapping would be SIGBUS later.
  if (const int error = posix_fallocate(descriptor, 0, sizeof(File)); error != 0) {
    errno = error;
    return failed("can't reserve its space");
  }
  void* memory =
      mmap(nullptr, sizeof(File), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, /*offset=*/0);
  if (memory == MAP_FAILED) return failed("can't map it");
  File* file = static_cast<File*>(memory);
  file->rank = options.rank;
  file->world_size = options.world_size;
  file->process_id = getpid();
  file->process_start = ProcessStart(getpid());
  SetText(file->host, HostName());
  SetText(file->launch, options.launch);
  file->heartbeat_ns.store(Now());
  file->step.store(-1);
  std::atomic_thread_fence(std::memory_order_release);
  std::memcpy(file->magic, kMagic.data(), kMagic.size());
  return std::unique_ptr<FlightRecorder>(new FlightRecorder(options, file));
}

void FlightRecorder::set_explanation_listener(ExplanationListener listener) {
  const std::lock_guard lock(listener_mutex_);
  listener_ = std::move(listener);
}

FlightRecorder::ExplanationListener FlightRecorder::explanation_listener() const {
  const std::lock_guard lock(listener_mutex_);
  return listener_;
}

void FlightRecorder::Heartbeat(std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  while (!stop.stop_requested()) {
    file_->heartbeat_ns.store(Now(), std::memory_order_relaxed);
    wake.wait_for(lock, stop, kHeartbeatInterval, [] { return false; });
  }
}

uint64_t FlightRecorder::Enter(const RecordedCall& call) {
  const uint64_t ticket = file_->last_ticket.fetch_add(1, std::memory_order_relaxed) + 1;
  File::Slot& slot = file_->slots[ticket % kFlightRecorderCalls];
  slot.ticket.store(0, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  slot.state.store(CallState::kEntered, std::memory_order_relaxed);
  slot.end_ns.store(0, std::memory_order_relaxed);
  slot.start_ns = Now();
  slot.sequence = call.sequence;
  slot.bytes = call.bytes;
  slot.step = file_->step.load(std::memory_order_relaxed);
  SetText(slot.group, call.group);
  SetText(slot.collective, call.collective);
  SetText(slot.dtype, call.dtype);
  SetText(slot.unit, call.unit);
  slot.ticket.store(ticket, std::memory_order_release);
  return ticket;
}

void FlightRecorder::Leave(uint64_t ticket, CallState state) {
  File::Slot& slot = file_->slots[ticket % kFlightRecorderCalls];
  // The ring may have gone round while a long call ran.
  if (slot.ticket.load(std::memory_order_acquire) != ticket) return;
  slot.end_ns.store(Now(), std::memory_order_relaxed);
  slot.state.store(state, std::memory_order_release);
}

void FlightRecorder::SetStep(int64_t step) { file_->step.store(step, std::memory_order_relaxed); }

void FlightRecorder::Finish() { SetStatus(RankStatus::kFinished, ""); }
void FlightRecorder::Fail(std::string_view message) { SetStatus(RankStatus::kFailed, message); }
void FlightRecorder::Terminate(std::string_view reason) {
  SetStatus(RankStatus::kTerminated, reason);
}

void FlightRecorder::SetStatus(RankStatus status, std::string_view message) {
  if (file_->status_taken.exchange(true)) return;
  file_->status_ns = Now();
  SetText(file_->failure, message);
  file_->status.store(status, std::memory_order_release);
}

std::filesystem::path FlightRecordPath(const std::filesystem::path& folder, int rank) {
  return folder / fmt::format("rank-{}.bin", rank);
}

absl::StatusOr<FlightRecord> ReadFlightRecord(const std::filesystem::path& path, bool with_calls) {
  using File = FlightRecorder::File;
  TANREN_ASSIGN_OR_RETURN(const MappedFile mapped, MappedFile::Open(path));
  if (mapped.bytes().size() != sizeof(File)) {
    return absl::DataLossError(fmt::format("{}: found {} bytes, a flight record has {}",
                                           path.string(), mapped.bytes().size(), sizeof(File)));
  }
  const File& file = *reinterpret_cast<const File*>(mapped.bytes().data());
  if (std::memcmp(file.magic, kMagic.data(), kMagic.size()) != 0) {
    return absl::DataLossError(fmt::format("{}: not a flight record", path.string()));
  }
  std::atomic_thread_fence(std::memory_order_acquire);
  FlightRecord record;
  record.rank = file.rank;
  record.world_size = file.world_size;
  record.process_id = file.process_id;
  record.process_start = file.process_start;
  record.host = GetText(file.host);
  record.launch = GetText(file.launch);
  record.status = file.status.load(std::memory_order_acquire);
  if (record.status > RankStatus::kTerminated) {
    return absl::DataLossError(
        fmt::format("{}: unknown status {}", path.string(), static_cast<uint32_t>(record.status)));
  }
  record.failure = GetText(file.failure);
  record.status_ns = file.status_ns;
  record.heartbeat_ns = file.heartbeat_ns.load();
  record.step = file.step.load();
  if (!with_calls) return record;
  std::vector<std::pair<uint64_t, RecordedCall>> calls;
  for (const File::Slot& slot : file.slots) {
    const uint64_t ticket = slot.ticket.load(std::memory_order_acquire);
    if (ticket == 0) continue;
    RecordedCall call{GetText(slot.group),
                      GetText(slot.collective),
                      GetText(slot.unit),
                      GetText(slot.dtype),
                      slot.sequence,
                      slot.bytes,
                      slot.step};
    call.state = slot.state.load(std::memory_order_acquire);
    call.start_ns = slot.start_ns;
    call.end_ns = slot.end_ns.load(std::memory_order_relaxed);
    // Dropped if the writer reused the slot meanwhile.
    std::atomic_thread_fence(std::memory_order_acquire);
    if (slot.ticket.load(std::memory_order_relaxed) == ticket && call.state <= CallState::kFailed) {
      calls.emplace_back(ticket, std::move(call));
    }
  }
  std::sort(calls.begin(), calls.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [ticket, call] : calls) record.calls.push_back(std::move(call));
  return record;
}

absl::StatusOr<std::vector<FlightRecord>> ReadFlightRecords(const std::filesystem::path& folder,
                                                            std::string_view launch,
                                                            std::optional<int> calls_of_rank) {
  std::error_code error;
  std::vector<FlightRecord> records;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string file_name = entry.path().filename().string();
    if (!file_name.starts_with("rank-") || !file_name.ends_with(".bin")) continue;
    absl::StatusOr<FlightRecord> record = ReadFlightRecord(
        entry.path(),
        !calls_of_rank.has_value() || entry.path() == FlightRecordPath(folder, *calls_of_rank));
    // A file that is just being made isn't one yet.
    if (record.ok()) records.push_back(*std::move(record));
  }
  if (error) {
    return absl::NotFoundError(fmt::format("{}: {}", folder.string(), error.message()));
  }
  const auto newest = std::max_element(
      records.begin(), records.end(),
      [](const auto& a, const auto& b) { return a.heartbeat_ns < b.heartbeat_ns; });
  const std::string wanted =
      launch.empty() && newest != records.end() ? newest->launch : std::string(launch);
  std::erase_if(records, [&](const FlightRecord& record) { return record.launch != wanted; });
  std::sort(records.begin(), records.end(),
            [](const auto& a, const auto& b) { return a.rank < b.rank; });
  const std::string host = HostName();
  for (FlightRecord& record : records) {
    record.gone = record.host == host && !ProcessRuns(record.process_id, record.process_start);
  }
  return records;
}

}  // namespace tanren::telemetry
