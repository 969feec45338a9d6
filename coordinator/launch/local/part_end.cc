#include "coordinator/launch/local/part_end.h"

#include <csignal>
#include <cstring>

#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

constexpr int kBecauseOfAnother = 71;
constexpr int kSaved = 75;
constexpr int kSignalBase = 128;

// mpirun, shells and our own rank process tell of a signal by an exit code.
int SignalOf(const ProcessEnd& end) {
  if (end.signal != 0) return end.signal;
  const int signal = end.exit_code - kSignalBase;
  return signal > 0 && signal < NSIG ? signal : 0;
}

bool IsBad(const ProcessEnd& end) {
  return end.signal != 0 || (end.exit_code != 0 && end.exit_code != kSaved) || !end.refusal.empty();
}

std::string Who(const ProcessEnd& end) {
  if (end.rank < 0) return fmt::format("{}'s launcher", end.role);
  return fmt::format("{} rank {}", end.role, end.rank);
}

std::string What(const ProcessEnd& end) {
  if (!end.refusal.empty()) return fmt::format("{} could not start: {}", Who(end), end.refusal);
  if (const int signal = SignalOf(end); signal != 0) {
    return fmt::format("{} ended by signal {} ({})", Who(end), signal, strsignal(signal));
  }
  return fmt::format("{} ended with exit code {}", Who(end), end.exit_code);
}

AttemptEnd::Kind KindOf(const ProcessEnd& end, bool is_recipe) {
  if (!end.refusal.empty()) return end.blame;
  if (SignalOf(end) != 0) return AttemptEnd::INFRASTRUCTURE;
  if (!is_recipe) return AttemptEnd::USER_ERROR;
  return end.exit_code == kBecauseOfAnother ? AttemptEnd::INFRASTRUCTURE : AttemptEnd::USER_ERROR;
}

AttemptEnd::Kind KindOfStop(StopReason reason) {
  return reason == HANG ? AttemptEnd::HUNG : AttemptEnd::STOPPED;
}

// As mpirun and shells put it into one number.
int ValueOf(const ProcessEnd& end) {
  return end.signal != 0 ? kSignalBase + end.signal : end.exit_code;
}

// What mpirun's own end tells, if it has ended badly and some rank elsewhere may be why: those here
// were ended by it then, and their ends are older than its own.
std::optional<ProcessEnd> BlamedByMpirun(const std::vector<ProcessEnd>& ends) {
  for (const ProcessEnd& mpirun : ends) {
    if (!mpirun.is_mpirun || !IsBad(mpirun) || !mpirun.refusal.empty()) continue;
    if (mpirun.exit_code == kBecauseOfAnother) continue;
    for (const ProcessEnd& rank : ends) {
      const bool is_its_rank = rank.rank >= 0 && rank.role == mpirun.role;
      if (is_its_rank && ValueOf(rank) == ValueOf(mpirun)) return rank;
    }
    return mpirun;
  }
  return std::nullopt;
}

}  // namespace

std::optional<ProcessEnd> FirstBadEnd(const std::vector<ProcessEnd>& ends) {
  if (std::optional<ProcessEnd> blamed = BlamedByMpirun(ends); blamed.has_value()) return blamed;
  const ProcessEnd* launcher = nullptr;
  const ProcessEnd* follower = nullptr;
  for (const ProcessEnd& end : ends) {
    if (!IsBad(end)) continue;
    if (end.rank < 0 && end.refusal.empty()) {
      if (launcher == nullptr) launcher = &end;
    } else if (end.rank >= 0 && end.exit_code == kBecauseOfAnother) {
      if (follower == nullptr) follower = &end;
    } else {
      return end;
    }
  }
  // mpirun tells of a rank that ended on another node; one that followed it says less.
  if (launcher != nullptr) return *launcher;
  if (follower != nullptr) return *follower;
  return std::nullopt;
}

AttemptEnd EndOfPart(const PartHistory& history) {
  AttemptEnd end;
  end.set_node(history.node);
  end.set_rank(-1);
  bool saved = false;
  for (const ProcessEnd& process : history.ends) saved = saved || process.exit_code == kSaved;
  const std::optional<ProcessEnd> bad = FirstBadEnd(history.ends);
  if (bad.has_value()) {
    end.set_rank(bad->rank);
    end.set_exit_code(bad->exit_code);
    end.set_signal(SignalOf(*bad));
    end.set_message(What(*bad));
  }
  if (history.lease_passed) {
    end.set_kind(AttemptEnd::INFRASTRUCTURE);
    end.set_message(
        fmt::format("the lease of {} had passed, so its processes were ended", history.node));
    return end;
  }
  if (history.stop != STOP_REASON_UNSPECIFIED && (bad.has_value() || history.ends.empty())) {
    // Whatever a process that is asked to end says of it, we are the cause.
    end.set_kind(KindOfStop(history.stop));
    end.set_message(history.killed ? "killed when its time to end had passed" : "ended as asked");
    return end;
  }
  if (bad.has_value()) {
    end.set_kind(KindOf(*bad, history.is_recipe));
    if (!history.run_ended.empty()) {
      end.set_message(fmt::format("{}: {}", end.message(), history.run_ended));
    }
    return end;
  }
  if (saved) end.set_exit_code(kSaved);
  end.set_kind(saved ? AttemptEnd::SAVED : AttemptEnd::FINISHED);
  if (history.stop == HANG) end.set_kind(AttemptEnd::HUNG);
  end.set_message(history.run_ended);
  return end;
}

}  // namespace tanren::coordinator
