// How many one-rank jobs a second one launcher takes through their whole life on this machine: each
// part started, its end reported, forgotten. usage: launch_benchmark [JOBS] [AT_ONCE] [COMMAND...]
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/launch/local/launch_command.h"
#include "coordinator/launch/local/local_launcher.h"
#include "coordinator/launch/part_folder.h"
#include "fmt/format.h"
#include "runtime/base/clock.h"

namespace tanren::coordinator {
namespace {

namespace fs = std::filesystem;

PartSpec JobOf(uint64_t number, const std::vector<std::string>& command) {
  PartSpec part;
  part.mutable_token()->set_epoch(1);
  part.mutable_token()->set_job(number);
  part.mutable_token()->set_attempt(1);
  for (const std::string& word : command) part.mutable_spec()->mutable_command()->add_argv(word);
  Role& role = *part.mutable_spec()->add_roles();
  role.set_name("trainer");
  role.set_ranks(1);
  Placement& placement = *part.add_placements();
  placement.set_node("here");
  placement.set_role("trainer");
  placement.set_ranks(1);
  return part;
}

double CpuSeconds(int who) {
  rusage use = {};
  getrusage(who, &use);
  return static_cast<double>(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
         static_cast<double>(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

int Run(std::unique_ptr<ForkServer> fork_server, int jobs, size_t at_once, bool isolate,
        const std::vector<std::string>& command) {
  std::string folder = "/tmp/launch_benchmark.XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return 1;
  LocalLauncherOptions options;
  options.state = fs::path(folder) / "state";
  options.node = "here";
  options.allow_root = true;
  options.isolate = isolate;
  options.fork_server = std::move(fork_server);
  auto launcher = LocalLauncher::Open(std::move(options));
  if (!launcher.ok()) {
    fmt::print(stderr, "{}\n", launcher.status().ToString());
    return 1;
  }
  (*launcher)->SetDeadline(SteadyMs() + 3'600'000);
  std::mutex mutex;
  std::condition_variable condition;
  bool news = false;
  (*launcher)->OnChange([&] {
    const std::lock_guard lock(mutex);
    news = true;
    condition.notify_one();
  });
  const auto began = std::chrono::steady_clock::now();
  int started = 0;
  int ended = 0;
  int wrong = 0;
  size_t running = 0;
  while (ended < jobs) {
    for (; started < jobs && running < at_once; ++started, ++running) {
      (*launcher)->Start(JobOf(static_cast<uint64_t>(started) + 1, command));
    }
    {
      std::unique_lock lock(mutex);
      condition.wait_for(lock, std::chrono::milliseconds(100), [&] { return news; });
      news = false;
    }
    for (const PartReport& part : (*launcher)->Parts()) {
      if (part.state() != PART_ENDED) continue;
      if (part.end().kind() != AttemptEnd::FINISHED) ++wrong;
      (*launcher)->Forget(part.token());
      ++ended;
      --running;
    }
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  fmt::print(
      "{:<10} {} jobs, {} at once: {:.1f} s, {:.0f}/s, {} wrong; the launcher itself {:.2f} ms of "
      "CPU each\n",
      isolate ? "isolated" : "together", jobs, at_once, seconds, jobs / seconds, wrong,
      1e3 * CpuSeconds(RUSAGE_SELF) / jobs);
  launcher->reset();
  fs::remove_all(folder);
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace tanren::coordinator

int main(int argc, char** argv) {
  using namespace tanren::coordinator;
  if (const std::optional<int> code = RunLaunchCommand(argc, argv)) return *code;
  absl::StatusOr<ForkServer> first = StartForkServer();
  absl::StatusOr<ForkServer> second = StartForkServer();
  if (!first.ok() || !second.ok()) return 1;
  const int jobs = argc > 1 ? std::atoi(argv[1]) : 400;
  const size_t at_once = argc > 2 ? static_cast<size_t>(std::atoi(argv[2])) : 8;
  std::vector<std::string> command(argv + std::min(argc, 3), argv + argc);
  if (command.empty()) command = {"/bin/true"};
  const int isolated =
      Run(std::make_unique<ForkServer>(*std::move(first)), jobs, at_once, true, command);
  return isolated +
         Run(std::make_unique<ForkServer>(*std::move(second)), jobs, at_once, false, command);
}
