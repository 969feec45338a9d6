// The one thread that owns the core and the store: it takes what came, lets the core decide, makes
// that durable in one commit, and only then answers and sends orders.
#ifndef TANREN_COORDINATOR_SERVER_LOOP_H_
#define TANREN_COORDINATOR_SERVER_LOOP_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/server/old_events.h"
#include "coordinator/server/recent_events.h"
#include "coordinator/state/core.h"
#include "coordinator/store/store.h"

namespace tanren::coordinator {

// Wall time and CLOCK_BOOTTIME, now.
Now SystemNow();

// What came of an input.
struct Answer {
  absl::Status status;         // kUnavailable: not durable; it may be sent again
  std::vector<uint64_t> jobs;  // of a submission
  const Core* core = nullptr;  // as the whole batch left it; null where the status is kUnavailable
};

// What a reader sees: the last durable state.
struct View {
  const Core& core;
  Store* store;  // null while it can't be opened
};

struct LoopOptions {
  CoreOptions core;
  size_t queue_limit = 4096;  // calls that wait
  size_t batch_limit = 512;   // inputs in one commit
  // Older events leave the store; 0: none does.
  int64_t keep_events_ms = 30LL * 24 * 3600 * 1000;
  // After a failed write; a store that isn't merely out of space is given up after some tries.
  int64_t reopen_every_ms = 2'000;
  int reopen_tries = 5;
};

// Who is told. Called on the loop's thread; must not wait.
struct LoopListener {
  std::function<void(const std::string& node, const Orders& orders)> orders;
  // Every agent's stream is to begin anew: the core that it joined is gone.
  std::function<void()> rejoin;
  // The store is open, with these records; an error is Open's. May write records.
  std::function<absl::Status(Store& store, const std::vector<Record>& records)> opened;
  // For meters; each may be null. A commit's seconds, and a tick's.
  std::function<void(const Input& input)> stepped;
  std::function<void(double seconds, size_t events, bool ok)> written;
  std::function<void(double seconds)> passed;
};

// Fail point: loop.durable (before anybody is told of a commit).
//
// A write that fails ends the acknowledging: changes get kUnavailable, readers go on seeing the
// last durable state, and agents' leases are renewed for what that state lets run, also of agents
// that connect again, so that a full disk ends no job. The store is then opened anew until that
// works; `OpenStore` must let nobody else have it meanwhile.
class Loop {
 public:
  using OpenStore = std::function<absl::StatusOr<std::unique_ptr<Store>>()>;
  using Answered = std::function<void(const Answer&)>;
  // A status other than OK: nothing can be read, `view` is null.
  using Reader = std::function<void(const absl::Status&, const View* view)>;

  // Opens the store and restores the cluster; a new store gets its first epoch.
  static absl::StatusOr<std::unique_ptr<Loop>> Start(LoopOptions options, OpenStore open,
                                                     LoopListener listener);
  // Stops.
  ~Loop();

  // From any thread. `answered` is called once, on the loop's thread, unless this is an error:
  // kResourceExhausted (the queue is full), kUnavailable (stopping). It must not wait.
  absl::Status Post(Input input, Answered answered);
  // The same for what agents say, which the queue has room for when it is full for others.
  absl::Status PostOfAgent(Input input, Answered answered);
  // Makes records that are not of the cluster durable (credentials).
  absl::Status PostRecords(std::vector<Record> records, Answered answered);
  // Runs `read` on the loop's thread; it should take less than a few milliseconds.
  absl::Status Read(Reader read);
  absl::Status ReadOfAgent(Reader read);

  // Answers what waits with kUnavailable and ends the thread. Idempotent.
  void Stop();

  RecentEvents& recent() { return recent_; }
  // OK while changes are accepted; else why not. Any thread.
  absl::Status accepting() const;
  // What opening the store anew didn't cure: the process should end, and start from the beginning.
  absl::Status failure() const;
  int64_t started_ms() const { return started_ms_; }
  size_t queued() const;

 private:
  struct Change {
    std::variant<Input, std::vector<Record>> change;
    Answered answered;
  };
  using Task = std::variant<Change, Reader>;
  struct Done {
    Answered answered;
    absl::Status status;
    std::vector<uint64_t> jobs;
  };
  struct Batch {
    Commit commit;
    std::vector<Done> done;
    std::map<std::string, Orders> orders;
    std::vector<Reader> readers;
  };

  Loop(LoopOptions options, OpenStore open, LoopListener listener);
  absl::Status Open();
  absl::Status Enqueue(Task task, size_t limit);
  void Run();
  // Waits for work; false once stopping.
  bool Take(std::vector<Task>& tasks, bool& tick);
  int64_t NextTick() const;  // steady
  void Process(std::vector<Task> tasks, bool tick);
  void ServeReaders(std::vector<Reader> readers);
  void StepInto(const Input& input, Answered answered, Batch& batch);
  void Tick(Batch& batch);
  // Makes it durable, answers, sends.
  void Finish(Batch batch);
  void Refuse(Change change);
  // Whether the change is answered OK though nothing is written: it changes nothing durable.
  bool GoesOnWithoutWriting(const Input& input);
  void Fail(const absl::Status& status);
  void Reopen();
  absl::Status ProbeWrite();

  const LoopOptions options_;
  const OpenStore open_;
  const LoopListener listener_;
  const int64_t started_ms_;
  RecentEvents recent_;

  // Of the loop's thread.
  std::unique_ptr<Store> store_;
  std::unique_ptr<Core> core_;
  OldEvents old_events_;
  std::map<std::string, uint64_t> last_orders_;  // sequence of the last that were sent, by node
  int64_t last_tick_ = 0;
  int64_t tick_cost_ms_ = 0;
  int64_t next_reopen_ = 0;
  int tries_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::deque<Task> queue_;
  bool stopping_ = false;
  absl::Status accepting_;
  absl::Status failure_;
  std::thread thread_;
};

}  // namespace tanren::coordinator

#endif  // TANREN_COORDINATOR_SERVER_LOOP_H_
