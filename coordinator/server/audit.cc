#include "coordinator/server/audit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <set>
#include <string_view>

#include "absl/strings/numbers.h"
#include "nlohmann/json.hpp"
#include "runtime/base/error.h"
#include "runtime/base/file.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr char kName[] = "audit.jsonl";
constexpr size_t kLongestText = 512;

std::string TimeText(int64_t ms) {
  const std::time_t seconds = ms / 1000;
  std::tm parts = {};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
  return fmt::format("{}.{:03}Z", text, ms % 1000);
}

std::string LineOf(const AuditEntry& entry) {
  const auto shortened = [](std::string_view text) {
    return std::string(text.substr(0, kLongestText));
  };
  nlohmann::ordered_json line;
  line["time"] = TimeText(entry.time_ms);
  line["user"] = shortened(entry.user);
  line["method"] = shortened(entry.method);
  line["target"] = shortened(entry.target);
  line["request"] = shortened(entry.request_id);
  line["outcome"] = absl::StatusCodeToString(entry.outcome.code());
  if (!entry.outcome.ok()) {
    const absl::string_view message = entry.outcome.message();
    line["message"] = shortened({message.data(), message.size()});
  }
  // Bytes that aren't UTF-8 (or were cut in a character) are replaced, control characters escaped.
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

// The numbers of the full files.
std::set<uint64_t> NumbersIn(const fs::path& folder) {
  std::set<uint64_t> numbers;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename();
    uint64_t number = 0;
    if (name.starts_with("audit-") && name.ends_with(".jsonl") &&
        absl::SimpleAtoi(name.substr(6, name.size() - 12), &number)) {
      numbers.insert(number);
    }
  }
  return numbers;
}

fs::path FullName(const fs::path& folder, uint64_t number) {
  return folder / fmt::format("audit-{:06}.jsonl", number);
}

}  // namespace

AuditLog::AuditLog(fs::path folder, const AuditOptions& options)
    : folder_(std::move(folder)), options_(options) {}

AuditLog::~AuditLog() {
  if (descriptor_ < 0) return;
  fdatasync(descriptor_);
  close(descriptor_);
}

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(const fs::path& folder,
                                                         const AuditOptions& options) {
  std::unique_ptr<AuditLog> log(new AuditLog(folder, options));
  TANREN_RETURN_IF_ERROR(log->OpenFile());
  return log;
}

absl::Status AuditLog::OpenFile() {
  const fs::path path = folder_ / kName;
  descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  struct stat info;
  if (descriptor_ < 0 || fstat(descriptor_, &info) != 0) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't open", path.string()));
  }
  size_ = static_cast<uint64_t>(info.st_size);
  // A line that a crash or a full disk cut short ends here.
  char last = '\n';
  if (size_ > 0 && pread(descriptor_, &last, 1, info.st_size - 1) == 1 && last != '\n' &&
      write(descriptor_, "\n", 1) == 1) {
    ++size_;
  }
  return absl::OkStatus();
}

absl::Status AuditLog::Rotate() {
  fdatasync(descriptor_);
  std::set<uint64_t> numbers = NumbersIn(folder_);
  const uint64_t next = numbers.empty() ? 1 : *numbers.rbegin() + 1;
  const fs::path path = folder_ / kName;
  if (rename(path.c_str(), FullName(folder_, next).c_str()) != 0) {
    return absl::ErrnoToStatus(errno, fmt::format("{}: can't rename", path.string()));
  }
  close(descriptor_);
  descriptor_ = -1;
  numbers.insert(next);
  while (numbers.size() > static_cast<size_t>(options_.keep)) {
    unlink(FullName(folder_, *numbers.begin()).c_str());
    numbers.erase(numbers.begin());
  }
  return OpenFile();
}

absl::Status AuditLog::Append(const AuditEntry& entry) {
  const std::string line = LineOf(entry);
  const std::lock_guard lock(mutex_);
  if (descriptor_ < 0) TANREN_RETURN_IF_ERROR(OpenFile());
  if (size_ > 0 && size_ + line.size() > options_.limit_bytes) TANREN_RETURN_IF_ERROR(Rotate());
  const ssize_t written = write(descriptor_, line.data(), line.size());
  if (written > 0) size_ += static_cast<uint64_t>(written);
  if (written == static_cast<ssize_t>(line.size())) return absl::OkStatus();
  const int error = written < 0 ? errno : ENOSPC;
  // The next line doesn't go on behind half of this one.
  if (written > 0 && ftruncate(descriptor_, static_cast<off_t>(size_ - written)) == 0) {
    size_ -= static_cast<uint64_t>(written);
  }
  return absl::ErrnoToStatus(error, fmt::format("{}: can't write", (folder_ / kName).string()));
}

}  // namespace tanren::coordinator
