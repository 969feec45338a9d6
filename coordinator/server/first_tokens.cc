#include "coordinator/server/first_tokens.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"

namespace tanren::coordinator {
namespace {

std::string UserName() {
  std::array<char, 4096> buffer;
  passwd entry = {};
  passwd* found = nullptr;
  if (getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 &&
      found != nullptr) {
    return found->pw_name;
  }
  return fmt::format("uid-{}", geteuid());
}

// Nobody else can read it at any moment.
absl::Status WritePrivately(const std::filesystem::path& path, const std::string& content) {
  const std::filesystem::path temporary = path.string() + ".new";
  const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                        S_IRUSR | S_IWUSR);
  const bool written =
      file >= 0 && fchmod(file, S_IRUSR | S_IWUSR) == 0 &&
      write(file, content.data(), content.size()) == static_cast<ssize_t>(content.size()) &&
      fsync(file) == 0;
  const int problem = errno;
  if (file >= 0) close(file);
  if (!written || rename(temporary.c_str(), path.c_str()) != 0) {
    return absl::InternalError(
        fmt::format("{}: {}", path.string(), strerror(written ? errno : problem)));
  }
  return SyncToDisk(path.parent_path());
}

absl::Status MakeToken(Credentials& credentials, Store& store, const Credentials::Wanted& wanted,
                       const std::filesystem::path& path) {
  TANREN_ASSIGN_OR_RETURN(const IssuedToken issued, credentials.Issue(wanted));
  // The file first: a token that is known but in no file would be nobody's.
  TANREN_RETURN_IF_ERROR(WritePrivately(path, issued.token + "\n"));
  Commit commit;
  commit.records.push_back(issued.record);
  TANREN_RETURN_IF_ERROR(store.Write(commit));
  LogInfo("{}: a new token of {}", path.string(), wanted.user);
  return credentials.Apply(issued.record);
}

}  // namespace

absl::Status MakeFirstTokens(Credentials& credentials, Store& store,
                             const std::filesystem::path& folder) {
  if (!credentials.List().empty() && credentials.HasValid(CallerRole::kAdmin))
    return absl::OkStatus();
  const std::vector<std::string> every_role = {std::string(RoleName(CallerRole::kView)),
                                               std::string(RoleName(CallerRole::kSubmit)),
                                               std::string(RoleName(CallerRole::kAdmin))};
  if (!credentials.HasValid(CallerRole::kAgent)) {
    Credentials::Wanted agent{"agent", {std::string(RoleName(CallerRole::kAgent))}};
    agent.by = "first start";
    TANREN_RETURN_IF_ERROR(MakeToken(credentials, store, agent, folder / "agent.token"));
  }
  Credentials::Wanted admin{UserName(), every_role};
  admin.by = "first start";
  return MakeToken(credentials, store, admin, folder / "admin.token");
}

}  // namespace tanren::coordinator
