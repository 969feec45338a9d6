// What happened in a simulation: a hash of all of it, and the end of it for people.
#ifndef TANREN_TESTS_COORDINATOR_SIMULATION_TRACE_H_
#define TANREN_TESTS_COORDINATOR_SIMULATION_TRACE_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace tanren::coordinator::simulation {

class Trace {
 public:
  // `what` must live for ever; node −1, job 0: of none.
  void Add(int64_t time_us, std::string_view what, int node = -1, uint64_t job = 0,
           uint32_t attempt = 0, int64_t detail = 0);

  uint64_t hash() const { return hash_; }
  uint64_t count() const { return count_; }
  // The last entries, a line each; those of one job alone if it isn't 0.
  std::string Tail(int lines, uint64_t job = 0) const;

 private:
  struct Entry {
    int64_t time_us;
    std::string_view what;
    int node;
    uint64_t job;
    uint32_t attempt;
    int64_t detail;
  };
  static constexpr size_t kKept = 1 << 16;

  void Mix(uint64_t value);

  uint64_t hash_ = 14695981039346656037u;
  uint64_t count_ = 0;
  std::array<Entry, kKept> entries_;
};

}  // namespace tanren::coordinator::simulation

#endif  // TANREN_TESTS_COORDINATOR_SIMULATION_TRACE_H_
