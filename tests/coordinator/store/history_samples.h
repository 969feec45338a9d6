// Events and records for tests of stores.
#ifndef TANREN_TESTS_COORDINATOR_STORE_HISTORY_SAMPLES_H_
#define TANREN_TESTS_COORDINATOR_STORE_HISTORY_SAMPLES_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/store/store.h"
#include "fmt/format.h"

namespace tanren::coordinator {

inline HistoryEvent EpochBegan(uint64_t sequence, uint64_t epoch = 1) {
  HistoryEvent event;
  event.set_sequence(sequence);
  event.set_time_ms(1'000'000 + static_cast<int64_t>(sequence));
  event.mutable_epoch_began()->set_epoch(epoch);
  event.mutable_epoch_began()->set_next_job(1);
  return event;
}

inline HistoryEvent Submitted(uint64_t sequence, uint64_t job) {
  HistoryEvent event;
  event.set_sequence(sequence);
  event.set_time_ms(1'000'000 + static_cast<int64_t>(sequence));
  event.mutable_job_submitted()->mutable_job()->set_id(job);
  event.mutable_job_submitted()->mutable_job()->mutable_spec()->set_name(fmt::format("j{}", job));
  return event;
}

inline Record JobRecord(uint64_t job, const std::string& value) {
  return {RecordKind::kJob, fmt::format("{:020}", job), value};
}

// What a store holds, in an order that can be compared.
inline std::vector<std::string> TextsOf(std::vector<Record> records) {
  std::vector<std::string> texts;
  for (const Record& record : records) {
    texts.push_back(
        fmt::format("{}/{}={}", static_cast<int>(record.kind), record.key, record.value));
  }
  std::sort(texts.begin(), texts.end());
  return texts;
}

}  // namespace tanren::coordinator

#endif  // TANREN_TESTS_COORDINATOR_STORE_HISTORY_SAMPLES_H_
