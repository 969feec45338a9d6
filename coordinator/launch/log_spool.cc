#include "coordinator/launch/log_spool.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kFilesInRow = 4;
constexpr int64_t kLongestChunk = 1 << 20;
// Nobody writes so much: a file with such a name isn't one of the row, and its end would pass 2^64.
constexpr uint64_t kLongestLog = uint64_t{1} << 62;

fs::path FileAt(const fs::path& path, uint64_t begin) {
  if (begin == 0) return path;
  return path.parent_path() / fmt::format("{}+{}.log", path.stem().string(), begin);
}

struct SpoolFile {
  fs::path path;
  uint64_t size = 0;
};

// By first byte.
std::map<uint64_t, SpoolFile> FilesOf(const fs::path& path) {
  std::map<uint64_t, SpoolFile> files;
  const std::string stem = path.stem().string() + "+";
  std::error_code error;
  for (fs::directory_iterator it(path.parent_path(), error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    uint64_t begin = 0;
    if (it->path() != path) {
      if (!name.starts_with(stem) || !name.ends_with(".log")) continue;
      if (!absl::SimpleAtoi(name.substr(stem.size(), name.size() - stem.size() - 4), &begin) ||
          begin > kLongestLog) {
        continue;
      }
    }
    struct stat status = {};
    if (stat(it->path().c_str(), &status) == 0) {
      files[begin] = {it->path(), static_cast<uint64_t>(status.st_size)};
    }
  }
  return files;
}

absl::StatusOr<std::string> ReadPiece(const fs::path& path, uint64_t begin, uint64_t bytes) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string data(bytes, '\0');
  ssize_t read = -1;
  if (file.is_open()) read = pread(file.get(), data.data(), bytes, static_cast<off_t>(begin));
  if (read < 0) return absl::ErrnoToStatus(errno, fmt::format("{}: can't read", path.string()));
  data.resize(static_cast<size_t>(read));
  return data;
}

// Of a log without times, whose file couldn't be written, all counts that was written to since.
uint64_t FirstSince(const fs::path& path, const fs::path& last, int64_t since_ms, uint64_t end) {
  const fs::path times = TimesPath(path);
  std::error_code error;
  if (fs::exists(times, error)) return OffsetSince(times, since_ms, end);
  struct stat status = {};
  if (stat(last.c_str(), &status) != 0) return 0;
  return int64_t{status.st_mtim.tv_sec} * 1000 + 999 < since_ms ? end : 0;
}

}  // namespace

fs::path LogPath(const fs::path& logs, std::string_view role, int rank) {
  if (rank < 0) return logs / fmt::format("{}.launcher.log", role);
  return logs / fmt::format("{}.{}.log", role, rank);
}

LogSpool::LogSpool(fs::path path, int64_t limit_bytes, std::function<int64_t()> wall_ms)
    : path_(std::move(path)),
      file_bytes_(std::max<uint64_t>(static_cast<uint64_t>(limit_bytes) / kFilesInRow, 1)),
      wall_ms_(std::move(wall_ms)),
      times_(TimesPath(path_)) {}

bool LogSpool::BeginFile() {
  file_.Close();
  file_begin_ = end_;
  std::map<uint64_t, SpoolFile> files = FilesOf(path_);
  // A file that was never written to isn't worth its place.
  while (files.size() >= kFilesInRow) {
    unlink(files.begin()->second.path.c_str());
    files.erase(files.begin());
  }
  file_ = Descriptor(
      open(FileAt(path_, end_).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644));
  return file_.is_open();
}

void LogSpool::Append(std::string_view bytes) {
  if (!bytes.empty()) times_.Wrote(end_, wall_ms_());
  while (!bytes.empty()) {
    if ((!file_.is_open() || end_ - file_begin_ >= file_bytes_) && !BeginFile()) {
      end_ += bytes.size();
      return;
    }
    const uint64_t room = file_bytes_ - (end_ - file_begin_);
    const ssize_t written =
        write(file_.get(), bytes.data(), std::min<uint64_t>(bytes.size(), room));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      // The disk is full: what comes next begins a file of its own, behind a gap.
      file_.Close();
      end_ += bytes.size();
      return;
    }
    end_ += static_cast<uint64_t>(written);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

absl::StatusOr<LogChunk> ReadSpool(const fs::path& path, const ReadLogChunk& request, bool ended) {
  const std::map<uint64_t, SpoolFile> files = FilesOf(path);
  LogChunk chunk;
  chunk.set_request(request.request());
  if (files.empty()) {
    if (!ended) return absl::NotFoundError(fmt::format("{}: nothing yet", path.string()));
    chunk.set_offset(request.offset());
    chunk.set_end(true);
    return chunk;
  }
  const uint64_t end = files.rbegin()->first + files.rbegin()->second.size;
  uint64_t wanted = request.offset();
  if (request.tail_bytes() > 0) {
    wanted = end - std::min(end, static_cast<uint64_t>(request.tail_bytes()));
  } else if (request.since_ms() > 0) {
    wanted = FirstSince(path, files.rbegin()->second.path, request.since_ms(), end);
  }
  // The last file that begins at or before it, or the first one behind the gap.
  auto it = files.upper_bound(wanted);
  if (it != files.begin() && wanted < std::prev(it)->first + std::prev(it)->second.size) --it;
  if (it == files.end()) {
    chunk.set_offset(wanted);
    chunk.set_end(ended && wanted >= end);
    return chunk;
  }
  const uint64_t begin = std::max(wanted, it->first);
  chunk.set_offset(begin);
  // (A tail that is longer than what is left has no gap: nobody asked for that byte.)
  chunk.set_gap(begin > wanted && request.tail_bytes() <= 0 && request.since_ms() <= 0);
  const int64_t limit = request.limit() > 0 ? request.limit() : kLongestChunk;
  const uint64_t bytes =
      std::min<uint64_t>(it->first + it->second.size - begin, std::min(limit, kLongestChunk));
  absl::StatusOr<std::string> data = ReadPiece(it->second.path, begin - it->first, bytes);
  if (!data.ok()) return data.status();
  chunk.set_end(ended && begin + data->size() >= end);
  chunk.set_data(*std::move(data));
  return chunk;
}

std::string SpoolTail(const fs::path& path, size_t bytes) {
  ReadLogChunk request;
  request.set_tail_bytes(static_cast<int64_t>(bytes));
  std::string tail;
  while (true) {
    const absl::StatusOr<LogChunk> chunk = ReadSpool(path, request, true);
    if (!chunk.ok() || chunk->data().empty()) break;
    tail += chunk->data();
    request.set_tail_bytes(0);
    request.set_offset(chunk->offset() + chunk->data().size());
  }
  if (tail.size() > bytes) tail.erase(0, tail.size() - bytes);
  return tail;
}

}  // namespace tanren::coordinator
