#include "runtime/telemetry/flight_explanation.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <tuple>
#include <vector>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "runtime/base/file.h"

namespace tanren::telemetry {
namespace {

// Heartbeats come each 0.05 s; on a loaded machine they are late.
constexpr int64_t kSameMoment = 100'000'000;
// A host whose ranks have all had no heartbeat for so long is taken for dead.
constexpr int64_t kSilence = 10'000'000'000;
// A process whose heartbeat is so much older than another's of its host has been stopped, or
// starved.
constexpr int64_t kStandstill = 1'000'000'000;
// Enough to print a line and to bring an event to a disk; mpirun kills a second after SIGTERM.
constexpr auto kTimeToExplain = std::chrono::milliseconds(300);

const RecordedCall* LastCall(const FlightRecord& rank) {
  return rank.calls.empty() ? nullptr : &rank.calls.back();
}

bool Waits(const FlightRecord& rank) {
  return !rank.calls.empty() && rank.calls.back().state == CallState::kEntered;
}

bool SameCall(const RecordedCall& a, const RecordedCall& b) {
  return std::tie(a.group, a.sequence, a.collective, a.unit) ==
         std::tie(b.group, b.sequence, b.collective, b.unit);
}

bool IsOfAPair(const RecordedCall& call) {
  return call.collective == "send" || call.collective == "receive";
}

std::string Name(const RecordedCall& call) {
  std::string text = fmt::format("{} #{} of '{}'", call.collective, call.sequence, call.unit);
  if (call.group != "world") text += fmt::format(" in group '{}'", call.group);
  if (call.step >= 0) text += fmt::format(" (step {})", call.step);
  return text;
}

// "in reduce-scatter #3 of 'x'", "after …" or "before its first collective".
std::string Where(const FlightRecord& rank) {
  const RecordedCall* call = LastCall(rank);
  if (call == nullptr) return "before its first collective";
  return fmt::format("{} {}", call->state == CallState::kDone ? "after" : "in", Name(*call));
}

std::string RankList(const std::vector<int>& ranks) {
  return fmt::format("{} {}", ranks.size() == 1 ? "rank" : "ranks", fmt::join(ranks, ", "));
}

// What ranks other than `culprits` were doing: one clause for each kind of place.
std::string Others(std::span<const FlightRecord> ranks, const std::set<int>& culprits,
                   const RecordedCall* same) {
  std::map<std::string, std::vector<int>> places;
  for (const FlightRecord& rank : ranks) {
    if (culprits.contains(rank.rank) || rank.status == RankStatus::kFinished) continue;
    std::string place;
    if (!Waits(rank)) {
      place = "had been " + Where(rank);
    } else if (same != nullptr && SameCall(*LastCall(rank), *same)) {
      place = "waited in the same call";
    } else {
      place = "waited in " + Name(*LastCall(rank));
    }
    places[place].push_back(rank.rank);
  }
  std::string text;
  for (const auto& [place, members] : places) {
    text += fmt::format("; {} {}", RankList(members), place);
  }
  return text;
}

std::string Failure(std::span<const FlightRecord> ranks, const FlightRecord& first) {
  const std::string message = first.failure.empty() ? "no reason was given" : first.failure;
  // What is done before the first step is plain: what was wrong with it is all that counts.
  const RecordedCall* last = LastCall(first);
  const bool alone = first.world_size == 1;
  if (alone && (last == nullptr || last->step < 0)) return message;
  if (last != nullptr && last->step < 0 && last->state == CallState::kDone) {
    // Ranks that have agreed on it name the one that it is of.
    return message.starts_with("rank ") ? message : fmt::format("rank {}: {}", first.rank, message);
  }
  return fmt::format("rank {} failed {}: {}{}", first.rank, Where(first), message,
                     Others(ranks, {first.rank}, LastCall(first)));
}

std::string Death(std::span<const FlightRecord> ranks, const FlightRecord& first) {
  int64_t others = 0;
  for (const FlightRecord& rank : ranks) {
    if (rank.rank != first.rank) others = std::max(others, rank.heartbeat_ns);
  }
  std::string heartbeat;
  if (others - first.heartbeat_ns > kSameMoment) {
    heartbeat = fmt::format(", its last heartbeat {:.1f} s before the others'",
                            1e-9 * static_cast<double>(others - first.heartbeat_ns));
  }
  return fmt::format("rank {} died without an exit record {}{}{}", first.rank, Where(first),
                     heartbeat, Others(ranks, {first.rank}, LastCall(first)));
}

// How long the rank has been without a heartbeat while others of its host had theirs. (Clocks of
// several hosts may differ.)
int64_t StandstillOf(const FlightRecord& rank, std::span<const FlightRecord> ranks) {
  int64_t newest = rank.heartbeat_ns;
  for (const FlightRecord& other : ranks) {
    if (other.host == rank.host) newest = std::max(newest, other.heartbeat_ns);
  }
  return newest - rank.heartbeat_ns;
}

std::string Standstill(std::span<const FlightRecord> ranks, const FlightRecord& first) {
  return fmt::format("rank {} has stood still for {:.1f} s {}{}", first.rank,
                     1e-9 * static_cast<double>(StandstillOf(first, ranks)), Where(first),
                     Others(ranks, {first.rank}, LastCall(first)));
}

// The earliest of the ranks that `is_cause` picks, by the time that `when` gives.
template <typename IsCause, typename When>
const FlightRecord* Earliest(std::span<const FlightRecord> ranks, const IsCause& is_cause,
                             const When& when) {
  const FlightRecord* first = nullptr;
  for (const FlightRecord& rank : ranks) {
    if (is_cause(rank) && (first == nullptr || when(rank) < when(*first))) first = &rank;
  }
  return first;
}

const FlightRecord* Dead(std::span<const FlightRecord> ranks) {
  int64_t newest = 0;
  for (const FlightRecord& rank : ranks) newest = std::max(newest, rank.heartbeat_ns);
  return Earliest(
      ranks,
      [&](const FlightRecord& rank) {
        if (rank.status != RankStatus::kRunning) return false;
        const bool is_silent = newest - rank.heartbeat_ns > kSilence;
        return rank.gone || (is_silent && StandstillOf(rank, ranks) <= kStandstill);
      },
      [](const FlightRecord& rank) { return rank.heartbeat_ns; });
}

// Ranks that wait in one group's same turn, each for another call.
std::optional<std::string> Disagreement(std::span<const FlightRecord> ranks) {
  for (const FlightRecord& one : ranks) {
    for (const FlightRecord& other : ranks) {
      if (other.rank <= one.rank || !Waits(one) || !Waits(other)) continue;
      const RecordedCall& a = *LastCall(one);
      const RecordedCall& b = *LastCall(other);
      const bool same_turn =
          a.group == b.group && a.sequence == b.sequence && !IsOfAPair(a) && !IsOfAPair(b);
      if (!same_turn || (SameCall(a, b) && a.bytes == b.bytes && a.dtype == b.dtype)) continue;
      return fmt::format(
          "ranks disagree: rank {} waits in {} ({} bytes of {}), rank {} in {} ({} "
          "bytes of {})",
          one.rank, Name(a), a.bytes, a.dtype, other.rank, Name(b), b.bytes, b.dtype);
    }
  }
  return std::nullopt;
}

// Whether the rank takes part in the group and hasn't come to that call.
bool IsBehind(const FlightRecord& rank, const RecordedCall& call) {
  int64_t reached = call.group == "world" ? 0 : -1;
  for (const RecordedCall& own : rank.calls) {
    if (own.group == call.group && !IsOfAPair(own)) {
      reached = std::max(reached, own.sequence);
    }
  }
  return reached >= 0 && reached < call.sequence;
}

// The rank that waits for the longest time was there first: who is behind it holds it up. But where
// others have left its call and wait in a later one of the group, it is itself what holds them up.
const FlightRecord* FirstToWait(std::span<const FlightRecord> ranks) {
  const auto start = [](const FlightRecord& rank) { return LastCall(rank)->start_ns; };
  const FlightRecord* first = Earliest(ranks, Waits, start);
  if (first == nullptr || IsOfAPair(*LastCall(*first))) return first;
  const auto waits_behind_it = [call = *LastCall(*first)](const FlightRecord& rank) {
    if (!Waits(rank) || IsOfAPair(*LastCall(rank))) return false;
    return LastCall(rank)->group == call.group && LastCall(rank)->sequence > call.sequence;
  };
  const FlightRecord* later = Earliest(ranks, waits_behind_it, start);
  return later != nullptr ? later : first;
}

std::string Hang(std::span<const FlightRecord> ranks) {
  const FlightRecord* waiting = FirstToWait(ranks);
  if (waiting == nullptr) {
    return fmt::format("no rank waits in a collective{}", Others(ranks, {}, nullptr));
  }
  const RecordedCall& call = *LastCall(*waiting);
  std::vector<int> behind;
  std::string places;
  for (const FlightRecord& rank : ranks) {
    if (!IsBehind(rank, call)) continue;
    behind.push_back(rank.rank);
    places += fmt::format("; rank {} is {}", rank.rank, Where(rank));
  }
  if (behind.empty()) {
    return fmt::format("every rank entered {}, and it doesn't end{}", Name(call),
                       Others(ranks, {}, &call));
  }
  return fmt::format("{} never entered {}{}{}", RankList(behind), Name(call), places,
                     Others(ranks, std::set<int>(behind.begin(), behind.end()), &call));
}

std::string Missing(std::span<const FlightRecord> ranks) {
  std::set<int> present;
  int size = 0;
  for (const FlightRecord& rank : ranks) {
    present.insert(rank.rank);
    size = std::max(size, rank.world_size);
  }
  // Bounded: the size comes from a file.
  std::vector<int> missing;
  for (int i = 0; i < size && missing.size() < 8; ++i) {
    if (!present.contains(i)) missing.push_back(i);
  }
  if (missing.empty()) return "";
  return fmt::format("; {} left no flight record here", RankList(missing));
}

std::string Cause(std::span<const FlightRecord> ranks) {
  const auto failed = [](const FlightRecord& rank) { return rank.status == RankStatus::kFailed; };
  const auto terminated = [](const FlightRecord& rank) {
    return rank.status == RankStatus::kTerminated;
  };
  const auto status_time = [](const FlightRecord& rank) { return rank.status_ns; };
  if (const FlightRecord* first = Earliest(ranks, failed, status_time)) {
    return Failure(ranks, *first);
  }
  if (const FlightRecord* first = Dead(ranks)) return Death(ranks, *first);
  if (const FlightRecord* first = Earliest(ranks, terminated, status_time)) {
    return fmt::format("ended from outside by {}{}", first->failure, Others(ranks, {}, nullptr));
  }
  if (std::optional<std::string> text = Disagreement(ranks)) return *std::move(text);
  const auto stands_still = [&](const FlightRecord& rank) {
    return rank.status == RankStatus::kRunning && StandstillOf(rank, ranks) > kStandstill;
  };
  const auto heartbeat = [](const FlightRecord& rank) { return rank.heartbeat_ns; };
  if (const FlightRecord* first = Earliest(ranks, stands_still, heartbeat)) {
    return Standstill(ranks, *first);
  }
  return Hang(ranks);
}

}  // namespace

std::string Explain(std::span<const FlightRecord> ranks) {
  if (ranks.empty()) return "no flight records";
  if (std::all_of(ranks.begin(), ranks.end(),
                  [](const FlightRecord& rank) { return rank.status == RankStatus::kFinished; })) {
    return "all ranks finished";
  }
  return Cause(ranks) + Missing(ranks);
}

std::filesystem::path ExplanationPath(const std::filesystem::path& folder,
                                      std::string_view launch) {
  std::string name = "explanation";
  if (!launch.empty()) name += '-';
  for (const char c : launch) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return folder / (name + ".txt");
}

std::optional<std::string> ExplainOnce(const std::filesystem::path& folder,
                                       std::string_view launch) {
  const absl::StatusOr<std::vector<FlightRecord>> ranks = ReadFlightRecords(folder, launch);
  if (!ranks.ok() || ranks->empty()) return std::nullopt;
  if (std::all_of(ranks->begin(), ranks->end(),
                  [](const FlightRecord& rank) { return rank.status == RankStatus::kFinished; })) {
    return std::nullopt;
  }
  std::string explanation = Explain(*ranks);
  const std::string line = fmt::format("tanren: {}\n", explanation);
  // Who makes the file is the one who speaks.
  const std::filesystem::path path = ExplanationPath(folder, ranks->front().launch);
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0) return std::nullopt;
  const bool printed = write(STDERR_FILENO, line.data(), line.size()) >= 0;
  const bool kept = write(file, line.data(), line.size()) >= 0;
  close(file);
  if (!printed && !kept) return std::nullopt;
  return explanation;
}

void ExplainBeforeTheEnd(const FlightRecorder& recorder) {
  const std::optional<std::string> explanation = ExplainOnce(recorder.folder(), recorder.launch());
  if (!explanation.has_value()) {
    std::this_thread::sleep_for(kTimeToExplain);
  } else if (const auto listener = recorder.explanation_listener(); listener != nullptr) {
    listener(*explanation);
  }
}

}  // namespace tanren::telemetry
