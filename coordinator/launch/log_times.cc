#include "coordinator/launch/log_times.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/launch/part_folder.h"
#include "runtime/base/file.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSpanMs = 1'000;
constexpr size_t kMostEntries = 4096;
constexpr int64_t kPartOfAge = 64;
constexpr int64_t kLatestMs = int64_t{1} << 52;

// Bytes from `offset` to the next entry's were written within `span_ms` from `first_ms` on.
struct Entry {
  uint64_t offset = 0;
  int64_t first_ms = 0;
  int64_t span_ms = 0;
};

std::vector<Entry> ReadEntries(const fs::path& path) {
  const std::string bytes = ReadFile(path, kMostEntries * sizeof(Entry)).value_or("");
  std::vector<Entry> entries(bytes.size() / sizeof(Entry));
  if (!entries.empty()) std::memcpy(entries.data(), bytes.data(), entries.size() * sizeof(Entry));
  // What a broken disk left isn't reckoned with.
  std::erase_if(entries, [](const Entry& entry) {
    return entry.first_ms < 0 || entry.first_ms > kLatestMs || entry.span_ms < 0 ||
           entry.span_ms > kLatestMs;
  });
  return entries;
}

// Whether an entry may take in the one that follows it: what is found stays within 1/64 of its age.
bool MayJoin(const Entry& entry, const Entry& next, int64_t now_ms) {
  const int64_t span_ms = next.first_ms + next.span_ms - entry.first_ms;
  const int64_t age_ms = now_ms - next.first_ms;
  return next.first_ms >= entry.first_ms && span_ms <= age_ms / kPartOfAge;
}

}  // namespace

fs::path TimesPath(const fs::path& log) {
  fs::path path = log;
  return path.replace_extension(".times");
}

void LogTimes::Wrote(uint64_t offset, int64_t now_ms) {
  if (entries_ > 0 && now_ms >= last_ms_ && now_ms < last_ms_ + kSpanMs) return;
  if (!file_.is_open()) {
    file_ = Descriptor(open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (!file_.is_open()) return;
  }
  const Entry entry = {offset, now_ms, kSpanMs};
  if (write(file_.get(), &entry, sizeof(entry)) != static_cast<ssize_t>(sizeof(entry))) return;
  last_ms_ = now_ms;
  if (++entries_ >= kMostEntries) Thin();
}

void LogTimes::Thin() {
  std::vector<Entry> kept;
  for (const Entry& entry : ReadEntries(path_)) {
    if (!kept.empty() && MayJoin(kept.back(), entry, last_ms_)) {
      kept.back().span_ms = entry.first_ms + entry.span_ms - kept.back().first_ms;
    } else {
      kept.push_back(entry);
    }
  }
  // (A clock that was set about leaves entries that don't follow one another.)
  if (kept.size() > kMostEntries / 2) {
    kept.erase(kept.begin(), kept.end() - static_cast<std::ptrdiff_t>(kMostEntries / 2));
  }
  const std::string bytes(reinterpret_cast<const char*>(kept.data()), kept.size() * sizeof(Entry));
  file_.Close();
  if (ReplaceFile(path_, bytes).ok()) entries_ = kept.size();
}

uint64_t OffsetSince(const fs::path& path, int64_t since_ms, uint64_t end) {
  const std::vector<Entry> entries = ReadEntries(path);
  // (What was before the first entry may have lost its times.)
  if (entries.empty() || since_ms < entries.front().first_ms) return 0;
  for (const Entry& entry : entries) {
    if (entry.first_ms + entry.span_ms > since_ms) return std::min(entry.offset, end);
  }
  return end;
}

}  // namespace tanren::coordinator
