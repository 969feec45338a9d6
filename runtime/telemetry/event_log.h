// What happens in a run (proto/event.proto), appended to <run>/events.pb as length-delimited
// records and offered to the program that started the run.
#ifndef TANREN_RUNTIME_TELEMETRY_EVENT_LOG_H_
#define TANREN_RUNTIME_TELEMETRY_EVENT_LOG_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/event.pb.h"

namespace tanren {

// Sends whole records to a Unix stream socket, without ever waiting for who reads it: a record that
// doesn't fit into the socket's buffer is dropped and counted. Connects anew, at a record's
// beginning, when the reader was away. Not thread-safe.
class EventSocket {
 public:
  // An empty path: sends nothing and drops nothing.
  explicit EventSocket(std::string path) : path_(std::move(path)) {}
  EventSocket(const EventSocket&) = delete;
  EventSocket& operator=(const EventSocket&) = delete;
  ~EventSocket();

  void Send(const std::string& record);
  int64_t dropped() const { return dropped_; }

 private:
  bool Connect();
  void Disconnect();
  // Sends from `pending_` what the socket takes; false once the connection is lost.
  bool Flush();

  const std::string path_;
  int descriptor_ = -1;
  std::string pending_;  // the rest of a record that has begun to leave
  int64_t dropped_ = 0;
};

struct EventsRead {
  std::vector<Event> events;
  // Where the last whole record ends: whoever follows the file reads on from here.
  uint64_t end = 0;
  // Bytes behind it that are no whole record: one that is being written, or was torn.
  uint64_t torn_bytes = 0;
};

// The writer. One process at a time; its threads may share it.
class EventLog {
 public:
  // Continues <run>/events.pb, cutting what a writer left torn at its end, or makes it. Events are
  // also sent to the socket that the environment's TANREN_EVENT_SOCKET names, if any.
  // kFailedPrecondition if another process is writing.
  static absl::StatusOr<std::unique_ptr<EventLog>> Open(const std::filesystem::path& run);
  // For any process of the launch that has the last word in it: goes on with the numbers of
  // `launch`, beside the writer where that one still lives, or behind it.
  static absl::StatusOr<std::unique_ptr<EventLog>> Join(const std::filesystem::path& run,
                                                        std::string launch);
  // Whether a process has this run's log open: the run is going.
  static bool IsOpen(const std::filesystem::path& run);
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;
  ~EventLog();

  // Forgets all events of launches before: the run starts over.
  absl::Status Clear();

  // Fills in sequence, time and launch. The record is in the file when this returns; the start and
  // end of a run and its checkpoints are on disk. Once another process has ended the launch, there
  // is nothing more to tell and the event is dropped.
  absl::Status Append(Event event);

  // What the launch is called in its events; no other launch of the run has the name.
  const std::string& launch() const { return launch_; }
  // How many events the socket's reader missed.
  int64_t dropped() const;

 private:
  EventLog(std::filesystem::path path, int descriptor, std::string launch);
  static absl::StatusOr<std::unique_ptr<EventLog>> OpenFile(const std::filesystem::path& run,
                                                            std::string launch);
  // False where another process holds it.
  bool Lock();
  // Reads what other processes of the launch have written; whether one of them has ended it.
  absl::StatusOr<bool> HasEnded();
  // What a writer left that is no whole record. Only with the lock.
  absl::Status CutTorn(const EventsRead& read);

  const std::filesystem::path path_;
  const int descriptor_;
  const std::string launch_;
  mutable std::mutex mutex_;
  int64_t sequence_ = 0;
  uint64_t end_ = 0;  // of what this process has read or written
  bool ended_by_another_ = false;
  EventSocket socket_;
};

// The whole records of an event file from byte `begin`, which is 0 or an earlier `end`.
absl::StatusOr<EventsRead> ReadEvents(const std::filesystem::path& path, uint64_t begin = 0);

}  // namespace tanren

#endif  // TANREN_RUNTIME_TELEMETRY_EVENT_LOG_H_
