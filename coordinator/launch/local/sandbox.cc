#include "coordinator/launch/local/sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "coordinator/launch/part_folder.h"
#include "coordinator/launch/process_table.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr int kFirstLooksEveryMs = 250;
// The supervisor, if it isn't stopped, ends everything first and can say why.
constexpr int64_t kSupervisorFirstMs = 1'000;

void DefaultSignals() {
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

absl::Status Errno(const std::string& action) { return absl::ErrnoToStatus(errno, action); }

// For an agent that isn't root: the same user and group in a namespace of its own, in which the
// kernel lets it make the other ones.
absl::Status MakeUserNamespace() {
  const uid_t user = geteuid();
  const gid_t group = getegid();
  if (unshare(CLONE_NEWUSER) != 0) return Errno("no user namespace");
  const auto write_map = [](const char* path, const std::string& text) {
    const Descriptor file(open(path, O_WRONLY | O_CLOEXEC));
    return file.is_open() &&
           write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  };
  if (!write_map("/proc/self/setgroups", "deny") ||
      !write_map("/proc/self/uid_map", fmt::format("{} {} 1", user, user)) ||
      !write_map("/proc/self/gid_map", fmt::format("{} {} 1", group, group))) {
    return Errno("no map of users");
  }
  return absl::OkStatus();
}

// A file system of the namespace's own on `root`, through which the wanted names of the first level
// still show.
absl::Status CoverFolder(const fs::path& root, const std::vector<std::string>& visible) {
  std::map<std::string, Descriptor> kept;
  for (const std::string& path : visible) {
    const fs::path relative = fs::path(path).lexically_normal().lexically_relative(root);
    if (relative.empty() || *relative.begin() == ".." || *relative.begin() == ".") continue;
    const std::string name = relative.begin()->string();
    if (kept.count(name) != 0) continue;
    Descriptor file(open((root / name).c_str(), O_PATH | O_CLOEXEC));
    if (file.is_open()) kept.emplace(name, std::move(file));
  }
  if (mount("tmpfs", root.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") != 0) {
    return Errno(fmt::format("can't mount {}", root.string()));
  }
  for (const auto& [name, file] : kept) {
    struct stat status = {};
    const fs::path place = root / name;
    if (fstat(file.get(), &status) != 0) continue;
    if (S_ISDIR(status.st_mode)) {
      mkdir(place.c_str(), 0755);
    } else {
      Descriptor(open(place.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    }
    const std::string source = fmt::format("/proc/self/fd/{}", file.get());
    if (mount(source.c_str(), place.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
      return Errno(fmt::format("can't show {}", place.string()));
    }
  }
  return absl::OkStatus();
}

absl::Status MakeMounts(const std::vector<std::string>& visible) {
  if (unshare(CLONE_NEWNS) != 0) return Errno("no mount namespace");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return Errno("mounts can't be made private");
  }
  TANREN_RETURN_IF_ERROR(CoverFolder("/tmp", visible));
  TANREN_RETURN_IF_ERROR(CoverFolder("/dev/shm", visible));
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    return Errno("can't mount /proc");
  }
  return absl::OkStatus();
}

// The first process of the namespace: buries orphans, until its end is the end of all.
[[noreturn]] void RunFirst(int parent_lives, const LeasePage& lease) {
  signal(SIGCHLD, SIG_IGN);  // children are buried by the kernel
  while (true) {
    pollfd parent = {.fd = parent_lives, .events = POLLIN, .revents = 0};
    if (poll(&parent, 1, kFirstLooksEveryMs) > 0) _exit(0);
    if (lease.HasPassed(SteadyMs() - kSupervisorFirstMs)) _exit(0);
  }
}

}  // namespace

std::string WhyNotIsolated(const LeasePage& lease) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return "no pipe";
  const Descriptor result(ends[0]);
  Descriptor answer(ends[1]);
  const pid_t child = fork();
  if (child == 0) {
    Sandbox sandbox;
    const absl::Status status = sandbox.Isolate({}, lease);
    if (!status.ok() && write(answer.get(), status.message().data(), status.message().size()) < 0) {
      _exit(1);
    }
    _exit(0);
  }
  if (child < 0) return "can't fork";
  answer.Close();
  std::string text(512, '\0');
  ssize_t size = 0;
  do {
    size = read(result.get(), text.data(), text.size());
  } while (size < 0 && errno == EINTR);
  waitpid(child, nullptr, 0);
  text.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
  return text;
}

absl::StatusOr<Sandbox> Sandbox::Make(const SandboxOptions& options, const LeasePage& lease) {
  Sandbox sandbox;
  if (options.isolate) {
    const Descriptor before(open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));
    const absl::Status status = sandbox.Isolate(options, lease);
    if (status.ok()) return sandbox;
    sandbox.degraded_ = std::string(status.message());
    // Children would go into the namespace that has lost its first process, and can't.
    if (setns(before.get(), CLONE_NEWPID) != 0 && errno != EPERM) return status;
  }
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return Errno("can't become the parent of orphans");
  return sandbox;
}

absl::Status Sandbox::Isolate(const SandboxOptions& options, const LeasePage& lease) {
  if (geteuid() != 0) TANREN_RETURN_IF_ERROR(MakeUserNamespace());
  if (unshare(CLONE_NEWPID) != 0) return Errno("no PID namespace");
  int ends[2];
  int answer[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Errno("no pipe");
  Descriptor end_read(ends[0]);
  Descriptor end_write(ends[1]);
  if (pipe2(answer, O_CLOEXEC) != 0) return Errno("no pipe");
  Descriptor answer_read(answer[0]);
  Descriptor answer_write(answer[1]);
  const pid_t first = fork();
  if (first < 0) return Errno("can't fork");
  if (first == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "tanren-first");
    end_write.Close();
    answer_read.Close();
    DefaultSignals();
    const absl::Status status = MakeMounts(options.visible);
    const std::string text = status.ok() ? "" : std::string(status.message());
    if (write(answer_write.get(), text.data(), text.size()) < 0) _exit(1);
    answer_write.Close();
    if (!status.ok()) _exit(1);
    RunFirst(end_read.get(), lease);
  }
  answer_write.Close();
  std::string problem(512, '\0');
  ssize_t size = 0;
  do {
    size = read(answer_read.get(), problem.data(), problem.size());
  } while (size < 0 && errno == EINTR);
  if (size == 0) {
    mounts_ = Descriptor(open(fmt::format("/proc/{}/ns/mnt", first).c_str(), O_RDONLY | O_CLOEXEC));
    if (mounts_.is_open()) {
      first_ = first;
      first_ends_ = std::move(end_write);
      return absl::OkStatus();
    }
    problem = std::strerror(errno);
    size = static_cast<ssize_t>(problem.size());
  }
  kill(first, SIGKILL);
  waitpid(first, nullptr, 0);
  problem.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
  return absl::UnavailableError(problem);
}

absl::StatusOr<pid_t> Sandbox::Fork(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child < 0) return Errno("can't fork");
  if (child > 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setsid();
  DefaultSignals();
  // A process whose threads share their root folder can't enter: ThreadSanitizer has one of its
  // own.
  if (mounts_.is_open() && (unshare(CLONE_FS) != 0 || setns(mounts_.get(), CLONE_NEWNS) != 0)) {
    _exit(127);
  }
  _exit(body());
}

std::vector<pid_t> Sandbox::Processes() const {
  return first_ > 0 ? ProcessesInNamespaceOf(first_) : DescendantsOf(getpid());
}

void Sandbox::KillAll() {
  // All end with it. It is buried last: not before this process has buried its own children there.
  if (first_ > 0) kill(first_, SIGKILL);
  while (true) {
    if (first_ == 0) {
      for (const pid_t process : DescendantsOf(getpid())) kill(process, SIGKILL);
    }
    const pid_t ended = waitpid(-1, nullptr, first_ > 0 ? 0 : WNOHANG);
    if (ended < 0 && errno == ECHILD) break;
    if (ended == 0) usleep(2'000);
  }
}

}  // namespace tanren::coordinator
