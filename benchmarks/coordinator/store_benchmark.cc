// How fast the store on disk commits, opens with a long history, and is copied.
//   store_benchmark [FOLDER]     a folder on the disk to be measured; default: the one for
//   temporary files
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "coordinator/store/sqlite_store.h"
#include "fmt/format.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// As long as those of real jobs are: a recipe has about 1 KB.
HistoryEvent SubmittedEvent(uint64_t sequence, uint64_t job) {
  HistoryEvent event;
  event.set_sequence(sequence);
  event.set_time_ms(1'795'000'000'000);
  Job& record = *event.mutable_job_submitted()->mutable_job();
  record.set_id(job);
  record.set_user("alice");
  record.set_request_id(fmt::format("request-{}", job));
  record.mutable_spec()->set_name("benchmark");
  record.mutable_spec()->mutable_recipe()->set_recipe(std::string(1000, 'r'));
  return event;
}

HistoryEvent ShortEvent(uint64_t sequence, uint64_t job) {
  HistoryEvent event;
  event.set_sequence(sequence);
  event.set_time_ms(1'795'000'000'000);
  AttemptToken& token = *event.mutable_attempt_running()->mutable_token();
  token.set_epoch(1'795'000'000'000);
  token.set_job(job);
  token.set_attempt(1);
  return event;
}

Record JobRecord(const HistoryEvent& submitted) {
  const Job& job = submitted.job_submitted().job();
  return {RecordKind::kJob, fmt::format("{:020}", job.id()), job.SerializeAsString()};
}

std::unique_ptr<SqliteStore> NewStore(const fs::path& folder) {
  fs::remove_all(folder);
  auto store = ValueOrThrow(SqliteStore::Open(folder));
  HistoryEvent epoch;
  epoch.set_sequence(1);
  epoch.mutable_epoch_began()->set_epoch(1);
  ThrowIfError(store->Write({{epoch}, {}}));
  return store;
}

void MeasureCommits(const fs::path& folder, int events_each, double seconds) {
  const auto store = NewStore(folder);
  uint64_t job = 0, commits = 0;
  double longest = 0;
  const auto begin = Clock::now();
  while (SecondsSince(begin) < seconds) {
    Commit commit;
    for (int i = 0; i < events_each; ++i) {
      ++job;
      commit.events.push_back(SubmittedEvent(store->last_sequence() + 1 + i, job));
      commit.records.push_back(JobRecord(commit.events.back()));
      commit.records.push_back({RecordKind::kRequest, fmt::format("alice/request-{}", job), "x"});
    }
    const auto one = Clock::now();
    ThrowIfError(store->Write(commit));
    longest = std::max(longest, SecondsSince(one));
    ++commits;
  }
  const double taken = SecondsSince(begin);
  fmt::print("{:4} submissions each: {:8.0f} commits/s, {:8.0f} submissions/s, longest {:.1f} ms\n",
             events_each, commits / taken, job / taken, longest * 1e3);
}

void MeasureHistory(const fs::path& folder, uint64_t jobs) {
  {
    const auto store = NewStore(folder);
    for (uint64_t job = 1; job <= jobs;) {
      Commit commit;
      uint64_t sequence = store->last_sequence();
      for (int i = 0; i < 500 && job <= jobs; ++i, ++job) {
        commit.events.push_back(SubmittedEvent(++sequence, job));
        commit.records.push_back(JobRecord(commit.events.back()));
        commit.records.push_back({RecordKind::kRequest, fmt::format("alice/request-{}", job), "x"});
        for (int more = 1; more < 6; ++more) commit.events.push_back(ShortEvent(++sequence, job));
      }
      ThrowIfError(store->Write(commit));
    }
  }
  fmt::print("{} jobs of 6 events: {:.0f} MB\n", jobs, fs::file_size(folder / "history.db") / 1e6);
  auto begin = Clock::now();
  const auto store = ValueOrThrow(SqliteStore::Open(folder));
  fmt::print("  opened (quick_check, numbers) in {:.2f} s\n", SecondsSince(begin));
  begin = Clock::now();
  const size_t records = ValueOrThrow(store->Records()).size();
  fmt::print("  {} records read in {:.2f} s\n", records, SecondsSince(begin));
  begin = Clock::now();
  ThrowIfError(store->Backup(folder / "backup"));
  fmt::print("  copied and checked in {:.2f} s\n", SecondsSince(begin));
}

}  // namespace
}  // namespace tanren::coordinator

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  const fs::path folder =
      (argc > 1 ? fs::path(argv[1]) : fs::temp_directory_path()) / "tanren-store-benchmark";
  for (const int events : {1, 16, 100}) tanren::coordinator::MeasureCommits(folder, events, 5);
  tanren::coordinator::MeasureHistory(folder, 100'000);
  fs::remove_all(folder);
  return 0;
}
