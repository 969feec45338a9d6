#include "coordinator/launch/slurm/slurm_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "coordinator/state/cluster.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/telemetry/process_identity.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "slurm-";
constexpr char kFence[] = "slurm-fence";
constexpr uint64_t kLargestRecord = uint64_t{16} << 20;

// No other host or process writes under this name.
fs::path OwnName(const fs::path& path) {
  return fmt::format("{}.tmp.{}.{}", path.string(), telemetry::HostName(), getpid());
}

absl::Status WriteOwn(const fs::path& path, std::string_view content) {
  TANREN_RETURN_IF_ERROR(WriteFileAtomically(OwnName(path), content));
  if (rename(OwnName(path).c_str(), path.c_str()) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, path.string());
}

template <typename Message>
absl::Status WriteMessage(const fs::path& path, const Message& message) {
  return WriteOwn(path, message.SerializeAsString());
}

template <typename Message>
absl::StatusOr<std::optional<Message>> ReadMessage(const fs::path& path) {
  const auto bytes = ReadFile(path, kLargestRecord);
  if (absl::IsNotFound(bytes.status())) return std::nullopt;
  if (!bytes.ok()) return bytes.status();
  Message message;
  if (!message.ParseFromString(*bytes)) {
    return absl::DataLossError(fmt::format("{}: isn't a {}", path.string(), message.GetTypeName()));
  }
  return message;
}

std::optional<AttemptToken> TokenOfFolder(const fs::path& path) {
  const std::string name = path.filename().string();
  AttemptToken token;
  if (name.rfind(kPrefix, 0) != 0 || !FromTokenText(name.substr(sizeof kPrefix - 1), token)) {
    return std::nullopt;
  }
  return token;
}

absl::Status MakePrivateFolder(const fs::path& path) {
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, path.string());
}

std::string RankFile(const std::string& role, int32_t rank, std::string_view kind) {
  return fmt::format("{}.{}.{}", role, rank, kind);
}

template <typename Visit>
void ForEachEntry(const fs::path& folder, Visit visit) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    visit(at->path());
  }
}

}  // namespace

std::string SlurmFolderName(const AttemptToken& token) { return kPrefix + TokenText(token); }

SlurmFolder SlurmFolder::Of(const PartSpec& part, std::shared_ptr<const FileUser> user) {
  return SlurmFolder(
      fs::path(JobFolder(part.spec(), part.token().job())) / SlurmFolderName(part.token()),
      std::move(user));
}

fs::path SlurmFolder::log(const std::string& role, int32_t rank) const {
  return path_ / "logs" / RankFile(role, rank, "log");
}

fs::path SlurmFolder::RunFolder(const PartSpec& part) {
  return fs::path(JobFolder(part.spec(), part.token().job())) /
         fmt::format("attempt-{}", part.token().attempt());
}

absl::Status SlurmFolder::Prepare(const SlurmTask& task) const {
  const ActingAs acting(user_);
  TANREN_RETURN_IF_ERROR(MakeDirectories(job_folder()));
  for (const fs::path& folder : {path_, path_ / "logs", path_ / "ranks"}) {
    TANREN_RETURN_IF_ERROR(MakePrivateFolder(folder));
  }
  TANREN_RETURN_IF_ERROR(WriteMessage(path_ / "task.pb", task));
  if (chmod((path_ / "task.pb").c_str(), 0600) != 0) {
    return absl::ErrnoToStatus(errno, (path_ / "task.pb").string());
  }
  return absl::OkStatus();
}

absl::StatusOr<SlurmTask> SlurmFolder::ReadTask() const {
  const ActingAs acting(user_);
  TANREN_ASSIGN_OR_RETURN(auto task, ReadMessage<SlurmTask>(path_ / "task.pb"));
  if (!task.has_value()) {
    return absl::NotFoundError(fmt::format("{}: no such file", (path_ / "task.pb").string()));
  }
  return *std::move(task);
}

// A hard link is made or it isn't, on NFS too, where a lost answer makes the second try find its
// own: then the file's count of links tells.
absl::StatusOr<bool> SlurmFolder::Claim(const SlurmClaim& claim) const {
  const ActingAs acting(user_);
  const fs::path file = path_ / "claim";
  const fs::path own = OwnName(file);
  TANREN_RETURN_IF_ERROR(WriteFileAtomically(own, claim.SerializeAsString()));
  const int failed = link(own.c_str(), file.c_str()) == 0 ? 0 : errno;
  struct stat info;
  const bool linked = stat(own.c_str(), &info) == 0 && info.st_nlink == 2;
  unlink(own.c_str());
  if (failed != 0 && failed != EEXIST && !linked) {
    return absl::ErrnoToStatus(failed, file.string());
  }
  if (linked) TANREN_RETURN_IF_ERROR(SyncToDisk(path_));
  return linked;
}

absl::StatusOr<std::optional<SlurmClaim>> SlurmFolder::ReadClaim() const {
  const ActingAs acting(user_);
  return ReadMessage<SlurmClaim>(path_ / "claim");
}

absl::Status SlurmFolder::WriteBeat(const SlurmBeat& beat) const {
  const ActingAs acting(user_);
  return WriteMessage(path_ / "alive", beat);
}
absl::StatusOr<std::optional<SlurmBeat>> SlurmFolder::ReadBeat() const {
  const ActingAs acting(user_);
  return ReadMessage<SlurmBeat>(path_ / "alive");
}
absl::Status SlurmFolder::WriteStop(const SlurmStop& stop) const {
  const ActingAs acting(user_);
  return WriteMessage(path_ / "stop", stop);
}
absl::StatusOr<std::optional<SlurmStop>> SlurmFolder::ReadStop() const {
  const ActingAs acting(user_);
  return ReadMessage<SlurmStop>(path_ / "stop");
}
absl::Status SlurmFolder::WriteExit(const SlurmExit& exit) const {
  const ActingAs acting(user_);
  return WriteMessage(path_ / "exit", exit);
}
absl::StatusOr<std::optional<SlurmExit>> SlurmFolder::ReadExit() const {
  const ActingAs acting(user_);
  return ReadMessage<SlurmExit>(path_ / "exit");
}

absl::Status SlurmFolder::WriteRankStarted(const std::string& role, int32_t rank) const {
  const ActingAs acting(user_);
  return WriteOwn(path_ / "ranks" / RankFile(role, rank, "started"), telemetry::HostName());
}

absl::Status SlurmFolder::WriteRankExit(const SlurmRankExit& exit) const {
  const ActingAs acting(user_);
  return WriteMessage(path_ / "ranks" / RankFile(exit.role(), exit.rank(), "exit"), exit);
}

int32_t SlurmFolder::RanksStarted() const {
  const ActingAs acting(user_);
  int32_t count = 0;
  ForEachEntry(path_ / "ranks",
               [&](const fs::path& file) { count += file.extension() == ".started"; });
  return count;
}

bool SlurmFolder::AllStartedEnded() const {
  const ActingAs acting(user_);
  bool all = true;
  ForEachEntry(path_ / "ranks", [&](fs::path file) {
    std::error_code error;
    if (file.extension() != ".started") return;
    all = all && fs::exists(file.replace_extension(".exit"), error);
  });
  return all;
}

std::vector<SlurmRankExit> SlurmFolder::RankExits() const {
  const ActingAs acting(user_);
  std::vector<SlurmRankExit> exits;
  ForEachEntry(path_ / "ranks", [&](const fs::path& file) {
    if (file.extension() != ".exit") return;
    const auto exit = ReadMessage<SlurmRankExit>(file);
    if (exit.ok() && exit->has_value()) exits.push_back(**exit);
  });
  return exits;
}

// Two attempts that raise it at once may leave the lower token: each raises it again at each beat,
// so the higher one comes to stay.
absl::StatusOr<AttemptToken> SlurmFolder::RaiseFence(const AttemptToken& token) const {
  const ActingAs acting(user_);
  const fs::path file = job_folder() / kFence;
  AttemptToken highest;
  const auto text = ReadFile(file, 100);
  if (text.ok()) {
    if (!FromTokenText(*text, highest)) {
      return absl::DataLossError(fmt::format("{}: isn't a token: \"{}\"", file.string(), *text));
    }
    if (!(highest < token)) return highest;
  } else if (!absl::IsNotFound(text.status())) {
    return text.status();
  }
  TANREN_RETURN_IF_ERROR(WriteOwn(file, TokenText(token)));
  return token;
}

std::vector<SlurmFolder> SlurmFolder::OtherClaimed() const {
  const ActingAs acting(user_);
  std::vector<SlurmFolder> others;
  ForEachEntry(job_folder(), [&](const fs::path& path) {
    if (path == path_ || !TokenOfFolder(path).has_value()) return;
    const SlurmFolder other(path, user_);
    const auto claim = other.ReadClaim();
    // One that can't be read may be anybody's.
    if (!claim.ok() || (claim->has_value() && !(*claim)->slurm_job().empty())) {
      others.push_back(other);
    }
  });
  return others;
}

}  // namespace tanren::coordinator
