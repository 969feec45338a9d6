#include "runtime/telemetry/event_log.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string_view>
#include <system_error>
#include <utility>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"

namespace tanren {
namespace {

namespace fs = std::filesystem;

// No event is near this; a larger length is damage.
constexpr uint32_t kLongestRecord = 1 << 24;

std::string Record(const Event& event) {
  std::string record;
  {
    google::protobuf::io::StringOutputStream stream(&record);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.WriteVarint32(static_cast<uint32_t>(event.ByteSizeLong()));
    event.SerializeToCodedStream(&coded);
  }
  return record;
}

// The record that `bytes` begin with; 0 if they begin with none that is whole.
size_t ParseRecord(std::string_view bytes, Event& event) {
  constexpr size_t kLongestVarint = 5;
  uint32_t size = 0;
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  google::protobuf::io::CodedInputStream header(
      data, static_cast<int>(std::min(bytes.size(), kLongestVarint)));
  if (!header.ReadVarint32(&size)) return 0;
  const auto begin = static_cast<size_t>(header.CurrentPosition());
  // An empty record is never written, but zeros are what a crash of the machine can leave.
  if (size == 0 || size > kLongestRecord || size > bytes.size() - begin) return 0;
  if (!event.ParseFromArray(data + begin, static_cast<int>(size))) return 0;
  return begin + size;
}

std::string NewLaunch() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

std::string SocketPath() {
  const char* path = std::getenv("TANREN_EVENT_SOCKET");
  return path == nullptr ? "" : path;
}

// The file's bytes from `begin` on. (Not mapped: a writer may cut the file meanwhile.)
absl::StatusOr<std::string> ReadFrom(const fs::path& path, uint64_t begin) {
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  if (error)
    return absl::ErrnoToStatus(error.value(), fmt::format("{}: can't read", path.string()));
  if (begin > size) {
    return absl::OutOfRangeError(
        fmt::format("{}: has {} bytes, expected at least {}", path.string(), size, begin));
  }
  std::ifstream file(path, std::ios::binary);
  std::string content(size - begin, '\0');
  file.seekg(static_cast<std::streamoff>(begin));
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  if (file.bad() || (!file.is_open())) return ErrnoOf("can't read", path);
  content.resize(static_cast<size_t>(file.gcount()));
  return content;
}

// Held while a record is appended, so that processes of one launch take turns. (Not the flock that
// says who writes the run.) Waits for a moment only: on some file systems the two are one.
class Turn {
 public:
  explicit Turn(int descriptor) : descriptor_(descriptor) {
    constexpr int kAttempts = 50;
    for (int i = 0; i < kAttempts && !Set(F_WRLCK); ++i) usleep(1000);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { Set(F_UNLCK); }

 private:
  bool Set(short type) {
    struct flock lock = {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_len = 1;
    return fcntl(descriptor_, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES);
  }

  const int descriptor_;
};

bool HasToLast(const Event& event) {
  return event.has_run_started() || event.has_checkpoint_published() || event.has_run_ended();
}

}  // namespace

EventSocket::~EventSocket() {
  if (descriptor_ >= 0 && !pending_.empty()) Flush();
  Disconnect();
}

bool EventSocket::Connect() {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof(address.sun_path)) return false;
  std::memcpy(address.sun_path, path_.data(), path_.size());
  descriptor_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor_ < 0) return false;
  if (connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return true;
  }
  Disconnect();
  return false;
}

void EventSocket::Disconnect() {
  if (descriptor_ >= 0) close(descriptor_);
  descriptor_ = -1;
  pending_.clear();
}

bool EventSocket::Flush() {
  while (!pending_.empty()) {
    const ssize_t sent =
        send(descriptor_, pending_.data(), pending_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    if (sent < 0) {
      Disconnect();
      return false;
    }
    pending_.erase(0, static_cast<size_t>(sent));
  }
  return true;
}

void EventSocket::Send(const std::string& record) {
  if (path_.empty()) return;
  const bool had_pending = !pending_.empty();
  // (What was pending when the reader went away never arrived whole.)
  if (had_pending && !Flush()) ++dropped_;
  if (descriptor_ < 0 && !Connect()) {
    ++dropped_;
    return;
  }
  if (!pending_.empty()) {
    ++dropped_;
    return;
  }
  pending_ = record;
  if (!Flush()) {
    // The reader went away since the last event; perhaps another one is there.
    if (Connect()) pending_ = record;
    if (descriptor_ < 0 || !Flush()) ++dropped_;
  } else if (pending_.size() == record.size()) {
    pending_.clear();
    ++dropped_;
  }
}

absl::StatusOr<std::unique_ptr<EventLog>> EventLog::OpenFile(const fs::path& run,
                                                             std::string launch) {
  const fs::path path = run / "events.pb";
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor < 0) return ErrnoOf("can't open", path);
  return std::unique_ptr<EventLog>(new EventLog(path, descriptor, std::move(launch)));
}

// (A file system without locks counts as held by nobody.)
bool EventLog::Lock() { return flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK; }

absl::Status EventLog::CutTorn(const EventsRead& read) {
  if (read.torn_bytes == 0) return absl::OkStatus();
  LogWarning("{}: the last {} bytes are no whole record and are cut", path_.string(),
             read.torn_bytes);
  if (ftruncate(descriptor_, static_cast<off_t>(read.end)) == 0) return absl::OkStatus();
  return ErrnoOf("can't cut a torn record", path_);
}

absl::StatusOr<std::unique_ptr<EventLog>> EventLog::Open(const fs::path& run) {
  TANREN_ASSIGN_OR_RETURN(std::unique_ptr<EventLog> log, OpenFile(run, NewLaunch()));
  if (!log->Lock()) {
    return absl::FailedPreconditionError(fmt::format(
        "{}: another process is writing it; is the run still going?", log->path_.string()));
  }
  TANREN_ASSIGN_OR_RETURN(const EventsRead read, ReadEvents(log->path_));
  TANREN_RETURN_IF_ERROR(log->CutTorn(read));
  log->end_ = read.end;
  return log;
}

absl::StatusOr<std::unique_ptr<EventLog>> EventLog::Join(const fs::path& run, std::string launch) {
  TANREN_ASSIGN_OR_RETURN(std::unique_ptr<EventLog> log, OpenFile(run, std::move(launch)));
  const bool writer_is_gone = log->Lock();
  const Turn turn(log->descriptor_);
  TANREN_ASSIGN_OR_RETURN(const EventsRead read, ReadEvents(log->path_));
  for (const Event& event : read.events) {
    if (event.launch() == log->launch_) log->sequence_ = event.sequence();
  }
  log->end_ = read.end;
  // What a living writer hasn't written whole yet isn't torn.
  if (writer_is_gone) TANREN_RETURN_IF_ERROR(log->CutTorn(read));
  return log;
}

bool EventLog::IsOpen(const fs::path& run) {
  const int descriptor = open((run / "events.pb").c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  // Shared, so that several who look at the same time don't take each other for the writer.
  const bool is_open = flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  close(descriptor);
  return is_open;
}

EventLog::EventLog(fs::path path, int descriptor, std::string launch)
    : path_(std::move(path)),
      descriptor_(descriptor),
      launch_(std::move(launch)),
      socket_(SocketPath()) {}

EventLog::~EventLog() { close(descriptor_); }

absl::Status EventLog::Clear() {
  const std::lock_guard lock(mutex_);
  if (ftruncate(descriptor_, 0) != 0) return ErrnoOf("can't clear", path_);
  end_ = 0;
  return absl::OkStatus();
}

absl::StatusOr<bool> EventLog::HasEnded() {
  const off_t end = lseek(descriptor_, 0, SEEK_END);
  if (end < 0 || static_cast<uint64_t>(end) <= end_) return ended_by_another_;
  TANREN_ASSIGN_OR_RETURN(const EventsRead read, ReadEvents(path_, end_));
  end_ = read.end;
  for (const Event& event : read.events) {
    if (event.launch() != launch_) continue;
    sequence_ = event.sequence();
    ended_by_another_ = ended_by_another_ || event.has_run_ended();
  }
  return ended_by_another_;
}

absl::Status EventLog::Append(Event event) {
  const std::lock_guard lock(mutex_);
  const Turn turn(descriptor_);
  TANREN_ASSIGN_OR_RETURN(const bool ended, HasEnded());
  if (ended) return absl::OkStatus();
  event.set_sequence(++sequence_);
  event.set_launch(launch_);
  event.set_time_ns(std::chrono::duration_cast<std::chrono::nanoseconds>(
                        std::chrono::system_clock::now().time_since_epoch())
                        .count());
  const std::string record = Record(event);
  socket_.Send(record);
  const off_t begin = lseek(descriptor_, 0, SEEK_END);
  std::string_view rest = record;
  while (!rest.empty()) {
    const ssize_t written = write(descriptor_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const absl::Status status = ErrnoOf("can't write", path_);
      // So that the next record doesn't stand behind a torn one; the disk may be full.
      if (begin < 0 || ftruncate(descriptor_, begin) != 0) {
        return Annotate(status, "an event is torn and can't be cut");
      }
      return status;
    }
    rest.remove_prefix(static_cast<size_t>(written));
  }
  end_ = static_cast<uint64_t>(std::max<off_t>(begin, 0)) + record.size();
  if (HasToLast(event) && fdatasync(descriptor_) != 0) return ErrnoOf("can't flush to disk", path_);
  return absl::OkStatus();
}

int64_t EventLog::dropped() const {
  const std::lock_guard lock(mutex_);
  return socket_.dropped();
}

absl::StatusOr<EventsRead> ReadEvents(const fs::path& path, uint64_t begin) {
  TANREN_ASSIGN_OR_RETURN(const std::string content, ReadFrom(path, begin));
  std::string_view bytes = content;
  EventsRead read{.end = begin};
  while (!bytes.empty()) {
    Event event;
    const size_t size = ParseRecord(bytes, event);
    if (size == 0) break;
    read.events.push_back(std::move(event));
    read.end += size;
    bytes.remove_prefix(size);
  }
  read.torn_bytes = bytes.size();
  return read;
}

}  // namespace tanren
