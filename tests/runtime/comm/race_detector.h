// Finds accesses to a device's memory that nothing orders: what is read before the event of its
// writer, or overwritten before the event of its reader. Vector clocks over streams, so that the
// verdict rests on the order in which a program gave its work, not on when it happened to run.
#ifndef TANREN_TESTS_RUNTIME_COMM_RACE_DETECTOR_H_
#define TANREN_TESTS_RUNTIME_COMM_RACE_DETECTOR_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tanren::comm {

class RaceDetector {
 public:
  // The stream of the computation is there from the start.
  static constexpr int kComputation = 0;
  int NewStream();

  // `stream` is given work named `what` that reads or writes the memory.
  enum class Kind { kRead, kWrite };
  void Access(int stream, const void* data, int64_t bytes, Kind kind, std::string_view what);
  // Events are known by their addresses; a later Record replaces what the event stands for.
  void Record(const void* event, int stream);
  void Wait(int stream, const void* event);
  // The host has seen that the event came.
  void SeenByHost(const void* event);
  // The memory is given back, to be handed out again by an allocator that looks at the
  // computation's stream and at nothing else.
  void Free(const void* data, int64_t bytes);

  // One line for each race: "the computation's mm reads what all-gather may still write".
  std::vector<std::string> races() const;

 private:
  using Clock = std::vector<int64_t>;  // of each stream, how much of its work has come before
  struct Use {
    uintptr_t begin, end;
    int stream;
    int64_t time;
    Kind kind;
    std::string what;
  };
  static bool Before(const Use& use, const Clock& clock);
  static void Merge(Clock& clock, const Clock& other);

  mutable std::mutex mutex_;
  std::vector<Clock> clocks_ = {{0}};
  Clock host_;
  std::map<const void*, Clock> events_;
  std::vector<Use> uses_;
  std::vector<std::string> races_;
};

}  // namespace tanren::comm

#endif  // TANREN_TESTS_RUNTIME_COMM_RACE_DETECTOR_H_
