#include "coordinator/launch/slurm/slurm_end.h"

#include <array>
#include <csignal>
#include <cstring>
#include <string_view>

#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

constexpr int kSaved = 75;
// The worker's: a rank that ended because another did.
constexpr int kOtherRankFailed = 71;
constexpr int kRecipeWrong = 1;
constexpr int kModelWrong = 70;

AttemptEnd Of(AttemptEnd::Kind kind, std::string message) {
  AttemptEnd end;
  end.set_kind(kind);
  end.set_rank(-1);
  end.set_message(std::move(message));
  return end;
}

std::string RankText(const SlurmRankExit& rank) {
  const std::string name = fmt::format("rank {} ({}) on {}", rank.rank(), rank.role(), rank.node());
  if (rank.signal() != 0) {
    return fmt::format("{} was ended by signal {} ({})", name, rank.signal(),
                       strsignal(rank.signal()));
  }
  return fmt::format("{} exited with {}", name, rank.exit_code());
}

// It ended because another rank did, or was told to.
bool Follows(const SlurmRankExit& rank) {
  return rank.exit_code() == kOtherRankFailed || rank.told_to_end();
}

AttemptEnd::Kind KindOf(const SlurmRankExit& rank, bool recipe) {
  if (rank.signal() != 0) return AttemptEnd::INFRASTRUCTURE;
  if (!recipe) return AttemptEnd::USER_ERROR;
  const bool users = rank.exit_code() == kRecipeWrong || rank.exit_code() == kModelWrong;
  return users ? AttemptEnd::USER_ERROR : AttemptEnd::INFRASTRUCTURE;
}

AttemptEnd EndOfFailedRun(const SlurmRunFound& found) {
  const SlurmRankExit* rank = FirstBadRank(found.ranks);
  if (rank == nullptr) {
    AttemptEnd end = Of(AttemptEnd::INFRASTRUCTURE,
                        fmt::format("mpirun ended with {} before a rank did; what it said is in "
                                    "the attempt's batch.log",
                                    found.exit_code));
    end.set_exit_code(found.exit_code);
    return end;
  }
  AttemptEnd end = Of(KindOf(*rank, found.recipe), RankText(*rank));
  if (!found.last_words.empty()) end.set_message(end.message() + ": " + found.last_words);
  end.set_exit_code(rank->exit_code());
  end.set_signal(rank->signal());
  end.set_rank(rank->rank());
  return end;
}

// Slurm's final states that say more than an exit code.
std::optional<AttemptEnd> EndOfSlurmState(const SlurmJobFound& found) {
  const std::string& state = found.state;
  if (state == "NODE_FAIL" || state == "BOOT_FAIL") {
    return Of(AttemptEnd::INFRASTRUCTURE, "Slurm lost a node of the job (" + state + ")");
  }
  if (state == "TIMEOUT" || state == "DEADLINE") {
    return Of(AttemptEnd::INFRASTRUCTURE,
              "Slurm's time limit passed before the run had saved; it goes on behind its last "
              "checkpoint");
  }
  if (state == "PREEMPTED") {
    return Of(AttemptEnd::INFRASTRUCTURE, "Slurm preempted the job before it had saved");
  }
  if (state == "REQUEUED") {
    return Of(AttemptEnd::INFRASTRUCTURE, "requeued in Slurm by hand, not through Tanren");
  }
  if (state == "OUT_OF_MEMORY") {
    return Of(AttemptEnd::USER_ERROR,
              "Slurm ended it for using more memory than it asked for; ask for more for each rank");
  }
  if (state == "CANCELLED") {
    return Of(AttemptEnd::USER_ERROR, "cancelled in Slurm (scancel), not through Tanren");
  }
  return std::nullopt;
}

AttemptEnd EndWithoutRecord(const SlurmJobFound& found) {
  if (auto end = EndOfSlurmState(found)) return *std::move(end);
  if (found.state.empty()) {
    return Of(AttemptEnd::INFRASTRUCTURE, "Slurm forgot the job, and it left no record of its end");
  }
  return Of(AttemptEnd::INFRASTRUCTURE,
            fmt::format("the batch job ended ({}) and left no record; its batch.log may say why",
                        found.state));
}

}  // namespace

const SlurmRankExit* FirstBadRank(const std::vector<SlurmRankExit>& ranks) {
  const SlurmRankExit* first = nullptr;
  for (const SlurmRankExit& rank : ranks) {
    if (rank.exit_code() == 0) continue;
    const bool follows = Follows(rank);
    const bool first_follows = first != nullptr && Follows(*first);
    if (first == nullptr || (first_follows && !follows) ||
        (first_follows == follows && rank.ended_ms() < first->ended_ms())) {
      first = &rank;
    }
  }
  return first;
}

AttemptEnd EndOfSlurmRun(const SlurmRunFound& found) {
  if (!found.superseded_by.empty()) {
    return Of(AttemptEnd::STOPPED, "superseded by attempt " + found.superseded_by);
  }
  if (found.folder_lost) {
    return Of(AttemptEnd::INFRASTRUCTURE,
              "the attempt's folder couldn't be written for too long, so its ranks were ended");
  }
  if (found.exit_code == 0) {
    return Of(AttemptEnd::FINISHED, "");
  }
  if (found.exit_code == kSaved) {
    AttemptEnd end = Of(AttemptEnd::SAVED, found.last_words);
    end.set_exit_code(kSaved);
    return end;
  }
  if (found.stop == NODE_LOST) {
    return Of(AttemptEnd::INFRASTRUCTURE, "Slurm counts a node of the job as lost");
  }
  if (found.stop.has_value()) {
    AttemptEnd end = Of(AttemptEnd::STOPPED, "stopped: " + StopReason_Name(*found.stop));
    end.set_exit_code(found.exit_code);
    return end;
  }
  if (found.ended_by_slurm) {
    AttemptEnd end = Of(AttemptEnd::INFRASTRUCTURE, "Slurm ended the job");
    end.set_exit_code(found.exit_code);
    return end;
  }
  return EndOfFailedRun(found);
}

bool IsFinalSlurmState(const std::string& state) {
  constexpr std::array<std::string_view, 10> kFinal = {
      "COMPLETED", "FAILED",    "CANCELLED",     "TIMEOUT",  "NODE_FAIL",
      "PREEMPTED", "BOOT_FAIL", "OUT_OF_MEMORY", "DEADLINE", "REVOKED"};
  for (std::string_view final : kFinal) {
    if (state == final) return true;
  }
  return false;
}

bool IsRunningSlurmState(const std::string& state) {
  return state == "RUNNING" || state == "SUSPENDED" || state == "SIGNALING" ||
         state == "RESIZING" || state == "STOPPED" || state == "STAGE_OUT";
}

AttemptEnd EndOfSlurmJob(const SlurmJobFound& found) {
  if (found.exit.has_value()) {
    const AttemptEnd& end = found.exit->end();
    // The kernel killed the rank, and Slurm saw why.
    const bool out_of_memory = found.state == "OUT_OF_MEMORY" && end.signal() == SIGKILL;
    const bool slurm_knows_better = found.exit->ended_by_slurm() || out_of_memory;
    if (!slurm_knows_better || end.kind() != AttemptEnd::INFRASTRUCTURE) return end;
    if (found.stop.has_value()) {
      return Of(AttemptEnd::STOPPED, "stopped: " + StopReason_Name(*found.stop));
    }
    AttemptEnd better = EndOfSlurmState(found).value_or(end);
    better.set_exit_code(end.exit_code());
    better.set_signal(end.signal());
    better.set_rank(end.rank());
    better.set_log_tail(end.log_tail());
    return better;
  }
  if (found.stop.has_value()) {
    return Of(found.withdrawn ? AttemptEnd::NEVER_STARTED : AttemptEnd::STOPPED,
              "stopped: " + StopReason_Name(*found.stop));
  }
  return EndWithoutRecord(found);
}

}  // namespace tanren::coordinator
