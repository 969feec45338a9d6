#include "runtime/base/fail_point.h"

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "runtime/base/error.h"

namespace tanren {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{5};

enum class Action { kKill, kStop, kWait, kHold, kError };

struct Entry {
  std::string name;
  Action action;
  int64_t wait_ms = 0;
  std::string hold_file;
  int64_t only = 0;  // the passage that counts; 0: each
  int64_t passages = 0;
};

struct Entries {
  std::mutex mutex;
  std::vector<Entry> entries;
};

// Lives until the process ends, whatever ends first.
Entries& AllEntries() {
  static auto* entries = new Entries;
  return *entries;
}

absl::StatusOr<Entry> ParseEntry(std::string_view text) {
  const auto wrong = [&] {
    return absl::InvalidArgumentError(fmt::format(
        "fail point \"{}\": expected NAME:ACTION or NAME:ACTION@N, where ACTION is kill, stop, "
        "wait=MILLISECONDS, hold=FILE or error",
        text));
  };
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return wrong();
  Entry entry{.name = std::string(text.substr(0, colon))};
  std::string_view action = text.substr(colon + 1);
  if (const size_t at = action.find('@'); at != std::string_view::npos) {
    const std::string_view number = action.substr(at + 1);
    if (!absl::SimpleAtoi({number.data(), number.size()}, &entry.only) || entry.only < 1) {
      return wrong();
    }
    action = action.substr(0, at);
  }
  if (action == "kill") {
    entry.action = Action::kKill;
  } else if (action == "stop") {
    entry.action = Action::kStop;
  } else if (action == "error") {
    entry.action = Action::kError;
  } else if (action.starts_with("wait=")) {
    const std::string_view number = action.substr(5);
    entry.action = Action::kWait;
    if (!absl::SimpleAtoi({number.data(), number.size()}, &entry.wait_ms) || entry.wait_ms < 0) {
      return wrong();
    }
  } else if (action.starts_with("hold=/")) {
    entry.action = Action::kHold;
    entry.hold_file = action.substr(5);
  } else {
    return wrong();
  }
  return entry;
}

// Before main(), so that a program needn't ask for it.
const bool taken_from_environment = [] {
  const char* text = std::getenv("TANREN_FAIL_POINT");
  if (text == nullptr) return false;
  const absl::Status status = SetFailPoints(text);
  if (!status.ok()) {
    std::fprintf(stderr, "TANREN_FAIL_POINT: %s\n", std::string(status.message()).c_str());
    _exit(2);
  }
  return true;
}();

}  // namespace

namespace internal {

std::atomic<bool> fail_points_are_set{false};

std::string NumberedName(std::string_view name, int64_t number) {
  return fmt::format("{}_{}", name, number);
}

absl::Status ReachFailPoint(std::string_view name, const std::function<bool()>& let_go) {
  absl::Status status;
  std::chrono::milliseconds wait{0};
  std::string hold_file;
  {
    const std::lock_guard lock(AllEntries().mutex);
    for (Entry& entry : AllEntries().entries) {
      if (entry.name != name) continue;
      ++entry.passages;
      if (entry.only != 0 && entry.passages != entry.only) continue;
      switch (entry.action) {
        case Action::kKill:
          kill(getpid(), SIGKILL);
          break;
        case Action::kStop:
          kill(getpid(), SIGSTOP);
          break;
        case Action::kWait:
          wait += std::chrono::milliseconds(entry.wait_ms);
          break;
        case Action::kHold:
          hold_file = entry.hold_file;
          break;
        case Action::kError:
          status = absl::InternalError(fmt::format("fail point {}", name));
          break;
      }
    }
  }
  if (wait.count() > 0) std::this_thread::sleep_for(wait);
  while (!hold_file.empty() && access(hold_file.c_str(), F_OK) != 0) {
    if (let_go && let_go()) break;
    std::this_thread::sleep_for(kBetweenLooks);
  }
  return status;
}

}  // namespace internal

absl::Status SetFailPoints(std::string_view text) {
  std::vector<Entry> entries;
  if (!text.empty()) {
    for (const std::string& part : std::vector<std::string>(
             absl::StrSplit(absl::string_view(text.data(), text.size()), ','))) {
      TANREN_ASSIGN_OR_RETURN(Entry entry, ParseEntry(part));
      entries.push_back(std::move(entry));
    }
  }
  const std::lock_guard lock(AllEntries().mutex);
  AllEntries().entries = std::move(entries);
  internal::fail_points_are_set = !AllEntries().entries.empty();
  return absl::OkStatus();
}

}  // namespace tanren
