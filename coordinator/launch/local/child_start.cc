#include "coordinator/launch/local/child_start.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>

#include "coordinator/launch/part_folder.h"
#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr int kNotStarted = 127;
constexpr int kHighest = 1 << 16;

absl::Status MakeFolder(const fs::path& path) {
  if (mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return absl::OkStatus();
  return ErrnoOf("can't make the folder", path);
}

void Refuse(int descriptor, AttemptEnd::Kind blame, std::string_view why) {
  const std::string text = fmt::format("{} {}", static_cast<int>(blame), why);
  if (write(descriptor, text.data(), text.size()) < 0) _exit(kNotStarted);
}

// A folder that this node doesn't see is the node's fault; one that the user may not write isn't.
AttemptEnd::Kind BlameFor(const absl::Status& status) {
  return absl::IsPermissionDenied(status) ? AttemptEnd::USER_ERROR : AttemptEnd::INFRASTRUCTURE;
}

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// `failure` moves to 3, which exec closes like everything above.
int ArrangeDescriptors(int output, int failure) {
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
      dup2(output, STDERR_FILENO) < 0) {
    return -1;
  }
  const int moved = 3;
  if (failure != moved && dup3(failure, moved, O_CLOEXEC) < 0) return -1;
  if (syscall(SYS_close_range, moved + 1, ~0U, 0) != 0) {
    for (int descriptor = moved + 1; descriptor < kHighest; ++descriptor) close(descriptor);
  }
  return moved;
}

}  // namespace

absl::Status PrepareFolders(const PartSpec& part) {
  const JobFolders folders = FoldersOf(part);
  if (folders.job.empty()) return absl::OkStatus();
  std::error_code error;
  fs::create_directories(folders.job.parent_path(), error);
  if (error) {
    return absl::ErrnoToStatus(error.value(), fmt::format("{}: can't make the folder",
                                                          folders.job.parent_path().string()));
  }
  TANREN_RETURN_IF_ERROR(MakeFolder(folders.job));
  TANREN_RETURN_IF_ERROR(MakeFolder(folders.attempt));
  if (!folders.recipe.empty()) {
    TANREN_RETURN_IF_ERROR(ReplaceFile(folders.recipe, part.spec().recipe().recipe(), 0644));
  }
  const fs::path temporary = folders.job / fmt::format(".latest.{}", getpid());
  unlink(temporary.c_str());
  if (symlink(folders.attempt.filename().c_str(), temporary.c_str()) != 0 ||
      rename(temporary.c_str(), folders.latest.c_str()) != 0) {
    return ErrnoOf("can't point at the attempt", folders.latest);
  }
  return absl::OkStatus();
}

int StartProgram(const ChildStart& start, const UserIds& user, const PartSpec* part) {
  const int failure = ArrangeDescriptors(start.output, start.failure);
  if (failure < 0) return kNotStarted;
  absl::Status status = BecomeUser(user);
  // A change of user forgets it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  umask(022);
  if (status.ok() && part != nullptr) status = PrepareFolders(*part);
  if (status.ok() && chdir(start.folder.c_str()) != 0) {
    status = ErrnoOf("can't run there", start.folder);
  }
  if (!status.ok()) {
    Refuse(failure, BlameFor(status), std::string(status.message()));
    return kNotStarted;
  }
  const std::vector<char*> arguments = Pointers(start.arguments);
  const std::vector<char*> environment = Pointers(start.environment);
  execve(start.program.c_str(), arguments.data(), environment.data());
  Refuse(failure, AttemptEnd::USER_ERROR,
         std::string(ErrnoOf("can't be started", start.program).message()));
  return kNotStarted;
}

void ReadRefusal(std::string_view bytes, ProcessEnd& end) {
  const size_t space = std::min(bytes.find(' '), bytes.size());
  end.blame = bytes.substr(0, space) == "3" ? AttemptEnd::USER_ERROR : AttemptEnd::INFRASTRUCTURE;
  end.refusal = std::string(bytes.substr(std::min(space + 1, bytes.size())));
}

}  // namespace tanren::coordinator
