// up, down: a coordinator and an agent on this machine.
#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "coordinator/client/commands.h"
#include "coordinator/client/exit_codes.h"
#include "coordinator/client/local_cluster.h"
#include "coordinator/client/quantities.h"
#include "coordinator/wire/protocol.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string listen = kDefaultAddress;
  bool detach = false;
  std::string name;
  std::string cpus;
  std::string gpus;
};

LocalClusterOptions OptionsOf(const Arguments& arguments) {
  LocalClusterOptions options;
  options.folder = UpFolder(OwnEnvironment);
  options.listen = arguments.listen;
  const auto pass_on = [&](const std::string& option, const std::string& value) {
    if (!value.empty())
      options.agent_arguments.insert(options.agent_arguments.end(), {option, value});
  };
  pass_on("--name", arguments.name);
  pass_on("--cpus", arguments.cpus);
  pass_on("--gpus", arguments.gpus);
  return options;
}

// SIGTERM and SIGINT, from a descriptor.
class EndSignals {
 public:
  EndSignals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    descriptor_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  }
  ~EndSignals() { close(descriptor_); }

  // Whether one came, within `milliseconds`.
  bool Came(int milliseconds) {
    pollfd wait = {descriptor_, POLLIN, 0};
    signalfd_siginfo signal = {};
    return poll(&wait, 1, milliseconds) == 1 && read(descriptor_, &signal, sizeof(signal)) > 0;
  }

 private:
  int descriptor_;
};

// Until a signal ends it. `ready` is told what to show, or what went wrong.
absl::StatusOr<int> KeepUp(const Arguments& arguments,
                           const std::function<void(const absl::StatusOr<std::string>&)>& ready) {
  constexpr int kLookEveryMs = 100;
  EndSignals signals;
  LocalCluster cluster(OptionsOf(arguments));
  const absl::Status started = cluster.Start();
  if (!started.ok()) {
    cluster.End([] { return true; });
    ready(started);
    return started;
  }
  ready(cluster.Screen(arguments.detach));
  while (!signals.Came(kLookEveryMs)) {
    for (const std::string& line : cluster.Look()) {
      fmt::print(stderr, "{} tanren: {}\n", FormatTime(WallMs(), WallMs()), line);
    }
  }
  fmt::print(stderr, "tanren: ending; what runs saves first (again Ctrl-C: without waiting)\n");
  cluster.End([&] { return signals.Came(0); });
  fmt::print(stderr, "tanren: ended\n");
  return kDone;
}

absl::StatusOr<int> Up(const Arguments& arguments) {
  return KeepUp(arguments, [](const absl::StatusOr<std::string>& screen) {
    if (screen.ok()) fmt::print("{}", *screen);
    std::fflush(stdout);
  });
}

// In a session of its own; this process returns when it is ready.
absl::StatusOr<int> UpDetached(const Arguments& arguments) {
  const fs::path folder = UpFolder(OwnEnvironment);
  TANREN_RETURN_IF_ERROR(MakeDirectories(folder));
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::InternalError(strerror(errno));
  const pid_t child = fork();
  if (child < 0) return absl::InternalError(fmt::format("fork: {}", strerror(errno)));
  if (child == 0) {
    setsid();
    const int log = open((folder / "up.log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    const int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    // The first byte says how it went, the rest is for people.
    const auto code = KeepUp(arguments, [&](const absl::StatusOr<std::string>& screen) {
      const std::string text =
          screen.ok() ? "+" + *screen : "-" + std::string(screen.status().message());
      [[maybe_unused]] const ssize_t written = write(ends[1], text.data(), text.size());
      close(ends[1]);
    });
    std::fflush(nullptr);
    _exit(code.ok() ? 0 : 1);
  }
  close(ends[1]);
  std::string text;
  char buffer[4096];
  ssize_t count = 0;
  while ((count = read(ends[0], buffer, sizeof(buffer))) > 0) text.append(buffer, count);
  close(ends[0]);
  if (text.empty()) {
    return absl::InternalError(
        fmt::format("it ended at once; its log is {}/up.log", folder.string()));
  }
  if (text.front() == '-') return absl::InternalError(text.substr(1));
  fmt::print("{}", text.substr(1));
  return kDone;
}

absl::StatusOr<int> Down() {
  constexpr auto kLimit = std::chrono::seconds(90);
  const fs::path folder = UpFolder(OwnEnvironment);
  const pid_t process = LocalCluster::WhoIsUp(folder);
  if (process == 0) {
    fmt::print("nothing is up\n");
    return kDone;
  }
  if (kill(process, SIGTERM) != 0) {
    return absl::PermissionDeniedError(fmt::format("process {}: {}", process, strerror(errno)));
  }
  const auto end = std::chrono::steady_clock::now() + kLimit;
  while (LocalCluster::WhoIsUp(folder) == process) {
    if (std::chrono::steady_clock::now() > end) {
      return absl::DeadlineExceededError(
          fmt::format("process {} doesn't end; its log is {}/up.log", process, folder.string()));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  fmt::print("ended\n");
  return kDone;
}

}  // namespace

void AddUp(CLI::App& program, const CommonOptions& /*common*/, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* up = program.add_subcommand(
      "up", "Start a coordinator and an agent on this machine, and keep them running");
  up->add_option("--listen", arguments->listen, "HOST:PORT; port 0: one that is free")
      ->capture_default_str();
  up->add_flag("-d,--detach", arguments->detach, "In the background, until `tanren down`");
  up->add_option("--name", arguments->name, "What this machine is called; default: its host name");
  up->add_option("--cpus", arguments->cpus, "Cores to give to jobs; default: all");
  up->add_option("--gpus", arguments->gpus, "GPUs to give to jobs; default: all");
  up->callback([=, &action] {
    action = [=] { return arguments->detach ? UpDetached(*arguments) : Up(*arguments); };
  });
  program.add_subcommand("down", "End what `tanren up` started")->callback([&action] {
    action = [] { return Down(); };
  });
}

}  // namespace tanren::coordinator
